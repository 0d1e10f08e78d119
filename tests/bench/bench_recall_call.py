"""A whole recall from a memory on disk: CPU time of the call, the query's embedding left out.

    python tests/bench/bench_recall_call.py [--json]

`bench_recall` measures the ranking alone, and how good it is.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from dialogues import asked, made_up

from massgen_core.memory import Memory, NewMemory, Plugins, Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from massgen_core.memory._ranking import Doc

QUERIES, BATCH = 100, 1_000
SIZES = (1_000, 10_000, 100_000)
ADA = {"user": "ada"}


class Drawn:
    """Vectors drawn by the text, and the CPU time that took."""

    identity, dimensions = "bench/drawn/1/384/none", 384

    def __init__(self) -> None:
        self.spent = 0.0

    async def embed(self, texts: Sequence[str], /, *, purpose: str) -> list[list[float]]:
        begun = time.process_time()
        drawn = [np.random.default_rng(zlib.crc32(one.encode())) for one in texts]
        vectors = [one.standard_normal(self.dimensions).tolist() for one in drawn]
        self.spent += time.process_time() - begun
        return vectors

    async def close(self) -> None: ...


def new(doc: Doc) -> NewMemory:
    return NewMemory(
        text=doc.text,
        scope=Scope(user="ada", session=doc.thread),
        speaker=doc.speaker,
        session_no=doc.session_no,
        turn_no=doc.turn_no,
        event_time=doc.time,
    )


async def measured(docs: list[Doc], embedder: Drawn | None) -> tuple[str, str]:
    """Of the first call, which loads the scope; and of the others."""
    spent = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "massgen.db"
        async with Memory.open(path, plugins=Plugins(embedder=embedder)) as memory:
            for start in range(0, len(docs), BATCH):
                await memory.remember_many(map(new, docs[start : start + BATCH]))
        async with Memory.open(path, plugins=Plugins(embedder=embedder)) as memory:
            await memory.settle()
            for query in asked(docs, QUERIES):
                asking = embedder.spent if embedder else 0.0
                begun = time.process_time()
                hits = await memory.recall(query, scope=ADA, k=10)
                took = time.process_time() - begun
                spent.append(took - (embedder.spent - asking if embedder else 0.0))
                assert len(hits) == 10
    first, *others = spent
    ranked = sorted(1e3 * one for one in others)
    return (
        f"{first:.2f} s",
        f"{statistics.median(ranked):.1f} / {ranked[int(len(ranked) * 0.95)]:.1f} ms",
    )


async def row(count: int) -> list[str]:
    docs = list(made_up(count))
    loading, words = await measured(docs, None)
    _, vectors = await measured(docs, Drawn())
    return [f"{count:,}", loading, words, vectors]


def main() -> None:
    table = {
        "title": "Recall: the whole call",
        "note": "CPU time of `Memory.recall` over made-up dialogues in one scope of a file: "
        "rights, ranking, and each hit checked against the ledger; ten records. Median / 95th "
        "percentile; vectors of 384 numbers, drawn by the text, and the query's embedding left "
        "out. The first call loads the scope.",
        "columns": ["records", "first call", "by words", "with vectors"],
        "rows": [asyncio.run(row(count)) for count in SIZES],
    }
    print(json.dumps(table) if "--json" in sys.argv else json.dumps(table, indent=2))


if __name__ == "__main__":
    main()
