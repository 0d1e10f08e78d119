"""How an index is kept up with the log, and asked."""

import sqlite3
import sys
from pathlib import Path

import pytest

from massgen_core.memory import Candidate, Health, Memory, Plugins, _feed

sys.path.insert(0, str(Path(__file__).parent))

from doubles import Index, Letters

ADA = {"user": "ada"}


def vectors_of(index):
    return sum(vector is not None for vector in index.rows.values())


@pytest.mark.parametrize("restart", [False, True])
def test_an_index_gets_the_vectors_that_are_made_later(run, restart):
    """Those of the records that had one already are not sent again."""
    index, embedder = Index(), Letters()

    async def begin(memory):
        await memory.remember("first", scope=ADA)
        await memory.settle()
        embedder.fails = 99
        await memory.remember("second", scope=ADA)
        await memory.recall("tea", scope=ADA)  # the index is told of it now
        assert (2, 1) == (len(index.rows), vectors_of(index))
        embedder.fails = 0
        if not restart:
            await memory.settle()

    run(begin, plugins=Plugins(embedder=embedder, stores={"x": index}))
    if restart:
        run(Memory.settle, plugins=Plugins(embedder=embedder, stores={"x": index}))
    assert (2, 2, 0) == (len(index.rows), vectors_of(index), index.rebuilds)
    assert [1, 2, 2] == [change.seq for change in index.applied]


def test_what_gets_no_vector_is_not_sent_again_and_again(run, tmp_path):
    index = Index()
    plugins = Plugins(embedder=Letters(), stores={"x": index})

    async def work(memory):
        await memory.settle()
        told = len(index.applied)
        for _ in range(3):
            await memory.recall("tea", scope=ADA)
        return told, len(index.applied)

    async def fill(memory):
        for number in range(70):
            await memory.remember(f"tea {number}", scope=ADA)

    run(fill, plugins=Plugins(embedder=Letters()))
    with sqlite3.connect(tmp_path / "massgen.db") as conn:
        conn.execute("UPDATE memory_vector SET sum = sum + 1 WHERE record = 5")
    conn.close()
    assert (140, 140) == run(work, plugins=plugins)
    assert 69 == vectors_of(index)


def sources(hits):
    return {name for hit in hits for name in hit.reasons if name.startswith("store:")}


def test_an_index_that_is_slow_to_catch_up_is_left_out_until_it_has(run, monkeypatch):
    monkeypatch.setattr(_feed, "_CATCH_UP_SECONDS", 0.01)
    index, told = Index(), []
    index.ready.clear()

    async def work(memory):
        await memory.remember("green tea", scope=ADA)
        first = [await memory.recall("tea", scope=ADA) for _ in range(2)]
        index.ready.set()
        await memory.settle()
        return [*map(sources, first), sources(await memory.recall("tea", scope=ADA))]

    found = run(work, plugins=Plugins(stores={"x": index}), told=lambda *what: told.append(what))
    assert [set(), set(), {"store:x"}] == found
    assert [("x", "it is still catching up with the log")] == told
    assert 1 == len(index.applied)


def test_a_memory_is_closed_although_an_index_never_catches_up(run, monkeypatch):
    monkeypatch.setattr(_feed, "_CATCH_UP_SECONDS", 0.01)
    index = Index()
    index.ready.clear()

    async def work(memory):
        await memory.remember("green tea", scope=ADA)
        return await memory.recall("tea", scope=ADA)

    assert 1 == len(run(work, plugins=Plugins(stores={"x": index})))
    assert [] == index.applied


class Piecemeal(Index):
    """Applies one change at each call, and then fails."""

    async def apply(self, batch, /):
        await super().apply(batch[:1])
        if len(batch) > 1:
            raise RuntimeError("enough for now")


def test_an_index_that_gets_on_a_little_at_each_call_catches_up(run):
    index, told = Piecemeal(), []

    async def work(memory):
        for number in range(9):
            await memory.remember(f"tea {number}", scope=ADA)
        await memory.settle()
        return (await memory.verify()).ok

    assert run(work, plugins=Plugins(stores={"x": index}), told=lambda *what: told.append(what))
    assert (9, []) == (len(index.rows), told)


