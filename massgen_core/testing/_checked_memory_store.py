"""The tests that `mgc plugins check` runs against a memory store."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from massgen_core.testing._check import DIST, NAME
from massgen_core.testing._installed import installed_memory_store, installed_provides
from massgen_core.testing._memory_store_faults import MemoryStoreFaultSuite
from massgen_core.testing._memory_store_suite import MemoryStoreSuite
from massgen_core.testing._packaging import PackagingSuite

if TYPE_CHECKING:
    from pathlib import Path

    from massgen_core.memory import MemoryStore

_NAME = os.environ.get(NAME, "")  # empty where this module is only imported
_CAPABILITIES = (
    installed_provides("memory_store", _NAME).capabilities if _NAME else frozenset[str]()
)


class TestMemoryStore(MemoryStoreSuite):
    """What it finds is right, and nothing else is found."""

    capabilities = _CAPABILITIES

    def store(self, folder: Path) -> MemoryStore:
        """As a user gets it."""
        return installed_memory_store(_NAME, data_dir=folder)


class TestMemoryStoreFaults(MemoryStoreFaultSuite):
    """It survives what happens to files and processes."""

    capabilities = _CAPABILITIES

    def store(self, folder: Path) -> MemoryStore:
        """As a user gets it."""
        return installed_memory_store(_NAME, data_dir=folder)


class TestPackaging(PackagingSuite):
    """Its distribution can be found and is described."""

    dist = os.environ.get(DIST, "")
