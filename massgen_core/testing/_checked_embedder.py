"""The tests that `mgc plugins check` runs against an embedder."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from massgen_core.testing._check import DIST, NAME
from massgen_core.testing._embedder_suite import EmbedderSuite
from massgen_core.testing._installed import installed_embedder, installed_provides
from massgen_core.testing._packaging import PackagingSuite

if TYPE_CHECKING:
    from massgen_core.memory import Embedder

_NAME = os.environ.get(NAME, "")  # empty where this module is only imported


class TestEmbedder(EmbedderSuite):
    """It does what memory asks of an embedder."""

    capabilities = installed_provides("embedder", _NAME).capabilities if _NAME else frozenset()

    def embedder(self) -> Embedder:
        """As a user gets it."""
        return installed_embedder(_NAME)


class TestPackaging(PackagingSuite):
    """Its distribution can be found and is described."""

    dist = os.environ.get(DIST, "")
