"""The transcripts that are measured on, and where they are from."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from massgen_core.measure import read_transcripts

if TYPE_CHECKING:
    from massgen_core.measure import Transcript
    from massgen_core.tokens import TokenCounter

VARIABLE = "BENCH_FILES"
"""Paths of transcripts, as in PATH; the excerpts of tests/data if it is not set."""

EXCERPTS = Path(__file__).parents[1] / "data"
PI = "badlogic/pi-mono at 83378aad, packages/coding-agent/test/fixtures (MIT)"
TAU = "sierra-research/tau-bench at 59a200c, historical_trajectories (MIT)"
ORIGINS = {  # by the beginning of the SHA-256 of the file
    "5e19eb98": f"an excerpt of a coding session, from {PI}",
    "ceabcc04": f"excerpts of customer-service episodes, from {TAU}",
    "cf732619": f"the coding session `large-session.jsonl`, from {PI}",
    "8d0cb127": f"the first 100 airline episodes of gpt-4o, from {TAU}",
}


def files() -> list[Path]:
    given = [Path(name) for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name]
    return given or [EXCERPTS / "pi-session.jsonl", EXCERPTS / "tau-bench-airline.json"]


def origin(path: Path) -> str:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return ORIGINS.get(digest[:8], f"`{path.name}`, sha256 {digest[:8]}")


def sessions() -> list[Path]:
    """The files with one long session each."""
    return [path for path in files() if path.suffix == ".jsonl"]


def episodes() -> list[Path]:
    """The files with many short conversations."""
    return [path for path in files() if path.suffix != ".jsonl"]


def read(paths: list[Path], counter: TokenCounter) -> list[Transcript]:
    return [
        transcript
        for path in paths
        for transcript in read_transcripts(path.read_text("utf-8"), counter, name=path.stem)
    ]


def named(paths: list[Path]) -> str:
    """Where the data is from, for the note of a table."""
    return "Data: " + "; ".join(map(origin, paths)) + "."
