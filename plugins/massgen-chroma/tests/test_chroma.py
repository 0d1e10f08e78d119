"""What Chroma does to an index, and what the store makes of it."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from chromadb.api.shared_system_client import SharedSystemClient

from massgen_chroma.entries import unit
from massgen_chroma.home import Folder
from massgen_chroma.probe import problem
from massgen_core.errors import (
    InvalidArgument,
    InvalidSetting,
    StorageBusy,
    StorageError,
    StorageFull,
)
from massgen_core.memory import Change, IndexFolder, Memory, Plugins, Scope
from massgen_core.testing import installed_memory_store

ADA = Scope(user="ada")
FILED = 1100
WORDS = ("tea", "coffee", "train", "bike", "oslo", "paris", "red", "blue")


class Words:
    """An embedder that knows eight words."""

    identity = "words/eight/1/8/count"
    dimensions = len(WORDS)

    async def embed(self, texts, /, *, purpose):
        return [[float(text.lower().count(word)) + 0.01 for word in WORDS] for text in texts]

    async def close(self): ...


def chroma(folder, embedder=None, **settings):
    return installed_memory_store("chroma", settings, data_dir=folder, embedder=embedder)


def put(seq, vector, record=None, scope=ADA):
    return Change(seq, "put", record or f"r{seq}", scope, f"text {seq}", vector)


def axes(number, size=8):
    return [1.0 if n == number else 0.0 for n in range(size)]


def run(folder, work, **options):
    """What `work` does with a store that is closed afterwards."""

    async def main():
        store = chroma(folder, **options)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(main())


async def found(store, vector, scope=ADA, k=5):
    return [hit.record_id for hit in await store.search("", vector, scope, k)]


def test_the_score_is_the_cosine(tmp_path):
    async def work(store):
        await store.apply([put(1, [2.0, 0.0]), put(2, [3.0, 3.0]), put(3, [-1.0, 0.0])])
        return await store.search("", [5.0, 0.0], ADA, 3)

    hits = run(tmp_path, work)
    assert ["r1", "r2", "r3"] == [hit.record_id for hit in hits]
    assert [1.0, 0.5**0.5, -1.0] == pytest.approx([hit.score for hit in hits])


def test_making_a_store_loads_nothing_of_chroma_and_writes_nothing(tmp_path):
    program = (
        "import sys, asyncio, pathlib; from massgen_core.testing import installed_memory_store; "
        "store = installed_memory_store('chroma', data_dir=pathlib.Path(sys.argv[1])); "
        "asyncio.run(store.close()); print('chromadb' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True
    )
    assert "False\n" == done.stdout
    assert [] == list(tmp_path.iterdir())


def test_without_a_folder_the_setting_is_named():
    with pytest.raises(StorageError, match="no folder") as caught:
        installed_memory_store("chroma")
    assert "`path`" in caught.value.hint


@pytest.mark.parametrize("settings", [{"port": 0}, {"collection": "a"}, {"collection": "a/b"}])
def test_settings_that_chroma_would_refuse_are_refused(tmp_path, settings):
    with pytest.raises(InvalidSetting):
        chroma(tmp_path, **settings)


def test_headers_are_secret():
    from massgen_chroma.settings import Settings

    settings = Settings(host="h", headers={"Authorization": "Bearer abc"})
    assert "abc" not in repr(settings)


def test_changes_without_vectors_are_skipped_and_health_says_so(tmp_path):
    async def work(store):
        await store.apply([put(1, axes(0), "a"), put(2, None, "b")])
        return await store.watermark(), await found(store, axes(0)), await store.health()

    mark, hits, health = run(tmp_path, work)
    assert (2, ["a"], True) == (mark, hits, health.ok)
    assert "no vectors: 1 changes had none and are not indexed" == health.detail


def test_a_vector_that_comes_later_is_indexed_and_health_says_so(tmp_path):
    """The core sends the same changes once more, with those that had vectors among them."""

    async def work(store):
        await store.apply([put(1, axes(0), "a"), put(2, None, "b"), put(3, None, "c")])
        await store.apply([put(1, axes(0), "a"), put(2, axes(1), "b"), put(3, None, "c")])
        return await store.watermark(), await found(store, axes(1)), await store.health()

    mark, hits, health = run(tmp_path, work)
    assert (3, ["b", "a"], True) == (mark, hits, health.ok)
    assert "no vectors: 1 changes had none and are not indexed" == health.detail


def test_a_record_that_lost_its_vector_is_not_found_by_the_old_one(tmp_path):
    async def work(store):
        await store.apply([put(1, axes(0), "a")])
        await store.apply([put(2, None, "a")])
        return await found(store, axes(0))

    assert [] == run(tmp_path, work)


def test_a_second_store_is_refused_and_names_the_process(tmp_path):
    async def work(store):
        await store.watermark()
        second = chroma(tmp_path)
        health = await second.health()
        with pytest.raises(StorageBusy, match=f"is open in process {os.getpid()}"):
            await second.watermark()
        await second.close()
        return health

    assert not run(tmp_path, work).ok


def test_an_open_that_fails_leaves_the_folder_to_others(tmp_path, monkeypatch):
    def refuse(*args):
        raise ValueError("no collection today")

    failing, other = (Folder(tmp_path / "chroma", "chroma/1/", "words") for _ in range(2))
    with monkeypatch.context() as patch:
        patch.setattr("massgen_chroma.home.made", refuse)
        with pytest.raises(ValueError, match="today"):
            failing.open()
    assert failing._client is None
    other.open()
    assert "words" == other.collection().name
    other.close()


def test_vectors_of_two_lengths_are_an_error_until_the_index_is_rebuilt(tmp_path):
    async def work(store):
        await store.apply([put(1, axes(0))])
        with pytest.raises(InvalidArgument, match="9 dimensions, those of the index have 8"):
            await store.apply([put(2, axes(0, size=9))])
        sick = await store.health(), await store.watermark()
        with pytest.raises(InvalidArgument):
            await store.search("", axes(0, size=9), ADA, 1)
        await store.rebuild()
        await store.apply([put(2, axes(0, size=9))])
        return *sick, await store.health(), await found(store, axes(0, size=9))

    health, mark, well, hits = run(tmp_path, work)
    assert (False, 1, True, ["r2"]) == (health.ok, mark, well.ok, hits)


def test_a_rebuild_that_failed_is_told_until_one_succeeds(tmp_path, monkeypatch):
    def full(folder, *, keep):
        raise StorageFull("the disk is full")

    async def work(store):
        await store.apply([put(1, axes(0))])
        with monkeypatch.context() as during:
            during.setattr(IndexFolder, "restart", full)
            with pytest.raises(StorageFull):
                await store.rebuild()
        with pytest.raises(StorageError, match="is not open"):
            await found(store, axes(0))
        before = await store.health()
        await store.rebuild()
        return before.ok, (await store.health()).ok

    assert (False, True) == run(tmp_path, work)


def test_where_the_embedder_is_known_vectors_of_others_are_skipped(tmp_path):
    async def work(store):
        await store.apply([put(1, axes(0, size=9)), put(2, axes(1))])
        return await found(store, axes(1)), await store.health()

    hits, health = run(tmp_path, work, embedder=Words())
    assert (["r2"], True) == (hits, health.ok)


def test_another_embedder_begins_with_an_empty_index(tmp_path):
    async def fill(store):
        await store.apply([put(1, axes(0))])
        return store.identity

    async def look(store):
        return store.identity, await store.watermark(), await store.health()

    first = run(tmp_path, fill)
    second, mark, health = run(tmp_path, look, embedder=Words())
    assert first != second
    assert (0, True) == (mark, health.ok)
    assert "it was emptied: it was built with 'chroma/1/'" in health.detail
    assert [] == list((tmp_path / "chroma").glob("damaged"))


async def fill(store, many=29):
    await store.apply([put(n, axes(n % 8), scope=Scope(user=f"u{n}")) for n in range(1, many + 1)])


async def fill_files(store):
    """So many that Chroma writes its graph of vectors to files: fewer are in the database only."""
    await fill(store, FILED)


def left_open(folder, filled=fill):
    """An index as a killed process leaves it: nothing says that it was closed."""
    run(folder, filled)
    home = Folder(folder / "chroma", "chroma/1/", "massgen-memory")._folder
    assert "" == home.open(lambda data, state: "")
    home.abandon()
    return home.data


def reopened(folder):
    async def work(store):
        mark, health = await store.watermark(), await store.health()
        hits = await found(store, axes(3), Scope(user="u3"))
        await fill(store)
        return mark, health, hits, await found(store, axes(3), Scope(user="u3"))

    mark, health, before, after = run(folder, work)
    assert health.ok
    assert ["r3"] == after
    return mark, before, health.detail


@pytest.mark.parametrize(("many", "filled"), [(29, fill), (FILED, fill_files)])
def test_an_index_that_was_not_closed_is_looked_at_and_kept(tmp_path, many, filled):
    left_open(tmp_path, filled)
    assert (many, ["r3"], "") == reopened(tmp_path)


def cut(file):
    os.truncate(file, file.stat().st_size // 2)


def flip_a_vector(file):
    """One bit of the last vector in it: of its number for the size."""
    data = bytearray(file.read_bytes())
    at = data.rindex(b"\x00\x00\x80\x3f")  # 1.0 as a little-endian float
    data[at + 3] ^= 0x40
    file.write_bytes(data)


DAMAGE = {
    "header.bin, which ends a process by a signal": ("header.bin", cut),
    "length.bin, which gives wrong vectors": ("length.bin", cut),
    "data_level0.bin": ("data_level0.bin", cut),
    "a bit of a vector": ("data_level0.bin", flip_a_vector),
    "the database": ("chroma.sqlite3", cut),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_of_an_index_that_was_not_closed_is_noticed(tmp_path, name):
    file, damage = DAMAGE[name]
    data = left_open(tmp_path, fill_files)
    damage(next(data.rglob(file)))

    mark, before, detail = reopened(tmp_path)

    assert (0, []) == (mark, before)
    assert detail.startswith("it was emptied: ")
    assert next((tmp_path / "chroma" / "damaged").rglob(file)).is_file()


def test_entries_that_vanish_while_it_is_open_are_noticed(tmp_path):
    async def work(store):
        await fill(store)
        store._index._home.collection().delete(ids=["r7"])
        return await store.health()

    health = run(tmp_path, work)
    assert (False, "it holds 28 entries, 29 were written") == (health.ok, health.detail)


def test_entries_that_change_while_it_is_open_are_noticed(tmp_path):
    async def work(store):
        await store.apply([put(1, axes(0), "a")])
        store._index._home.collection().update(ids=["a"], embeddings=[axes(1)])
        return await store.health()

    health = run(tmp_path, work)
    assert (False, "the entry 'a' is not what was written") == (health.ok, health.detail)


def test_each_of_many_scopes_with_the_same_text_finds_its_own(tmp_path):
    async def work(store):
        await fill_files(store)
        return [await found(store, axes(n % 8), Scope(user=f"u{n}")) for n in range(1, FILED, 37)]

    assert [[f"r{n}"] for n in range(1, FILED, 37)] == run(tmp_path, work)


def test_batches_larger_than_chroma_takes_are_parted(tmp_path):
    async def work(store):
        await store.watermark()
        store._index._home.most = 7
        await fill(store)
        return await found(store, axes(3), Scope(), 50)

    assert 29 == len(run(tmp_path, work))


@pytest.mark.parametrize("vector", [None, [], [0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0]])
def test_what_has_no_direction_is_no_vector(vector):
    assert unit(vector) is None


def test_huge_and_tiny_vectors_have_a_direction():
    assert [1.0, 0.0] == unit([1e200, 0.0]).tolist() == unit([1e-200, 0.0]).tolist()


# With the ledger


def remembered(folder, query):
    async def main():
        plugins = Plugins(embedder=Words(), stores={"chroma": chroma(folder, embedder=Words())})
        told = []
        async with Memory.open(
            folder / "massgen.db", plugins=plugins, told=lambda *what: told.append(what)
        ) as memory:
            if query is None:
                for text in ("Ada drinks tea.", "The train is red.", "She flew to Oslo."):
                    await memory.remember(text, scope=ADA)
                return [], told
            hits = await memory.recall(query, scope=ADA)
            await memory.settle()
            assert (await memory.verify()).ok
            return [(hit.record.text, "store:chroma" in hit.reasons) for hit in hits], told

    return asyncio.run(main())


@pytest.mark.parametrize("loss", ["none", "folder", "file"])
def test_a_memory_finds_the_same_whatever_happens_to_its_index(tmp_path, loss):
    remembered(tmp_path, None)
    before, _ = remembered(tmp_path, "tea")
    assert ("Ada drinks tea.", True) == before[0]
    if loss == "folder":
        shutil.rmtree(tmp_path / "chroma")
    if loss == "file":
        cut(next((tmp_path / "chroma").rglob("chroma.sqlite3")))
    after, _ = remembered(tmp_path, "tea")
    assert before == after


# On a server


def on(server, collection="memories"):
    return {"host": "127.0.0.1", "port": server.port, "collection": collection}


def test_two_stores_share_a_collection_of_a_server(server, tmp_path):
    async def work(one):
        other = chroma(tmp_path, **on(server, "shared"))
        await one.apply([put(1, axes(0))])
        mark = await other.watermark()
        await other.apply([put(2, axes(1))])
        hits = await found(one, axes(1), k=1)
        await other.close()
        return mark, await one.watermark(), hits

    assert (1, 2, ["r2"]) == run(tmp_path, work, **on(server, "shared"))


def test_a_store_notices_that_another_emptied_the_collection(server, tmp_path):
    async def work(one):
        other = chroma(tmp_path, **on(server, "emptied"))
        await one.apply([put(1, axes(0))])
        await other.rebuild()
        with pytest.raises(StorageError, match="emptied by another process"):
            await one.apply([put(2, axes(1))])
        mark = await one.watermark()
        await one.apply([put(1, axes(0)), put(2, axes(1))])
        await other.close()
        return mark, await found(one, axes(0), k=1)

    assert (0, ["r1"]) == run(tmp_path, work, **on(server, "emptied"))


def test_another_embedder_empties_the_collection_of_a_server(server, tmp_path):
    async def look(store):
        return await store.watermark(), (await store.health()).detail

    run(tmp_path, fill, **on(server, "changed"))
    mark, detail = run(tmp_path, look, embedder=Words(), **on(server, "changed"))
    assert 0 == mark
    assert "it was emptied: it was built with 'chroma/1/'" in detail


def test_a_server_that_is_down_is_a_typed_error_until_it_is_back(new_server, tmp_path):
    async def work(store):
        down = await store.health()
        with pytest.raises(StorageError, match=f"127.0.0.1:{new_server.port}"):
            await store.watermark()
        new_server.start()
        up = await store.health()
        await store.apply([put(1, axes(0))])
        new_server.stop()
        with pytest.raises(StorageError):
            await store.apply([put(2, axes(0))])
        gone = await store.health()
        new_server.start()
        return down.ok, up.ok, gone.ok, await store.watermark(), await found(store, axes(0))

    assert (False, True, False, 1, ["r1"]) == run(tmp_path, work, **on(new_server))


def test_a_server_that_does_not_answer_is_waited_for_no_longer_than_the_timeout(tmp_path):
    async def work(store):
        with pytest.raises(StorageError, match="timed out"):
            await store.watermark()
        return await store.health()

    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = {"host": "127.0.0.1", "port": silent.getsockname()[1], "timeout": 0.2}
        assert not run(tmp_path, work, **address).ok


@pytest.mark.parametrize("tenant", ["default_tenant", "nobody"])
def test_a_closed_store_leaves_no_connection_to_the_server(server, tmp_path, tenant):
    async def work(store):
        return (await store.health()).ok

    before = set(SharedSystemClient._identifier_to_system)
    assert (tenant != "nobody") == run(tmp_path, work, tenant=tenant, **on(server))
    assert before == set(SharedSystemClient._identifier_to_system)


def test_the_state_of_an_index_is_readable(tmp_path):
    run(tmp_path, fill)
    state = json.loads((tmp_path / "chroma" / "state.json").read_text())["state"]
    assert (29, 29, 8) == (state["watermark"], state["count"], state["dimensions"])


def test_a_check_says_that_another_process_has_the_index_open(tmp_path):
    async def main():
        other = chroma(tmp_path)
        try:
            assert (await other.health()).ok
            plugins = Plugins(stores={"chroma": chroma(tmp_path)})
            async with Memory.open(tmp_path / "massgen.db", plugins=plugins) as memory:
                return await memory.verify()
        finally:
            await other.close()

    report = asyncio.run(main())
    assert (True, ("chroma",)) == (report.ok, report.unchecked)


def test_a_relative_folder_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "unable to open database file" in problem(Path("nothing"), "memories")
