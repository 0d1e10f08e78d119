"""The process of `massgen_core.testing._check`: pytest, told what to run and heard."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

import pytest

from massgen_core.testing._suite import Suite, required

_PLUGINS_OFF: Final = ("cacheprovider", "randomly", "xdist")


def run(file: str, results: str) -> None:
    """Runs the tests in `file`, and writes what came of them to `results` as JSON."""
    seen = _Results()
    off = [word for name in _PLUGINS_OFF for word in ("-p", f"no:{name}")]
    options = ["-c", "/dev/null", "--rootdir", ".", "--import-mode=importlib", "--tb=short"]
    code = pytest.main([*off, *options, file], plugins=[seen])
    if code in {pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERNAL_ERROR}:
        sys.exit(code)
    Path(results).write_text(json.dumps(list(seen.found.values())), "utf-8")


class _Results:
    """Hears of every test; a pytest plugin."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, object]] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            assert isinstance(item, pytest.Function)
            self.found[item.nodeid] = {
                "suite": _suite_of(item),
                "test": item.name,
                "about": (item.function.__doc__ or "").partition("\n")[0],
                "outcome": "failed",
                "capabilities": sorted(required(item.function)),
                "reason": "it was not run to its end",
            }

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.found[report.nodeid] = {
                "suite": "",
                "test": "collection",
                "about": "The suite can be loaded.",
                "capabilities": [],
            } | _told(report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            self.found[report.nodeid] |= _told(report) | {"seconds": round(report.duration, 3)}


def _told(report: pytest.TestReport | pytest.CollectReport) -> dict[str, object]:
    if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
        why = str(report.longrepr[2]).removeprefix("Skipped: ")
        return {"outcome": "skipped", "reason": why}
    if report.passed:
        return {"outcome": "passed", "reason": ""}
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(report.longreprtext)
    return {
        "outcome": "failed",
        "reason": str(getattr(crash, "message", text)).partition("\n")[0],
        "detail": text,
    }


def _suite_of(item: pytest.Function) -> str:
    for base in item.cls.__mro__ if item.cls else ():
        if issubclass(base, Suite) and base.__name__.endswith("Suite"):
            return str(base.__name__)
    return ""
