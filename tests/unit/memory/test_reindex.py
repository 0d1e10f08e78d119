import asyncio
import sqlite3
import subprocess
import sys
from array import array
from pathlib import Path

import pytest

from massgen_core.memory import Memory, Plugins

sys.path.insert(0, str(Path(__file__).parent))

from doubles import Index, Letters

ADA = {"user": "ada"}


async def fill(memory):
    for number in range(70):
        await memory.remember(f"tea {number}", scope=ADA)


def test_reindex_makes_what_is_missing_and_drops_what_is_of_another_embedder(run):
    seen = []

    async def work(memory):
        done = await memory.reindex(lambda *step: seen.append(step))
        assert (70, 0, 70, ("x",), ()) == (
            *(done.vectors, done.missing, done.dropped, done.rebuilt, done.failed),
        )
        again = await memory.reindex()
        assert (0, 0, 0) == (again.vectors, again.missing, again.dropped)
        assert (await memory.stats()).disk.vectors == 70 * 3 * 4

    run(fill, plugins=Plugins(embedder=Letters()))
    index, embedder = Index(), Letters("xyz")
    embedder.fails = 1  # what starts at open gives up at once; reindex makes them
    run(work, plugins=Plugins(embedder=embedder, stores={"x": index}))
    assert 70 == len(embedder.made)
    assert ("vectors", 70, 70) in seen
    assert [("index x", 0, 1), ("index x", 1, 1)] == seen[-2:]
    assert 2 == index.rebuilds
    assert {3} == {len(vector) for vector in index.rows.values()}


def test_an_index_of_what_was_before_a_restore_is_made_again(run):
    index = Index()

    async def work(memory):
        made = await memory.snapshot()
        await memory.remember("tea one", scope=ADA, id="1")
        await memory.settle()
        await memory.restore(made.path)
        await memory.remember("tea two", scope=ADA, id="2")  # the log is as long as before
        await memory.settle()
        assert (await memory.verify()).ok

    run(work, plugins=Plugins(stores={"x": index}))
    assert ["2"] == list(index.rows)


def test_vectors_of_another_embedder_stay_until_all_are_made(run):
    async def work(memory):
        done = await memory.reindex()
        assert (0, 70, 0, ()) == (done.vectors, done.missing, done.dropped, done.rebuilt)
        assert ("x",) == done.failed
        return (await memory.stats()).disk.vectors, await memory.recall("tea", scope=ADA)

    run(fill, plugins=Plugins(embedder=Letters()))
    index = Index()
    index.broken = True
    plugins = Plugins(embedder=Letters("xyz", fails=9), stores={"x": index})
    size, hits = run(work, plugins=plugins)
    assert 70 * 5 * 4 == size
    assert 5 == len(hits)


def test_another_embedder_is_filled_in_from_the_moment_of_opening(run):
    async def work(memory):
        assert 5 == len(await memory.recall("tea", scope=ADA))  # by words, meanwhile
        await memory.settle()
        (hit, *_) = (await memory.explain("tea", scope=ADA)).candidates
        return hit.terms

    run(fill)
    embedder = Letters()
    found = run(work, plugins=Plugins(embedder=embedder))
    assert 70 == len(embedder.made)
    assert "dense" in found


def test_a_damaged_memory_does_not_keep_others_from_their_vectors(run, tmp_path):
    run(fill)
    with sqlite3.connect(tmp_path / "massgen.db") as conn:
        conn.execute("UPDATE memory_log SET text = 'x' WHERE seq BETWEEN 1 AND 64")
    conn.close()

    async def work(memory):
        await memory.settle()
        return (await memory.stats()).disk.vectors

    assert 6 * 5 * 4 == run(work, plugins=Plugins(embedder=Letters()))


@pytest.mark.parametrize("then", ["update", "forget"])
def test_a_vector_that_is_made_too_late_is_not_kept(run, tmp_path, then):
    """That of the newer text stays, and there is none of what was forgotten."""
    embedder, asked, release = Letters("xy"), asyncio.Event(), asyncio.Event()
    embed = embedder.embed

    async def waits(texts, /, *, purpose):
        if "xx" in texts:
            asked.set()
            await release.wait()
        return await embed(texts, purpose=purpose)

    async def begin(memory):
        await memory.remember("xx", scope=ADA, kind="note", id="1")
        await memory.remember("xy", scope=ADA, kind="note", id="2")

    async def work(memory):
        await memory.recall("xx", scope=ADA)  # loads the scope
        await asked.wait()
        await (memory.update("1", text="yy") if then == "update" else memory.forget("1"))
        await memory.recall("xx", scope=ADA)
        release.set()
        await memory._vectorizer._filling
        return [hit.record.id for hit in await memory.recall("yyyy", scope=ADA)]

    run(begin)
    embedder.embed = waits
    hits = run(work, plugins=Plugins(embedder=embedder))
    assert {"update": ["1", "2"], "forget": ["2"]}[then] == hits
    with sqlite3.connect(tmp_path / "massgen.db") as conn:
        rows = conn.execute("SELECT record, data FROM memory_vector ORDER BY record").fetchall()
    conn.close()
    vectors = [(record, array("f", data).tolist()) for record, data in rows]
    assert [*([(1, [1.0, 3.0])] if then == "update" else []), (2, [2.0, 2.0])] == vectors


def test_the_embedder_is_asked_once_more_after_the_last_pause(run, monkeypatch):
    monkeypatch.setattr("massgen_core.memory._embedding._PAUSES", (0.0, 0.0))

    async def work(memory):
        await memory._vectorizer._filling
        return await memory._vectorizer.missing()

    run(lambda memory: memory.remember("tea", scope=ADA))
    assert 0 == run(work, plugins=Plugins(embedder=Letters(fails=2)))


def test_a_kill_while_vectors_are_made_keeps_those_that_were_made(run, tmp_path):
    async def fill_more(memory):
        for _ in range(3):
            await fill(memory)

    run(fill_more, synchronous="normal")
    script = Path(__file__).with_name("embedding.py")
    with subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert "128\n" == process.stdout.readline()
        process.kill()
    embedder = Letters()
    done = run(lambda memory: memory.reindex(), plugins=Plugins(embedder=embedder))
    assert 0 == done.missing
    assert 210 - 128 == len(embedder.made)


def test_two_that_open_the_same_file_see_each_others_vectors(tmp_path):
    async def main():
        async with Memory.open(tmp_path) as plain:
            await fill(plain)
        slow = Letters()
        release = asyncio.Event()
        embed = slow.embed

        async def waits(texts, /, *, purpose):
            await release.wait()
            return await embed(texts, purpose=purpose)

        slow.embed = waits
        async with Memory.open(tmp_path, plugins=Plugins(embedder=slow)) as one:
            assert 0.0 == (await one.explain("tea", scope=ADA)).embedded
            async with Memory.open(tmp_path, plugins=Plugins(embedder=Letters())) as two:
                await two.settle()
            release.set()
            await one._vectorizer._filling
            return (await one.explain("tea", scope=ADA)).embedded

    assert 1.0 == asyncio.run(main())
