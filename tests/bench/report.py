"""Runs benchmarks and writes what they measured into their section of the page.

    report.py bench [NAME...] [FILE...]    bench_*.py beside this file; names: only print these
    report.py peers [FILE...]              the other libraries in the environment, and ours
    report.py soak                         thousands of turns, as the environment says

A FILE is a real session or a list of episodes; without one the excerpts of tests/data are used.
A script run with `--json` prints one table, or a list of them:

    {"title": "Append and fit", "note": "one sentence on what was measured",
     "columns": ["messages", "ours", "peer"], "rows": [[1000, "1.2 ms", "67 s"]]}
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import data
import page

HERE = Path(__file__).parent
OF_BENCH = ("massgen-core", "tiktoken", "langchain-core")
OF_PEERS = ("massgen-core", "tiktoken")
OF_SOAK = ("massgen-core", "llmock", "xllamacpp")


def run(script: Path, files: list[str]) -> list[dict[str, Any]]:
    print(f"{script.name} …", flush=True)
    environment = {**os.environ, data.VARIABLE: os.pathsep.join(files)} if files else None
    command = [sys.executable, str(script), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, env=environment)
    if done.returncode:  # it said why; what did not hold is not written down as measured
        sys.exit(done.returncode)
    tables = json.loads(done.stdout)
    return tables if isinstance(tables, list) else [tables]


def measured(scripts: list[Path], files: list[str]) -> list[str]:
    tables = [page.markdown(table) for script in scripts for table in run(script, files)]
    print("\n".join(tables))
    return tables


def main(section: str, arguments: list[str]) -> None:
    files = [name for name in arguments if Path(name).is_file()]
    names = [name for name in arguments if name not in files]
    match section:
        case "bench":
            chosen = [HERE / f"bench_{name}.py" for name in names]
            tables = measured(chosen or sorted(HERE.glob("bench_*.py")), files)
            if not names:
                page.write("bench", [page.machine(OF_BENCH), *tables])
        case "peers":
            tables = measured([HERE / "compare.py"], files)
            page.write("peers", [page.machine(OF_PEERS), *tables])
        case "soak":
            tables = measured([HERE.parent / "soak" / "soak.py"], files)
            page.write("soak", [page.machine(OF_SOAK), *tables])
        case _:
            sys.exit(f"no section {section!r}: {', '.join(page.SECTIONS)}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "bench", sys.argv[2:])
