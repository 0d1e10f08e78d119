"""Real distributions, built and installed by the installer into an environment of their own."""

import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import NamedTuple

import pytest

import massgen_core

HEAD = "from massgen_core.plugin import Provides, hookimpl\n"


class Dist(NamedTuple):
    """A distribution to make: its entry module, and what the report on it must say."""

    source: str
    state: str
    error: str = ""


DISTS = {
    "massgen-t-good": Dist(
        "@hookimpl\ndef massgen_embedder():\n"
        "    return Provides('good', factory='massgen_t_good.parts:Good', summary='Good.')\n",
        "active",
    ),
    "massgen-t-import-error": Dist("import there_is_no_such_module", "broken", "ModuleNotFound"),
    "massgen-t-wrong-hook": Dist(
        "@hookimpl\ndef massgen_embeder(): ...", "broken", "did you mean 'massgen_embedder'?"
    ),
    "massgen-t-wrong-signature": Dist(
        "@hookimpl\ndef massgen_embedder(config, path): ...", "broken", "can not be found"
    ),
    "massgen-t-twin-a": Dist(
        "@hookimpl\ndef massgen_embedder(): return Provides('twin', 'a:b')",
        "conflict",
        "embedder 'twin' is provided by massgen-t-twin-a and massgen-t-twin-b",
    ),
    "massgen-t-twin-b": Dist(
        "@hookimpl\ndef massgen_embedder(): return Provides('twin', 'a:b')",
        "conflict",
        "embedder 'twin' is provided by massgen-t-twin-a and massgen-t-twin-b",
    ),
    "massgen-t-future": Dist(
        "MASSGEN_PLUGIN_API = 99\n@hookimpl\ndef massgen_telepathy(): ...",
        "incompatible",
        "written for plugin API 99; this massgen-core has 1",
    ),
    "massgen-t-hook-raises": Dist(
        "@hookimpl\ndef massgen_embedder(): raise OSError('no device')",
        "broken",
        "OSError: no device",
    ),
    "massgen-t-exits": Dist("raise SystemExit('not today')", "broken", "SystemExit: not today"),
}

PARTS = """\
class Good:
    identity, dimensions = "good/1", 1
    def __init__(self, settings, ctx): ...
    async def embed(self, texts, /, *, purpose): return [[float(len(text))] for text in texts]
    async def close(self): ...
"""

PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{dist}"
version = "0.3"
requires-python = ">=3.11"
dependencies = ["massgen-core>=0.1"]

[project.entry-points."massgen_core.plugins"]
{short} = "{package}.plugin"
"""


def write_project(folder: Path, dist: str, source: str) -> Path:
    package = dist.replace("-", "_")
    home = folder / dist / package
    home.mkdir(parents=True)
    short = package.removeprefix("massgen_t_")
    text = PYPROJECT.format(dist=dist, package=package, short=short)
    (folder / dist / "pyproject.toml").write_text(text, encoding="utf-8")
    (home / "__init__.py").write_text("", encoding="utf-8")
    (home / "plugin.py").write_text(HEAD + source, encoding="utf-8")
    (home / "parts.py").write_text(PARTS, encoding="utf-8")
    return folder / dist


class Environment:
    """A virtual environment with the core and its dependencies, but nothing else of this one."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, symlinks=True)
        self.python = folder / "bin" / "python"
        self.site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
        shared = [Path(massgen_core.__file__).parents[1], sysconfig.get_path("purelib")]
        (self.site / "core.pth").write_text("\n".join(map(str, shared)), encoding="utf-8")

    def install(self, *arguments: object) -> None:
        if importlib.util.find_spec("pip") is None:
            command = ["uv", "pip", "install", "--python", self.python]
        else:
            command = [sys.executable, "-m", "pip", "--python", self.python, "install"]
        self._run([*command, *arguments])

    def reports(self, **settings: object) -> dict[str, dict]:
        program = (
            "import json, sys; from massgen_core.plugin import PluginHost; "
            "host = PluginHost(**json.loads(sys.argv[1])); "
            "print(json.dumps([report.to_json() for report in host.plugins()]))"
        )
        reports = json.loads(self._run([self.python, "-c", program, json.dumps(settings)]))
        return {report["dist"]: report for report in reports}

    def run(self, program: str) -> str:
        return self._run([self.python, "-c", program])

    def _run(self, command: list[object]) -> str:
        clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [str(each) for each in command],
            capture_output=True,
            text=True,
            check=False,
            env=clean,
            cwd=self.site,
        )
        assert 0 == done.returncode, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugins")
    made = Environment(folder / "venv")
    projects = [write_project(folder, dist, each.source) for dist, each in DISTS.items()]
    if importlib.util.find_spec("hatchling") is None:
        made.install("hatchling")
    made.install("--no-deps", "--no-build-isolation", *projects)
    return made


