"""A new plugin as it is written: installed, checked; and the strategy of the tutorial."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from test_plugin_distributions import Environment

from massgen_core.scaffold import write_plugin

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorials" / "first-strategy.md"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scaffold")
    write_plugin("strategy", "keep_questions", folder)
    return folder / "massgen-keep-questions"


@pytest.fixture(scope="module")
def environment(project):
    made = Environment(project.parent / "venv")
    if importlib.util.find_spec("hatchling") is None:
        made.install("hatchling")
    made.install("--no-deps", "--no-build-isolation", project)
    return made


def run(*command, cwd):
    words = list(map(str, command))
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=cwd)
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout


def test_it_is_installed_registered_and_passes_its_own_tests(environment, project):
    assert "active" == environment.reports()["massgen-keep-questions"]["state"]
    quick = "-k", "TestPackaging or setting"  # the suite of strategies is run below
    words = "-m", "pytest", "-q", "-p", "no:cacheprovider", *quick
    assert "passed" in run(environment.python, *words, cwd=project)


def test_it_is_clean_by_its_own_rules_of_style(project):
    pytest.importorskip("ruff")
    run(sys.executable, "-m", "ruff", "check", "--no-cache", cwd=project)
    run(sys.executable, "-m", "ruff", "format", "--check", "--no-cache", cwd=project)


@pytest.mark.skipif(not TUTORIAL.is_file(), reason="needs the source tree")
def test_the_strategy_of_the_tutorial_passes_the_suite_and_is_short(environment, tmp_path):
    project = write_plugin("strategy", "keep_questions", tmp_path)[0].parent
    text = TUTORIAL.read_text("utf-8")
    [(path, body)] = re.findall(
        r"<!-- file: (\S+strategy\.py) -->\n+```python\n(.*?)```", text, re.DOTALL
    )
    assert len(body.splitlines()) < 40
    (tmp_path / path).write_text(body, "utf-8")
    environment.install("--no-deps", "--no-build-isolation", "--force-reinstall", project)
    run(environment.python, "-m", "massgen_core", "plugins", "check", "keep_questions", cwd=project)
