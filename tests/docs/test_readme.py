"""The README's two commands are the ones CI and nox know."""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from markup import ROOT, blocks

README = (ROOT / "README.md").read_text("utf-8")
SETUP = "python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt nox && .venv/bin/"


def test_there_are_two_commands_one_for_the_demo_and_one_for_the_tests():
    commands = [b.body.strip() for b in blocks(README) if b.language == "console"]

    assert [f"$ {SETUP}nox -s demo", f"$ {SETUP}nox -s tests"] == commands


def test_ci_runs_the_test_command_of_the_readme():
    assert re.search(r"^nox -s tests$", (ROOT / ".ci" / "run").read_text("utf-8"), re.MULTILINE)


def test_the_sessions_that_pages_name_exist():
    known = set(
        re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text("utf-8"), re.MULTILINE)
    )
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")]
    text = "\n".join(page.read_text("utf-8") for page in pages)

    named = set(re.findall(r"nox -s ([a-z]+)", text))
    assert {"demo", "tests"} <= named <= known


def test_the_example_is_about_fifteen_lines():
    (example,) = [b.body for b in blocks(README) if b.language == "python"]

    assert 10 <= len([line for line in example.splitlines() if line.strip()]) <= 16
