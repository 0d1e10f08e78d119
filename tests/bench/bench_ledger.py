"""Adding to long-term memory, durably: beside bare SQLite inserts of the same durability.

    python tests/bench/bench_ledger.py [--json]

The floor is one row of the same text a transaction, in a table with an index of its time, in
write-ahead mode with `synchronous = FULL`, on the same disk in the same run. It is measured where
it blocks the event loop, and by `asyncio.to_thread`, as a program must call it that does other
things meanwhile. All take turns.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dialogues import made_up

from massgen_core.memory import Memory, NewMemory, Scope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from massgen_core.memory._ranking import Doc

SINGLES, ROUNDS, BATCH, BATCHES = 100, 6, 1_000, 20
SIZES = (1_000, 10_000, 50_000)
SCOPE = Scope(user="ada")


def new(doc: Doc) -> NewMemory:
    return NewMemory(text=doc.text, scope=SCOPE, speaker=doc.speaker, event_time=doc.time)


def bare(path: Path) -> sqlite3.Connection:
    conn = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    conn.execute("PRAGMA journal_mode = WAL")
    conn.execute("PRAGMA synchronous = FULL")
    conn.execute("CREATE TABLE said (id TEXT PRIMARY KEY, speaker TEXT, time REAL, text TEXT)")
    conn.execute("CREATE INDEX said_time ON said (time)")
    return conn


def insert(conn: sqlite3.Connection, docs: list[Doc], begun: int) -> None:
    rows = [(f"{begun + n:032x}", doc.speaker, doc.time, doc.text) for n, doc in enumerate(docs)]
    conn.execute("BEGIN IMMEDIATE")
    conn.executemany("INSERT INTO said VALUES (?, ?, ?, ?)", rows)
    conn.execute("COMMIT")


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    start = time.perf_counter()
    await work()
    return time.perf_counter() - start


async def turns(
    memory: Memory, floors: tuple[sqlite3.Connection, sqlite3.Connection], size: int, rounds: int
) -> list[list[float]]:
    """Seconds of each call: ours, bare SQLite's, and bare SQLite's in a thread."""
    here, apart = floors
    docs = list(islice(made_up(size * rounds), size * rounds))
    spent: list[list[float]] = [[], [], []]

    async def blocking(some: list[Doc], at: int) -> None:
        insert(here, some, at)

    for at in range(0, size * rounds, size):
        some = docs[at : at + size]
        calls = (
            lambda some=some: memory.remember_many([new(doc) for doc in some]),
            lambda some=some, at=at: blocking(some, at),
            lambda some=some, at=at: asyncio.to_thread(insert, apart, some, at),
        )
        for call, times in zip(calls, spent, strict=True):
            times.append(await timed(call))
    return spent


async def adding() -> list[list[str]]:
    rows = []
    for size, rounds in ((1, SINGLES * ROUNDS), (BATCH, BATCHES)):
        with tempfile.TemporaryDirectory() as folder:
            floors = bare(Path(folder) / "bare.db"), bare(Path(folder) / "apart.db")
            async with Memory.open(Path(folder) / "ours.db") as memory:
                spent = await turns(memory, floors, size, rounds)
            for conn in floors:
                conn.close()
        mine, *others = map(statistics.median, spent)
        label = "one a call" if size == 1 else f"{size:,} a call"
        cells = [f"{1e6 * mine / size:,.0f} µs"]
        for floor in others:
            cells += [f"{1e6 * floor / size:,.0f} µs", f"{mine / floor:.2f}"]
        rows.append([label, *cells, f"{size / mine:,.0f} / s"])
    return rows


def on_disk(folder: str) -> int:
    return sum(file.stat().st_size for file in Path(folder).glob("ours.db*") if file.is_file())


async def growing() -> list[list[str]]:
    """Bytes a record at several sizes, its text and its log entry among them."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ours.db"
        docs, done, text = made_up(max(SIZES)), 0, 0
        for size in SIZES:
            async with Memory.open(path) as memory:
                while done < size:
                    some = list(islice(docs, min(BATCH, size - done)))
                    await memory.remember_many([new(doc) for doc in some])
                    done += len(some)
                    text += sum(len(doc.text.encode()) for doc in some)
            used = on_disk(folder)
            rows.append([f"{size:,}", f"{used / size:,.0f}", f"{text / size:,.0f}"])
    return rows


def tables() -> list[dict[str, Any]]:
    return [
        {
            "title": "Memory: adding, durably",
            "note": "Wall time a record, median of the calls, on disk before the call returns. "
            "Floor: bare SQLite, one transaction a call, with the same durability and on the same "
            "disk, in turns with ours; in a thread: by `asyncio.to_thread`, so that the event loop "
            "goes on meanwhile, as it does with ours. Ours writes a record, a log entry in the "
            "hash chain, and what waits for an extractor; its commit takes as long as the floor's. "
            "What it takes beside, about 0.2 ms, is the same on any disk, so that the ratio nears "
            "1 where flushes are slow.",
            "columns": [
                *("records", "ours", "floor", "ratio", "in a thread", "ratio"),
                "records a second",
            ],
            "rows": asyncio.run(adding()),
        },
        {
            "title": "Memory: size on disk",
            "note": "Bytes of all files, a record, without vectors; and of its text among them.",
            "columns": ["records", "bytes each", "of them text"],
            "rows": asyncio.run(growing()),
        },
    ]


def main() -> None:
    found = tables()
    if "--json" in sys.argv[1:]:
        print(json.dumps(found))
        return
    for table in found:
        print(table["title"])
        for line in (table["columns"], *table["rows"]):
            print("".join(f"{cell:>18}" for cell in line))


if __name__ == "__main__":
    main()
