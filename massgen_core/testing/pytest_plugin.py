"""The pytest plugin of the conformance kit: refuses suites that were quietly weakened.

Imports nothing but pytest, because pytest loads it wherever this package is installed.
"""

from __future__ import annotations

import inspect
import sys

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Makes known the marks of the suites, for where the plugin that obeys them is missing."""
    config.addinivalue_line("markers", "timeout(seconds): read by pytest-timeout")
    config.addinivalue_line("markers", "slow: begins many processes")


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> None:
    """Refuses a subclass of a conformance suite that replaces a test without an expected failure.

    Raises:
        CollectError: The text says which test, and what to do.
    """
    suites = sys.modules.get("massgen_core.testing._suite")
    if suites is None or not inspect.isclass(obj) or not issubclass(obj, suites.Suite):
        return
    if not collector.istestclass(obj, name):
        return
    complaints = suites.complaints_about(obj)
    if complaints:
        raise collector.CollectError("\n".join(complaints))
