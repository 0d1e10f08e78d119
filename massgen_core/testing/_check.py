"""Runs the conformance suites against an installed plugin, in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from massgen_core.errors import InvalidArgument, MassgenError

if TYPE_CHECKING:
    from massgen_core.plugin import Provided

SUITES: Final = {
    "strategy": ("StrategySuite", "PackagingSuite"),
    "embedder": ("EmbedderSuite", "PackagingSuite"),
    "memory_store": ("MemoryStoreSuite", "MemoryStoreFaultSuite", "PackagingSuite"),
    "backend": ("PackagingSuite",),
}
"""Kinds that can be checked by registered name, with the suites that are run."""

NAME: Final = "_MASSGEN_CHECKED_NAME"
DIST: Final = "_MASSGEN_CHECKED_DIST"
"""Environment variables by which the tests learn what they are about."""

_NEEDED: Final = ("pytest", "hypothesis")
_PROGRAM: Final = """
import json, sys
path, file, results = json.loads(sys.argv[1])
sys.path[:] = path
from massgen_core.testing._check_run import run
run(file, results)
"""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What came of one test.

    Attributes:
        suite: The suite's name.
        test: The test's name.
        about: What it makes sure of, in one line.
        outcome: What came of it.
        capabilities: What it needs declared to be run.
        reason: Why it failed or was skipped.
        detail: All that pytest says of a failure; empty otherwise.
        seconds: How long it took.
    """

    suite: str
    test: str
    about: str
    outcome: Literal["passed", "failed", "skipped"]
    capabilities: tuple[str, ...] = ()
    reason: str = ""
    detail: str = ""
    seconds: float = 0.0


def check_plugin(provided: Provided) -> tuple[CheckResult, ...]:
    """The results of every test of the suites of the plugin's kind, in the order of the suites.

    Raises:
        InvalidArgument: There is no suite that can be run against a plugin of this kind.
        MassgenError: Packages the suites need are not installed, or they could not be run.
    """
    if provided.kind not in SUITES:
        raise InvalidArgument(
            f"{provided.name!r} is of the kind {provided.kind!r}; by name only these can be "
            f"checked: {', '.join(SUITES)}"
        )
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise MassgenError(
            f"the conformance suites need {' and '.join(missing)}",
            hint=f"pip install {' '.join(missing)}",
        )
    with tempfile.TemporaryDirectory(prefix="massgen-check-") as folder:
        return _results(provided, Path(folder))


def _results(provided: Provided, folder: Path) -> tuple[CheckResult, ...]:
    results = folder / "results.json"
    tests = Path(__file__).with_name(f"_checked_{provided.kind}.py")
    argument = json.dumps([sys.path, str(tests), str(results)])
    about = {NAME: provided.name, DIST: provided.dist}
    done = subprocess.run(  # noqa: S603  # our own interpreter and program
        [sys.executable, "-c", _PROGRAM, argument],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, **about},
    )
    if not results.is_file():
        words = (done.stderr or done.stdout).strip().splitlines()
        raise MassgenError(
            f"the suites ended with {done.returncode} and no result"
            + (f": {words[-1]}" if words else "")
        )
    found = json.loads(results.read_text("utf-8"))
    return tuple(
        CheckResult(**{**one, "capabilities": tuple(one["capabilities"])}) for one in found
    )
