"""Damages the files of a long-term memory, one way after another, and says what became of it.

``damage.py FOLDER COUNT SEED`` prints as JSON, by file and damage, how often it was *refused* (a
typed error), *reported* (`verify` names it) or *harmless* (every read is as before), and as
``silent`` each damage after which `verify` was content and a read was wrong.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sys
from collections import Counter
from pathlib import Path

from massgen_core.errors import MassgenError, RecordNotFound
from massgen_core.memory import Memory, NewMemory, Retention, Scope

ADA = Scope(user="ada")
FILES = ("database", "log", "snapshot", "archive")
WAYS = ("bit", "zeroes", "cut")


async def fill(memory: Memory, start: int) -> None:
    """Memories of every kind of storage: inline, in blobs, changed, forgotten, granted."""
    news = [
        NewMemory(
            text=f"tea {n} " * (1 + n % 40),
            scope=Scope(user="ada", session=f"s{n % 3}"),
            kind="fact" if n % 3 else "message",
            pinned=n % 7 == 0,
            id=f"r{n}",
        )
        for n in range(start, start + 40)
    ]
    await memory.remember_many(news[:30])
    for new in news[30:]:
        await memory.remember_many([new])
    for n in range(start, start + 5):
        await memory.update(f"r{n}", text=f"tea {n} changed")
    if start == 0:  # these move the log into the file
        await memory.forget(["r5", "r6"])
        await memory.gc(Retention(max_records=34), scope=ADA)
    await memory.grant(f"bob{start}", ADA)


async def reads(memory: Memory) -> dict[str, object]:
    """What every way to read gives."""
    hits = await memory.recall("tea", scope=ADA, k=1000)
    states = ("active", "superseded", "invalidated")
    line = await memory.timeline(ADA, states=states)
    stats = await memory.stats()
    return {
        "recall": sorted((hit.record.id, hit.record.text) for hit in hits),
        "first": [hit.record.id for hit in hits[:3]],
        "timeline": [(one.id, one.rev, one.state, one.sha256) for one in line],
        "history": [await history(memory, f"r{n}") for n in range(80)],
        "grants": await memory.grants(),
        "stats": [stats.by_state, stats.by_kind, stats.by_scope],
    }


async def history(memory: Memory, record_id: str) -> object:
    try:
        return [(one.op, one.at, one.actor) for one in await memory.history(record_id)]
    except RecordNotFound:
        return None


async def opened(path: Path) -> tuple[bool, dict[str, object]]:
    async with Memory.open(path) as memory:
        return (await memory.verify()).ok, await reads(memory)


class Files:
    """A memory on disk as a kill leaves it, with a snapshot and an archive; and copies of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.whole = folder / "whole"
        self.truth: dict[str, object] = {}

    async def make(self) -> None:
        self.whole.mkdir()
        living = self.folder / "living" / "massgen.db"
        async with Memory.open(living) as memory:
            await fill(memory, 0)
        async with Memory.open(living) as memory:
            await fill(memory, 40)
            shutil.copytree(living.parent, self.whole, dirs_exist_ok=True)  # as a kill leaves it
            made = await memory.snapshot(self.whole / "snapshots")
            await memory.export(self.whole / "archive")
        self.snapshot = made.path.relative_to(self.whole)
        closed = self.copy("closed", "log")
        self.truth = (await opened(closed / "massgen.db"))[1]

    def copy(self, name: str, file: str) -> Path:
        """A copy: as a kill leaves it; for damage to the database, with all that is in the log."""
        target = self.folder / name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.folder / "closed" if file == "database" else self.whole, target)
        return target

    def named(self, file: str) -> Path:
        names = {"database": "massgen.db", "log": "massgen.db-wal", "archive": "archive"}
        return Path(names.get(file, self.snapshot))


def damaged(path: Path, way: str, rnd: random.Random) -> str:
    """Damage a file; what was done, in words."""
    data = bytearray(path.read_bytes())
    place = rnd.randrange(len(data))
    if way == "bit":
        data[place] ^= 1 << rnd.randrange(8)
    elif way == "zeroes":
        length = rnd.choice([1, 16, 512, 4096])
        data[place : place + length] = bytes(len(data[place : place + length]))
    else:
        del data[place:]
    path.write_bytes(data)
    return f"{way} at {place} of {path.name}"


async def read_damaged(files: Files, file: str, folder: Path) -> tuple[bool, dict[str, object]]:
    """`verify` and all reads by way of the damaged file."""
    path = folder / "massgen.db"
    if file in {"snapshot", "archive"}:  # brought into a memory of its own
        path = folder / "other" / "massgen.db"
        async with Memory.open(path) as memory:
            if file == "snapshot":
                await memory.restore(folder / files.snapshot)
            else:
                await memory.import_(folder / "archive")
    return await opened(path)


async def one(files: Files, file: str, way: str, rnd: random.Random) -> tuple[str, str]:
    folder = files.copy("damaged", file)
    what = damaged(folder / files.named(file), way, rnd)
    try:
        ok, found = await read_damaged(files, file, folder)
    except MassgenError:
        return "refused", what
    if not ok:
        return "reported", what
    if found == files.truth:
        return "harmless", what
    wrong = [key for key, value in found.items() if value != files.truth[key]]
    return "silent", f"{what}: {wrong} differ"


async def main(folder: str, count: str, seed: str) -> None:
    files = Files(Path(folder))
    await files.make()
    outcomes: Counter[str] = Counter()
    silent = []
    for number in range(int(count)):
        file, way = FILES[number % 4], WAYS[number // 4 % 3]
        outcome, what = await one(files, file, way, random.Random(f"{seed} {number}"))
        outcomes[f"{file}, {way}: {outcome}"] += 1
        if outcome == "silent":
            silent.append(what)
    print(json.dumps({"outcomes": dict(sorted(outcomes.items())), "silent": silent}))  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
