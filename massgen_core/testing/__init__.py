"""The conformance kit: what a plugin author's tests subclass, and fakes to test with.

A suite per plugin kind, and `PackagingSuite` for the distribution itself:

    # tests/test_packaging.py
    from massgen_core.testing import PackagingSuite

    class TestPackaging(PackagingSuite):
        dist = "massgen-sliding-window"

A test of a suite may only be overridden with ``pytest.mark.xfail(reason=...)``. What goes beyond
the Protocol is declared as `capabilities`; tests of other capabilities are skipped.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from massgen_core.testing._backend_suite import BackendSuite
    from massgen_core.testing._check import CheckResult, check_plugin
    from massgen_core.testing._embedder_suite import EmbedderSuite
    from massgen_core.testing._installed import (
        installed_backend,
        installed_embedder,
        installed_memory_store,
        installed_strategy,
    )
    from massgen_core.testing._memory_store_faults import MemoryStoreFaultSuite
    from massgen_core.testing._memory_store_suite import MemoryStoreSuite
    from massgen_core.testing._mock_provider import FAULTS, Fault, MockProvider, mock_provider
    from massgen_core.testing._packaging import PackagingSuite
    from massgen_core.testing._scripted import Answer, ScriptedBackend
    from massgen_core.testing._strategy_suite import StrategySuite
    from massgen_core.testing._suite import Suite, check_capabilities, requires

__all__ = [
    "FAULTS",
    "Answer",
    "BackendSuite",
    "CheckResult",
    "EmbedderSuite",
    "Fault",
    "MemoryStoreFaultSuite",
    "MemoryStoreSuite",
    "MockProvider",
    "PackagingSuite",
    "ScriptedBackend",
    "StrategySuite",
    "Suite",
    "check_capabilities",
    "check_plugin",
    "installed_backend",
    "installed_embedder",
    "installed_memory_store",
    "installed_strategy",
    "mock_provider",
    "requires",
]

_HOME_OF: Final = {
    "FAULTS": "_mock_provider",
    "Answer": "_scripted",
    "BackendSuite": "_backend_suite",
    "CheckResult": "_check",
    "EmbedderSuite": "_embedder_suite",
    "Fault": "_mock_provider",
    "MemoryStoreFaultSuite": "_memory_store_faults",
    "MemoryStoreSuite": "_memory_store_suite",
    "MockProvider": "_mock_provider",
    "PackagingSuite": "_packaging",
    "ScriptedBackend": "_scripted",
    "StrategySuite": "_strategy_suite",
    "Suite": "_suite",
    "check_capabilities": "_suite",
    "check_plugin": "_check",
    "installed_backend": "_installed",
    "installed_embedder": "_installed",
    "installed_memory_store": "_installed",
    "installed_strategy": "_installed",
    "mock_provider": "_mock_provider",
    "requires": "_suite",
}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
