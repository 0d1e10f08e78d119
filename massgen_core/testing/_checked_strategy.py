"""The tests that `mgc plugins check` runs against a strategy."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from massgen_core.testing._check import DIST, NAME
from massgen_core.testing._installed import installed_provides, installed_strategy
from massgen_core.testing._packaging import PackagingSuite
from massgen_core.testing._strategy_suite import StrategySuite

if TYPE_CHECKING:
    from massgen_core.context import TruncationStrategy

_NAME = os.environ.get(NAME, "")  # empty where this module is only imported


class TestStrategy(StrategySuite):
    """The engine's invariants hold with it."""

    capabilities = installed_provides("strategy", _NAME).capabilities if _NAME else frozenset()

    def strategy(self) -> TruncationStrategy:
        """As a user gets it."""
        return installed_strategy(_NAME)


class TestPackaging(PackagingSuite):
    """Its distribution can be found and is described."""

    dist = os.environ.get(DIST, "")