def test_a_check_lets_indexes_catch_up_first(run):
    index = Index()

    async def work(memory):
        await memory.remember("green tea", scope=ADA)
        return (await memory.verify()).problems

    assert () == run(work, plugins=Plugins(stores={"x": index}))
    assert 1 == len(index.rows)


class Elsewhere(Index):
    """Open in another process."""

    async def health(self):
        return Health(ok=False, detail="process 7 has it", busy=True)

    async def rebuild(self):
        raise AssertionError("somebody else's")


def test_an_index_that_another_process_has_open_is_no_damage(run):
    told = []

    async def work(memory):
        await memory.remember("green tea", scope=ADA)
        hits = await memory.recall("tea", scope=ADA)
        await memory.repair()
        return len(hits), await memory.verify()

    stores = {"x": Elsewhere()}
    hits, report = run(work, plugins=Plugins(stores=stores), told=lambda *what: told.append(what))
    assert (1, True, ("x",)) == (hits, report.ok, report.unchecked)
    assert [("x", "process 7 has it")] == told


def test_a_memory_opened_for_reading_only_leaves_indexes_alone(run):
    index = Index()
    run(lambda memory: memory.remember("green tea", scope=ADA))
    hits = run(
        lambda memory: memory.recall("tea", scope=ADA),
        plugins=Plugins(stores={"x": index}),
        read_only=True,
    )
    assert ["green tea"] == [hit.record.text for hit in hits]
    assert ([], 0) == (index.applied, index.searches)


def test_a_recall_that_does_not_count_leaves_no_use(run):
    async def work(memory):
        await memory.remember("green tea", scope=ADA)
        await memory.recall("tea", scope=ADA, counts=False)
        await memory.recall("tea", scope=ADA)

    async def look(memory):
        return (await memory.recall("tea", scope=ADA))[0].record.use_count

    run(work)
    assert 1 == run(look)


@pytest.mark.parametrize(
    ("method", "gives"),
    [
        *(("search", gives) for gives in (5, [None], [Candidate("x", None)], [("x", 1.0)])),
        *(("health", gives) for gives in (None, True, "well")),
        *(("watermark", gives) for gives in (None, "7", 0.5)),
    ],
)
def test_an_index_that_gives_something_else_costs_nothing_but_its_help(run, method, gives):
    index, told = Index(), []

    async def odd(*_):
        return gives

    setattr(index, method, odd)

    async def work(memory):
        await memory.remember("green tea", scope=ADA)
        hits = await memory.recall("tea", scope=ADA)
        await memory.verify()
        return [hit.record.text for hit in hits]

    plugins = Plugins(stores={"x": index})
    assert ["green tea"] == run(work, plugins=plugins, told=lambda *what: told.append(what))
    assert "x" in {name for name, _ in told}


@pytest.mark.parametrize("reopened", [False, True])
def test_after_a_restore_an_index_is_built_anew(run, reopened):
    """The log grows past the index's watermark again, with other memories."""
    index = Index()
    plugins = Plugins(stores={"x": index})

    async def begin(memory):
        await memory.remember("kept", scope=ADA)
        await memory.settle()
        snapshot = await memory.snapshot()
        for number in range(3):
            await memory.remember(f"undone {number}", scope=ADA)
        await memory.settle()
        await memory.restore(snapshot.path)
        if not reopened:
            await grow(memory)

    async def grow(memory):
        for number in range(3):
            await memory.remember(f"new {number}", scope=ADA)
        await memory.settle()
        hits = await memory.recall("new", scope=ADA)
        assert {hit.record.id for hit in hits} == set(index.rows)

    run(begin, plugins=plugins)
    if reopened:
        run(grow, plugins=plugins)
    assert (4, 1) == (len(index.rows), index.rebuilds)
