"""A new plugin as it is written: installed, checked; and the strategy of the tutorial."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from test_plugin_distributions import Environment

from massgen_core.scaffold import KINDS, write_plugin

ROOT = Path(__file__).parents[2]
STORE = ROOT / "docs" / "how-to" / "write-a-memory-store.md"
TUTORIAL = ROOT / "docs" / "tutorials" / "first-strategy.md"


def name_of(kind):
    return f"new_{kind.replace('-', '_')}"


@pytest.fixture(scope="module")
def projects(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scaffold")
    return {kind: write_plugin(kind, name_of(kind), folder)[0].parent for kind in KINDS}


@pytest.fixture(scope="module")
def environment(projects, tmp_path_factory):
    made = Environment(tmp_path_factory.mktemp("environment") / "venv")
    if importlib.util.find_spec("hatchling") is None:
        made.install("hatchling")
    made.install("--no-deps", "--no-build-isolation", *projects.values())
    return made


def run(*command, cwd):
    words = list(map(str, command))
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=cwd)
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def test_there_is_a_template_of_each_kind():
    folders = files("massgen_core") / "_templates"
    assert sorted(KINDS) == sorted(folder.name for folder in folders.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_installed_registered_and_passes_its_own_tests(environment, projects, kind):
    assert "active" == environment.reports()[f"massgen-new-{kind}"]["state"]
    quick = {
        "strategy": ("-k", "not TestStrategy"),  # its suite is run below
        "memory-store": ("-k", "not Faults"),  # it begins many processes
    }
    words = "-m", "pytest", "-q", "-p", "no:cacheprovider", *quick.get(kind, ())
    assert "passed" in run(environment.python, *words, cwd=projects[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_clean_by_its_own_rules_of_style(projects, kind):
    pytest.importorskip("ruff")
    run(sys.executable, "-m", "ruff", "check", "--no-cache", cwd=projects[kind])
    run(sys.executable, "-m", "ruff", "format", "--check", "--no-cache", cwd=projects[kind])


def test_an_embedder_can_be_checked_by_its_name(environment, tmp_path):
    said = run(
        environment.python,
        "-m",
        "massgen_core",
        "plugins",
        "check",
        "new_embedder",
        "--json",
        cwd=tmp_path,
    )
    results = json.loads(said)["data"]["results"]
    assert {"EmbedderSuite", "PackagingSuite"} == {one["suite"] for one in results}
    assert ["test_what_means_the_same_is_close"] == [
        one["test"] for one in results if one["outcome"] == "skipped"
    ]


def test_a_backend_can_be_checked_by_its_name(environment, tmp_path):
    words = "-m", "massgen_core", "plugins", "check", "new_backend", "--json"
    results = json.loads(run(environment.python, *words, cwd=tmp_path))["data"]["results"]
    assert {("PackagingSuite", "passed")} == {(one["suite"], one["outcome"]) for one in results}


def files_of(page, *names):
    """The files of a plugin that a page writes: their paths and what they hold."""
    files = r"<!-- file: (massgen-\S+) -->\n+```python\n(.*?)```"
    found = re.findall(files, page.read_text("utf-8"), re.DOTALL)
    return [(path, body) for path, body in found if Path(path).name in names]


@pytest.mark.timeout(300)  # the whole suite of strategies, twice
@pytest.mark.skipif(not TUTORIAL.is_file(), reason="needs the source tree")
def test_the_strategy_of_the_tutorial_passes_the_suite_and_is_short(environment, tmp_path):
    project = write_plugin("strategy", "keep_questions", tmp_path)[0].parent
    [(path, body)] = files_of(TUTORIAL, "strategy.py")
    assert len(body.splitlines()) < 40
    (tmp_path / path).write_text(body, "utf-8")
    environment.install("--no-deps", "--no-build-isolation", "--force-reinstall", project)
    run(environment.python, "-m", "massgen_core", "plugins", "check", "keep_questions", cwd=project)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not STORE.is_file(), reason="needs the source tree")
def test_the_memory_store_of_the_how_to_passes_its_suites(environment, tmp_path):
    project = write_plugin("memory-store", "shelf", tmp_path)[0].parent
    files = files_of(STORE, "store.py", "plugin.py")
    assert 2 == len(files)
    for path, body in files:
        (tmp_path / path).write_text(body, "utf-8")
    environment.install("--no-deps", "--no-build-isolation", "--force-reinstall", project)
    run(environment.python, "-m", "massgen_core", "plugins", "check", "shelf", cwd=project)
