"""What starting costs: CPU seconds of whole processes, the fastest of several runs."""

from __future__ import annotations

import json
import resource
import subprocess
import sys

RUNS = 7
COMMANDS = {
    "python -c pass (the floor)": ["-c", "pass"],
    "import massgen_core": ["-c", "import massgen_core"],
    "from massgen_core import fit": ["-c", "from massgen_core import fit"],
    "mgc --help": ["-m", "massgen_core", "--help"],
    "import langchain_core.messages (peer)": [
        "-c",
        "from langchain_core.messages import trim_messages",
    ],
}


def cpu_seconds(arguments: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    fastest = {name: min(cpu_seconds(c) for _ in range(RUNS)) for name, c in COMMANDS.items()}
    floor = next(iter(fastest.values()))
    table = {
        "title": "Start",
        "note": "CPU time of a whole process, fastest of several runs.",
        "columns": ["process", "CPU", "above the floor"],
        "rows": [
            [name, f"{value * 1e3:.0f} ms", f"{(value - floor) * 1e3:.0f} ms"]
            for name, value in fastest.items()
        ],
    }
    print(json.dumps(table) if "--json" in sys.argv else json.dumps(table, indent=2))


if __name__ == "__main__":
    main()
