"""Ours beside every peer on the same work: four tables.

Usage: compare.py [--json], with transcripts in BENCH_FILES

Each module of `peers` is measured in processes of its own, one a suite, two at a time, so that one
that fails or does not come to an end takes nothing else with it; what it measured until then is
shown. Where a peer has no row, the row says why.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import data
from peers.measured import CAP, CASES, TURNS

HERE = Path(__file__).parent
MODULES = (
    "ours",
    "pydantic_harness",
    "agent_framework",
    "langchain",
    "langmem",
    "litellm",
    "llama_index",
    "strands",
    "autogen",
)
SUITES = ("kept", "cache", "edges", "loop")
PATIENCE = {"kept": 180, "cache": 180, "edges": 60, "loop": 180}
"""CPU seconds for all peers of a module in one suite."""
STUCK = 8
"""Times as long by the clock, and a process is ended from outside."""
AT_ONCE = 2


@dataclass
class Found:
    """What one process told."""

    rows: dict[str, list[list[object]]] = field(default_factory=lambda: defaultdict(list))
    versions: dict[str, str] = field(default_factory=dict)
    ends: dict[str, str] = field(default_factory=dict)


def measured(module: str, suite: str) -> Found:
    patience = PATIENCE[suite]
    command = [sys.executable, "-m", "peers.work", module, suite, str(patience)]
    end = ""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        try:
            done = subprocess.run(
                command,
                stdout=out,
                stderr=errors,
                cwd=HERE,
                check=False,
                timeout=STUCK * patience,
            )
        except subprocess.TimeoutExpired:
            end = "it hangs"
        else:
            errors.seek(0)
            end = last_line(errors.read()) if done.returncode else ""
            if done.returncode == -signal.SIGXCPU:
                end = f"no more within {patience} s of CPU time"
        out.seek(0)
        found = gathered(out.read())
    print(f"  {module} {suite}: {end or 'done'}", file=sys.stderr, flush=True)
    last = list(found.versions)[-1] if found.versions else module.replace("_", " ")
    if end:
        found.ends.setdefault(last, end)
    return found


def last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:160] if lines else "it failed without a word"


def gathered(text: str) -> Found:
    found = Found()
    for line in text.splitlines():
        told = json.loads(line)
        match told["kind"]:
            case "version":
                found.versions[told["peer"]] = told["value"]
            case "row":
                found.rows[told["peer"]].append(told["value"])
            case "raised":
                found.ends[told["peer"]] = told["value"]
    return found


def all_measured() -> dict[str, list[Found]]:
    jobs = [(module, suite) for suite in SUITES for module in MODULES]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(lambda job: measured(*job), jobs))
    out: dict[str, list[Found]] = defaultdict(list)
    for (_, suite), one in zip(jobs, found, strict=True):
        out[suite].append(one)
    return out


def rows(found: list[Found], width: int) -> list[list[object]]:
    """All rows in the order of the first cell, peer by peer; a last one for what is missing."""
    order: dict[str, int] = {}
    out: list[list[object]] = []
    ends: list[list[object]] = []
    for one in found:
        for peer, some in one.rows.items():
            for cells in some:
                order.setdefault(" ".join(map(str, cells[:1])), len(order))
                out.append([cells[0], peer, *cells[1:]])
        ends += [["", peer, why, *[""] * (width - 3)] for peer, why in one.ends.items()]
    return sorted(out, key=lambda row: order[str(row[0])]) + ends


def kept(found: list[Found]) -> dict[str, object]:
    columns = [
        *(
            "budget",
            "library",
            "cuts",
            "retained",
            "in context",
            "user text",
            "system text",
            "used",
        ),
        *("over", "unpaired", "errors"),
    ]
    return {
        "title": "What is kept of what the agent is about to use",
        "note": "Histories are cut, made to fit by one call, and compared with the agent's next "
        "tool calls; the columns are those of *What is kept* above. Without a model, a summary is "
        f"a fixed word. {data.named(data.files())}",
        "columns": columns,
        "rows": rows(found, len(columns)),
    }


def cache(found: list[Found]) -> dict[str, object]:
    columns = [
        *("budget", "library", "requests", "mean tokens", "cached", "breaks"),
        *("cost", "over"),
    ]
    return {
        "title": "Prompt cache of a growing session",
        "note": "One request a turn, each library used as in an agent: what keeps its trimmed "
        "history keeps it, the others get the whole history each time. Ours aims for 0.6 of the "
        "budget when it fits. Cost: mean of a request in tokens at the full price, where the "
        "beginning it has in common with the one before costs a tenth, the rest 1.25. A request "
        f"that lost more costs less; see what is kept. {data.named(data.sessions())}",
        "columns": columns,
        "rows": rows(found, len(columns)),
    }


def edges(found: list[Found]) -> dict[str, object]:
    columns = [
        *("case", "library", "survived", "tokens", "over", "unpaired"),
        *("question kept", "raises"),
    ]
    return {
        "title": "Edge cases at a budget of 8,000 tokens",
        "note": "Survived: within the budget, calls and results in pairs, the newest question "
        "there; where the system prompt alone is larger, an error that says so.",
        "columns": columns,
        "rows": rows(found, len(columns)),
    }


def loops(found: list[Found]) -> dict[str, object]:
    columns = [
        *("messages", "library", "budget", "turns", "mean", "median, wall"),
        "first turn",
    ]
    return {
        "title": "Agent loop: append one message, fit",
        "note": f"CPU time per turn, on synthetic traffic of about 120 tokens a message, with the "
        f"same tokenizer. At most {TURNS:,} turns or {CAP:.0f} s a case; the first turn finds the "
        "whole history, and is not in the mean. LiteLLM counts with its own tokenizer; Strands "
        "counts messages, and is counted where it must keep a budget.",
        "columns": columns,
        "rows": [*rows(found, len(columns)), *unmeasured(found, len(columns))],
    }


def unmeasured(found: list[Found], width: int) -> list[list[object]]:
    """The cases a peer did not come to."""
    out: list[list[object]] = []
    for one in found:
        for peer in one.versions:
            done = {tuple(cells[:2]) for cells in one.rows.get(peer, ())}
            for messages, budget in CASES:
                case = (f"{messages:,}", f"{budget:,}")
                if case not in done:
                    empty = [""] * (width - 4)
                    out.append([case[0], peer, case[1], "not one in the time there was", *empty])
    return out


def main() -> None:
    found = all_measured()
    versions = {v for some in found.values() for one in some for v in one.versions.values()}
    tables = [make(found[suite]) for suite, make in TABLES.items()]
    tables[0]["note"] = f"Libraries: {', '.join(sorted(versions))}. {tables[0]['note']}"
    print(json.dumps(tables, indent=None if "--json" in sys.argv else 2))


TABLES = {"kept": kept, "edges": edges, "cache": cache, "loop": loops}


if __name__ == "__main__":
    main()
