"""Kills processes that change a long-term memory, and compares what is left with what was said.

Run as ``ledger.py FOLDER KILLS SEED``; prints kills and acknowledged operations by name as JSON.
The killed processes are forks of this one, which has no threads while it forks.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import pickle
import random
import select
import signal
import sqlite3
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from acting import (
    KEEP,
    OPERATIONS,
    Actor,
    State,
    found,
    is_consolidated,
    same,
    sessions_of_v1,
    whole,
)

from massgen_core.memory import Memory, check_snapshot

V1 = Path(__file__).parents[1] / "data" / "schemas" / "v1.db.gz"
KILLS_PER_FILE = 3 * len(OPERATIONS)
SESSION_OF_V1 = ["Keep this ", "And this o", "", ""]
# How a process ends: at a moment, at a statement of SQL, at a call that Python audits: of a file.
WAYS = ("moment", "statement")
FILES = ("migrate", "snapshot", "restore", "repair")


@dataclass
class Told:
    """What the parent knows: what was acknowledged, and what may have been done beyond."""

    state: State
    pending: State | None = None
    doing: str = ""
    begun: float = 0.0


class Killer:
    """Ends this process at the n-th statement, or audited call, from when it is armed."""

    def __init__(self, way: str) -> None:
        self.way = way
        self.left = 0
        if way == "statement":
            sqlite3.connect = self._traced(sqlite3.connect)
        if way == "call":
            sys.addaudithook(lambda *_: self._count())

    def arm(self, left: int) -> None:
        self.left = self.left or left

    def _count(self) -> None:
        if self.left:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def _traced(self, connect):
        def traced(*args, **kwargs):
            conn = connect(*args, **kwargs)
            conn.set_trace_callback(lambda _: self._count())
            return conn

        return traced


async def act(path: Path, told: Told, target: str, way: str, seed: str, out: int) -> None:
    """In the child: some operations, then the target, then others until the kill."""
    rnd = random.Random(seed)
    killer = Killer(way)

    def say(*what) -> None:
        if what[:2] == ("begin", target):
            killer.arm(rnd.randrange(1, rnd.choice([5, 15, 50])))
        data = pickle.dumps(what)
        os.write(out, len(data).to_bytes(4, "big") + data)

    say("begin", "migrate", told.state)
    async with Memory.open(path) as memory:
        actor = Actor(memory, told.state, rnd, say)
        actor.done("migrate", told.state)
        for _ in range(rnd.randrange(3)):
            await actor.do(rnd.choice(OPERATIONS[1:]))
        for _ in range(20):
            await actor.do(target if target != "migrate" else "add")
        os.kill(os.getpid(), signal.SIGKILL)


def forked(*given) -> tuple[int, int]:
    inward, outward = os.pipe()
    if pid := os.fork():
        os.close(outward)
        return pid, inward
    try:
        os.close(inward)
        asyncio.run(act(*given, outward))
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(1)


class Driver:
    """Kills, checks, counts."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        self.kills = Counter()
        self.acknowledged = Counter()
        self.happened = 0
        self.seconds = dict.fromkeys(OPERATIONS, 0.01)
        self.path = folder
        self.old = False
        self.told = Told(State())

    def run(self, kills: int) -> None:
        for number in range(kills):
            target = OPERATIONS[number % len(OPERATIONS)]
            ways = (*WAYS, "call") if target in FILES else WAYS
            way = ways[number // len(OPERATIONS) % len(ways)]
            kept = self.path, self.told, self.old
            if number % KILLS_PER_FILE == 0:  # from a file of the first schema, or from nothing
                self._fresh_file(number, old=number // KILLS_PER_FILE % 2 == 0)
            elif target == "migrate":
                self._fresh_file(number, old=True)
            self._kill(target, way, number)
            asyncio.run(self._check())
            if target == "migrate" and number % KILLS_PER_FILE:
                self.path, self.told, self.old = kept

    def _fresh_file(self, number: int, *, old: bool) -> None:
        self.path = self.folder / str(number) / "massgen.db"
        self.path.parent.mkdir()
        self.old = old
        if old:
            self.path.write_bytes(gzip.decompress(V1.read_bytes()))
        self.told = Told(State())

    def _kill(self, target: str, way: str, number: int) -> None:
        seed = f"{self.seed} {number}"
        pid, inward = forked(self.path, self.told, target, way, seed)
        rnd = random.Random(seed)
        deadline = None
        while (what := self._read(inward, deadline)) is not None:
            self._hear(*what)
            if way == "moment" and what[:2] == ("begin", target) and deadline is None:
                deadline = time.monotonic() + rnd.random() * 1.5 * self.seconds[target]
        os.kill(pid, signal.SIGKILL)
        while (what := self._read(inward, None)) is not None:  # said before the kill
            self._hear(*what)
        os.close(inward)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert code == -signal.SIGKILL, f"the process ended by itself: {target}, {way}"
        self.kills[self.told.doing or "between"] += 1

    def _hear(self, kind: str, name: str, state: State | None) -> None:
        now = time.monotonic()
        if kind == "begin":
            self.told = Told(self.told.state, state, name, now)
            return
        self.acknowledged[name] += 1
        self.seconds[name] += (now - self.told.begun - self.seconds[name]) / 4
        self.told = Told(state)

    def _read(self, inward: int, deadline: float | None):
        """The next thing the child said; None at the deadline, and where the pipe ends."""
        wait = None if deadline is None else max(0.0, deadline - time.monotonic())
        if not select.select([inward], [], [], wait)[0]:
            return None
        head = _whole(inward, 4)
        data = head and _whole(inward, int.from_bytes(head, "big"))
        return pickle.loads(data) if data else None

    async def _check(self) -> None:
        told = self.told
        async with Memory.open(self.path) as memory:
            await whole(memory, told.doing)
            now = await found(memory, told.state, told.pending or told.state)
            if not same(now, told.state):
                assert await self._is_done(memory, now), self._differs(now)
                self.happened += 1
            now = self._with_snapshots(now, [one.path for one in await memory.snapshots()])
            await memory.forget(await memory.remember("tea goes on", scope={"user": "ada"}))
        if self.old:
            assert await sessions_of_v1(self.path) == SESSION_OF_V1
        self.told = Told(self._adopted(now))

    async def _is_done(self, memory: Memory, now: State) -> bool:
        """Whether what was being done when the kill came was done, all of it."""
        if self.told.doing == "consolidate":
            return await is_consolidated(memory, self.told.state, now)
        return self.told.pending is not None and same(now, self.told.pending)

    def _with_snapshots(self, now: State, listed: list[Path]) -> State:
        """What is there, with a snapshot that was done and not acknowledged.

        Every one is whole, and none that was acknowledged is lost but the oldest.
        """
        for path in listed:
            check_snapshot(path)
        must = [path for path, _ in self.told.state.snapshots][-KEEP + 1 :]
        assert {*must} <= {*listed}, f"snapshots are lost: {must}, {listed}"
        known = [path for path, _ in now.snapshots]
        fresh = [path for path in listed if path not in known]
        assert len(fresh) <= (self.told.doing == "snapshot"), f"whose snapshots are {fresh}?"
        more = tuple((path, self.told.state.records) for path in fresh)
        return replace(now, snapshots=now.snapshots + more)

    def _adopted(self, now: State) -> State:
        """What is there, with what undo brings back where nothing changed since."""
        known = {**self.told.state.records, **(self.told.pending or self.told.state).records}
        records = {
            name: one._replace(before=known[name].before) if one.same(known.get(name)) else one
            for name, one in now.records.items()
        }
        return now.with_records(records)

    def _differs(self, now: State) -> str:
        expected = (self.told.pending or self.told.state).records
        names = sorted(expected.keys() | now.records.keys())
        wrong = [
            (name, self.told.state.records.get(name), expected.get(name), now.records.get(name))
            for name in names
            if expected.get(name) != now.records.get(name)
        ]
        return f"{self.told.doing}: (id, before, expected, found): {wrong[:5]}"


def _whole(inward: int, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := os.read(inward, size - len(data))):
        data += more
    return data if len(data) == size else b""


def main(folder: str, kills: str, seed: str) -> None:
    driver = Driver(Path(folder), int(seed))
    try:
        driver.run(int(kills))
    finally:
        counts = {
            "kills": dict(driver.kills),
            "acknowledged": dict(driver.acknowledged),
            "done but not acknowledged": driver.happened,
        }
        print(json.dumps(counts))  # noqa: T201 - read by the test


if __name__ == "__main__":
    main(*sys.argv[1:])