def test_each_distribution_is_reported_with_its_fault(environment):
    reports = environment.reports()
    found = {dist: (reports[dist]["state"], reports[dist]["version"]) for dist in DISTS}
    assert {dist: (each.state, "0.3") for dist, each in DISTS.items()} == found
    for dist, each in DISTS.items():
        assert each.error in reports[dist]["error"]
        assert bool(reports[dist]["hint"]) == (each.state != "active")


def test_the_good_one_works_beside_the_broken_ones(environment):
    program = """
import asyncio
from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.plugin import PluginContext, PluginHost
from massgen_core.tokens import ModelCatalogue

context = PluginContext(SYSTEM_CLOCK, None, ModelCatalogue.shipped())
made = PluginHost().create("embedder", "good", None, context)
print(asyncio.run(made.embed(["four", "three"], purpose="document")))
"""
    assert "[[4.0], [5.0]]" == environment.run(program).strip()


def test_the_core_works_when_only_broken_plugins_are_allowed(environment):
    program = """
from massgen_core.plugin import PluginHost
print(*PluginHost(allow=["massgen-t-exits"]).names("token_counter"))
"""
    assert "cl100k_base estimate o200k_base" == environment.run(program).strip()


def test_selecting_each_faulty_one_raises_its_typed_error_with_the_cause(environment):
    program = """
from massgen_core.errors import PluginError
from massgen_core.plugin import PluginHost
host = PluginHost()
for name in ("import_error", "wrong_hook", "wrong_signature", "twin", "future", "hook_raises"):
    try:
        host.get("embedder", name)
    except PluginError as error:
        print(name, type(error).__name__, type(error.__cause__).__name__)
"""
    assert [
        "import_error PluginBroken ModuleNotFoundError",
        "wrong_hook PluginBroken UnusablePlugin",
        "wrong_signature PluginBroken PluginValidationError",
        "twin PluginConflict NoneType",
        "future PluginIncompatible UnusablePlugin",
        "hook_raises PluginBroken OSError",
    ] == environment.run(program).splitlines()


def test_the_preferred_twin_gets_the_name(environment):
    reports = environment.reports(prefer=["massgen-t-twin-b"])
    assert "active" == reports["massgen-t-twin-b"]["state"]
    assert "disabled" == reports["massgen-t-twin-a"]["state"]


def test_a_denied_distribution_is_not_imported(environment):
    program = """
import sys
from massgen_core.plugin import PluginHost
host = PluginHost(deny=["Massgen.T.Good"])
print(*(report.state for report in host.plugins() if report.dist == "massgen-t-good"))
print(*(name for name in sys.modules if name.startswith("massgen_t_good")))
"""
    assert ["disabled", ""] == environment.run(program).splitlines()


def test_an_installation_earlier_on_the_path_hides_the_later_one(environment, tmp_path):
    changed = DISTS["massgen-t-good"].source.replace("'Good.'", "'Newer.'")
    project = write_project(tmp_path, "massgen-t-good", changed)
    first = tmp_path / "first"
    environment.install("--no-deps", "--no-build-isolation", "--target", first, project)
    program = f"""
import sys
sys.path.insert(0, {str(first)!r})
from massgen_core.plugin import PluginHost
good = [r for r in PluginHost().plugins() if r.dist == "massgen-t-good"]
print(len(good), good[0].state, good[0].provides[0].provides.summary)
"""
    assert "1 active Newer." == environment.run(program).strip()
