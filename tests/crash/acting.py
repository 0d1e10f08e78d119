"""Random operations on long-term memory, and what each must leave behind: run to be killed.

An `Actor` says what it is about to do (``begin``, with the state that will be true after it) and
what it has done (``done``). A state is compared with what a fresh process finds.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from massgen_core.errors import RecordNotFound
from massgen_core.memory import NewMemory, Retention, Scope
from massgen_core.sessions import SessionStore

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from massgen_core.memory import Memory

ADA = Scope(user="ada")
WORDS = ("tea", "milk", "sugar", "lemon", "honey", "mint", "pot", "cup", "leaf", "steam")
KEEP = 3
ALL = ("active", "superseded", "invalidated")
OPERATIONS = (
    *("migrate", "add", "remember_many", "update", "forget", "gc"),
    *("snapshot", "restore", "consolidate", "undo", "compact", "repair"),
)


class Standing(NamedTuple):
    """Where one memory stands."""

    text: str
    state: str
    rev: int
    before: str | None = None
    """The text that `undo` brings back; not compared, nor is what follows."""
    sources: tuple[str, ...] = ()
    purged: bool = False
    """Whether it went because it was no longer needed, so that what was made of it may stay."""

    def same(self, other: Standing | None) -> bool:
        return other is not None and self[:3] == other[:3]

    def gone(self, *, purged: bool = False) -> Standing:
        return Standing("", "tombstone", self.rev + 1, purged=purged)

    def marked(self, state: str) -> Standing:
        return self._replace(state=state, rev=self.rev + 1, before=None)

    def saying(self, text: str, before: str | None) -> Standing:
        return self._replace(text=text, rev=self.rev + 1, before=before)


@dataclass(frozen=True)
class State:
    """All that must be found: memories by id, and acknowledged snapshots, oldest first."""

    records: dict[str, Standing] = field(default_factory=dict)
    snapshots: tuple[tuple[Path, dict[str, Standing]], ...] = ()
    made: int = 0
    """How many ids were given away: none is used twice."""

    def having(self, **records: Standing) -> State:
        return self.with_records({**self.records, **records})

    def with_records(self, records: dict[str, Standing]) -> State:
        return replace(self, records=records)

    def ids(self, *states: str) -> list[str]:
        return [one for one, standing in self.records.items() if standing.state in states]


class Actor:
    """Does one thing after another in one memory."""

    def __init__(
        self, memory: Memory, state: State, rnd: random.Random, say: Callable[..., None]
    ) -> None:
        self.memory = memory
        self.state = state
        self.rnd = rnd
        self.say = say

    async def do(self, name: str) -> None:
        await getattr(self, name)()

    def begin(self, name: str, after: State | None) -> None:
        """Say what is about to be done; without a state to expect, only that it is whole."""
        self.say("begin", name, after)

    def done(self, name: str, state: State) -> None:
        self.state = state
        self.say("done", name, state)

    def _text(self) -> str:
        words = self.rnd.choices(WORDS, k=self.rnd.choice([3, 8, 40, 400]))
        return f"tea {self.rnd.getrandbits(40):010x} {' '.join(words)}"

    def _new(self, number: int) -> NewMemory:
        kept = self.state.ids("active")
        same = self.rnd.random() < 0.3 and kept
        text = self.state.records[self.rnd.choice(kept)].text if same else self._text()
        return NewMemory(
            text=text,
            scope=replace(ADA, session=self.rnd.choice(["", "s1", "s2"])),
            kind=self.rnd.choice(["fact", "fact", "note", "message"]),
            source_ids=tuple(self.rnd.sample(kept, 1)) if kept and self.rnd.random() < 0.2 else (),
            id=f"r{number}",
        )

    def _more(self, count: int) -> tuple[list[NewMemory], State]:
        news = [self._new(self.state.made + number) for number in range(count)]
        records = {
            str(new.id): Standing(new.text, "active", 1, sources=new.source_ids) for new in news
        }
        return news, replace(self.state.having(**records), made=self.state.made + count)

    async def add(self) -> None:
        (new,), after = self._more(1)
        self.begin("add", after)
        given = {"kind": new.kind, "source_ids": new.source_ids, "id": new.id}
        await self.memory.remember(new.text, scope=new.scope, **given)
        self.done("add", after)

    async def remember_many(self) -> None:
        news, after = self._more(self.rnd.randrange(2, 20))
        self.begin("remember_many", after)
        await self.memory.remember_many(news)
        self.done("remember_many", after)

    async def update(self) -> None:
        name = await self._one("active")
        was, text = self.state.records[name], self._text()
        after = self.state.having(**{name: was.saying(text, was.text)})
        self.begin("update", after)
        await self.memory.update(name, text=text, expected_rev=was.rev)
        self.done("update", after)

    async def undo(self) -> None:
        if not self._undoable():
            await self.update()
        name = self.rnd.choice(self._undoable())
        now = self.state.records[name]
        after = self.state.having(**{name: now.saying(now.before or "", None)})
        self.begin("undo", after)
        await self.memory.undo(name)
        self.done("undo", after)

    def _undoable(self) -> list[str]:
        return [name for name, one in self.state.records.items() if one.before is not None]

    async def forget(self) -> None:
        await self._one(*ALL)
        there = self.state.ids(*ALL)
        names = self.rnd.sample(there, min(2, len(there)))
        gone = (await self.memory.forget(names, dry_run=True)).ids
        after = self.state.having(**{one: self.state.records[one].gone() for one in gone})
        self.begin("forget", after)
        assert (await self.memory.forget(names)).ids == gone
        self.done("forget", after)

    async def gc(self) -> None:
        await self._one("active")
        left = max(1, len(self.state.ids("active")) - self.rnd.randrange(6))
        options = {"policy": Retention(max_records=left, grace=0), "now": time.time()}
        plan = await self.memory.gc(**options, dry_run=True)
        marked = {one.record.id for one in plan.marked}
        purged = {one.record.id for one in plan.purged}
        after = self.state.having(
            **{one: self.state.records[one].marked("invalidated") for one in marked},
            **{one: self.state.records[one].gone(purged=True) for one in purged},
        )
        self.begin("gc", after)
        await self.memory.gc(**options)
        self.done("gc", after)

    async def consolidate(self) -> None:
        await self._one("active")
        self.begin("consolidate", None)
        done = await self.memory.consolidate(ADA)
        records = {
            **{one: self.state.records[one].marked("superseded") for one in done.superseded},
            **{one: await standing(self.memory, one) for one in done.merged},
        }
        self.done("consolidate", self.state.having(**records))

    async def compact(self) -> None:
        self.begin("compact", self.state)
        await self.memory.compact()
        self.done("compact", self.state)

    async def repair(self) -> None:
        """Of a row of the table that does not say what the log says."""
        name = await self._one(*ALL)
        self.begin("repair", self.state)
        damage = "UPDATE memory_record SET kind = 'lie', rev = rev + 7 WHERE id = ?"
        await self.memory._database.write(lambda conn: conn.execute(damage, (name,)).rowcount)
        mended = await self.memory.repair()
        assert mended.rows
        self.done("repair", self.state)

    async def snapshot(self) -> None:
        await self._one("active")
        self.begin("snapshot", self.state)
        made = await self.memory.snapshot(keep=KEEP)
        kept = (*self.state.snapshots, (made.path, self.state.records))[-KEEP:]
        self.done("snapshot", replace(self.state, snapshots=kept))

    async def restore(self) -> None:
        if not self.state.snapshots:
            await self.snapshot()
            await self.add()
            await self.forget()
        path, then = self.rnd.choice(self.state.snapshots)
        after = self.state.with_records(restored(then, self.state.records))
        self.begin("restore", after)
        await self.memory.restore(path)
        self.done("restore", after)

    async def _one(self, *states: str) -> str:
        """The id of a memory in one of the states; remembered now if there is none."""
        while not (ids := self.state.ids(*states)):
            await self.add()
        return self.rnd.choice(ids)


def restored(then: dict[str, Standing], now: dict[str, Standing]) -> dict[str, Standing]:
    """What a snapshot brings back: all of it but what was erased since, which stays erased.

    What was made of something forgotten goes with it, where it is only known to the snapshot too.
    """
    stones = {name: one for name, one in now.items() if _is_stone(one)}
    there = {name: one for name, one in then.items() if not _is_stone(one)}
    gone = stones.keys() & there.keys()
    forgotten = {name for name in gone if not stones[name].purged}
    while more := {n for n, one in there.items() if forgotten & {*one.sources}} - forgotten:
        forgotten |= more
    erased = {name: there[name].gone(purged=name not in forgotten) for name in gone | forgotten}
    buried = {name: Standing("", "tombstone", 1, purged=one.purged) for name, one in stones.items()}
    return {**buried, **then, **erased}


def _is_stone(standing: Standing) -> bool:
    return standing.state == "tombstone"


async def standing(memory: Memory, record_id: str) -> Standing:
    record = await memory.get(record_id)
    purged = (await memory.history(record_id))[-1].op == "purge"
    return Standing(record.text, record.state, record.rev, sources=record.source_ids, purged=purged)


async def found(memory: Memory, *known: State) -> State:
    """The state as it is on disk; `known` names ids and snapshots that may be there."""
    records = {
        one.id: Standing(one.text, one.state, one.rev, sources=one.source_ids)
        for one in await memory.timeline({}, states=ALL)
    }
    active = {name for name, one in records.items() if one.state == "active"}
    hits = await memory.recall("tea", scope=ADA, k=10_000)
    assert {hit.record.id for hit in hits} == active, "recall and timeline differ"
    for name in {name for one in known for name in one.records} - records.keys():
        with contextlib.suppress(RecordNotFound):
            records[name] = await standing(memory, name)
    listed = {one.path for one in await memory.snapshots()}
    kept = tuple(one for one in known[-1].snapshots if one[0] in listed)
    return State(records, kept, max(one.made for one in known))


async def whole(memory: Memory, doing: str) -> None:
    """Nothing is wrong on disk; only a repair that did not come to its end is done once more."""
    report = await memory.verify()
    if doing == "repair" and not report.ok:
        await memory.repair()
        report = await memory.verify()
    assert report.ok, report.problems


def same(one: State, other: State) -> bool:
    """Whether two states hold the same memories."""
    return one.records.keys() == other.records.keys() and all(
        standing.same(other.records[name]) for name, standing in one.records.items()
    )


async def is_consolidated(memory: Memory, before: State, after: State) -> bool:
    """Whether the one state is the other, with groups of memories replaced by one each."""
    fresh = after.records.keys() - before.records.keys()
    gone = {
        name
        for name, one in before.records.items()
        if one.state == "active" and one.marked("superseded").same(after.records.get(name))
    }
    replaced = {old for name in fresh for old in (await memory.get(name)).supersedes}
    kept = {name: one for name, one in after.records.items() if name not in fresh | gone}
    expected = {name: one for name, one in before.records.items() if name not in gone}
    return replaced == gone and same(State(kept), State(expected))


async def sessions_of_v1(path: Path) -> list[str]:
    """The session that the file of the first schema has, checked."""
    async with SessionStore.open(path) as store:
        assert (await store.verify()).ok
        return [entry.message.text[:10] for entry in await store.read("first")]
