"""Runs the benchmarks beside this file and writes their tables to docs/explanation/benchmarks.md.

Usage: report.py [NAME...]      all of them, or only bench_NAME.py

Each `bench_*.py` run with `--json` prints one object, or a list of them:

    {"title": "Append and fit", "note": "one sentence on what was measured",
     "columns": ["messages", "ours", "peer"], "rows": [[1000, "1.2 ms", "67 s"]]}
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "explanation" / "benchmarks.md"
HEAD = """\
# Benchmarks

`nox -s bench` measures this on your machine and writes this page. Timings are CPU time unless a
column says otherwise; compare columns of one table, not tables of two machines.
"""


def machine() -> str:
    peers = [f"{name} {version(name)}" for name in ("massgen-core", "tiktoken", "langchain-core")]
    parts = [f"Python {platform.python_version()}", f"{os.cpu_count()} cores", platform.machine()]
    day = datetime.now(UTC).date().isoformat()
    return f"Measured on {day} with {', '.join([*parts, *peers])}.\n"


def run(script: Path) -> list[dict[str, Any]]:
    print(f"{script.name} …", flush=True)
    command = [sys.executable, str(script), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    tables = json.loads(done.stdout)
    return tables if isinstance(tables, list) else [tables]


def markdown(table: dict[str, Any]) -> str:
    rows = [table["columns"], ["---"] * len(table["columns"]), *table["rows"]]
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join([f"## {table['title']}", "", table["note"], "", *lines, ""])


def main(names: list[str]) -> None:
    scripts = [HERE / f"bench_{name}.py" for name in names] or sorted(HERE.glob("bench_*.py"))
    if not scripts:
        sys.exit("no benchmarks: tests/bench has no bench_*.py")
    tables = [markdown(table) for script in scripts for table in run(script)]
    print("\n".join(tables))
    if not names:
        PAGE.write_text("\n".join([HEAD, machine(), *tables]), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
