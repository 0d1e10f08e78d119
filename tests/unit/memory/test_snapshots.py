import asyncio
import json
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from massgen_core.errors import InvalidArgument, StorageBusy, StorageCorrupt
from massgen_core.memory import Memory, NewMemory, Plugins, Retention, Scope, check_snapshot
from massgen_core.messages import user
from massgen_core.sessions import NewEntry, SessionStore
from massgen_core.storage import SCHEMA

sys.path.insert(0, str(Path(__file__).parent))

from doubles import Letters

ADA = {"user": "ada"}


async def texts(memory):
    hits = await memory.recall("tea", scope=ADA, k=100)
    return sorted(hit.record.text for hit in hits)


def test_a_snapshot_brings_back_what_was_there(run, tmp_path):
    async def work(memory):
        await memory.remember("tea one", scope=ADA)
        made = await memory.snapshot()
        await memory.remember("tea two", scope=ADA)
        assert [made] == await memory.snapshots()
        kept = await memory.restore(made.path)
        assert ["tea one"] == await texts(memory)
        assert (await memory.verify()).ok
        await memory.remember("tea three", scope=ADA)
        return made, kept

    made, kept = run(work)
    assert (1, 1, 0, len(SCHEMA)) == (made.entry, made.records, made.sessions, made.schema)
    assert ["tea one", "tea three"] == run(texts)
    with closing(sqlite3.connect(kept)) as conn:
        assert 2 == conn.execute("SELECT count(*) FROM memory_record").fetchone()[0]


def test_sessions_are_in_the_snapshot(tmp_path):
    async def main():
        async with SessionStore.open(tmp_path) as store, store.create("s") as session:
            await session.append(NewEntry.message(user("hello")))
        async with Memory.open(tmp_path) as memory:
            made = await memory.snapshot()
        async with SessionStore.open(tmp_path) as store:
            await store.delete("s")
        async with Memory.open(tmp_path) as memory:
            await memory.restore(made.path)
        async with SessionStore.open(tmp_path) as store:
            return [entry.message.text for entry in await store.read("s")]

    assert ["hello"] == asyncio.run(main())


def test_a_snapshot_taken_while_writing_is_whole(tmp_path):
    async def main():
        async with Memory.open(tmp_path) as memory:

            async def write(start):
                for number in range(start, start + 40):
                    await memory.remember(f"tea {number}", scope=ADA)

            writing = [asyncio.create_task(write(start)) for start in (0, 100)]
            made = [await memory.snapshot() for _ in range(3)]
            await asyncio.gather(*writing)
            counts = []
            for one in made:
                await memory.restore(one.path)
                assert (await memory.verify()).ok
                counts.append((len(await texts(memory)), one.records))
            return counts

    for found, expected in asyncio.run(main()):
        assert found == expected


def test_snapshots_made_at_the_same_time_are_all_whole(tmp_path, clock):
    async def main():
        async with (
            Memory.open(tmp_path, clock=clock) as one,
            Memory.open(tmp_path, clock=clock) as other,
        ):
            await one.remember("tea " * 1000, scope=ADA)
            calls = [memory.snapshot(keep=4) for memory in (one, other) for _ in range(3)]
            await asyncio.gather(*calls)
            return [check_snapshot(each.path).records for each in await one.snapshots()]

    assert [1, 1, 1, 1] == asyncio.run(main())


def test_a_new_snapshot_is_kept_though_the_clock_went_back(run, clock):
    async def work(memory):
        old = await memory.snapshot()
        clock.time -= 3600
        made = await memory.snapshot(keep=1)
        assert not old.path.exists()
        return [made] == await memory.snapshots()

    assert run(work)


def test_only_the_newest_are_kept(run, clock):
    async def work(memory):
        paths = []
        for _ in range(4):
            clock.time += 60
            paths.append((await memory.snapshot(keep=2)).path)
        stray = paths[-1].with_name("massgen.db.snapshot-20200101T000000Z")
        stray.write_bytes(b"left by a kill")
        await memory.snapshot(keep=2)
        assert not stray.exists()
        with pytest.raises(InvalidArgument):
            await memory.snapshot(keep=0)
        return [one.path for one in await memory.snapshots()], paths

    kept, paths = run(work)
    assert 2 == len(kept)
    assert paths[-1] == kept[0]
    assert not paths[0].exists()


def test_what_others_keep_in_the_folder_stays(tmp_path, clock):
    shared = tmp_path / "backups"

    async def snap(name, keep):
        async with Memory.open(tmp_path / name, clock=clock) as memory:
            clock.time += 60
            made = await memory.snapshot(shared, keep=keep)
            return made, await memory.snapshots(shared)

    async def main():
        first, _ = await snap("a.db", 1)
        (shared / "vm.snapshot-2026.qcow2").write_bytes(b"not ours")
        (shared / "a.db.snapshot-20260101T000000Z").mkdir()
        await snap("b.db", 1)
        second, listed = await snap("b.db", 1)
        assert [second] == listed
        return first

    first = asyncio.run(main())
    check_snapshot(first.path)
    assert (shared / "vm.snapshot-2026.qcow2").exists()
    assert 2 == len(list(shared.glob("*.json")))


def test_a_damaged_file_pushes_no_good_snapshot_out(run, tmp_path):
    async def snap(memory):
        return await memory.snapshot(keep=1)

    run(lambda memory: memory.remember("tea one", scope=ADA))
    made = run(snap)
    with closing(sqlite3.connect(tmp_path / "massgen.db")) as conn, conn:
        conn.execute("UPDATE memory_log SET text = 'coffee'")
    with pytest.raises(StorageCorrupt, match="it does not match its hash"):
        run(snap)

    assert [made] == run(lambda memory: memory.snapshots())
    assert {made.path.name, f"{made.path.name}.json", ".lock"} == {
        each.name for each in made.path.parent.iterdir()
    }
    run(lambda memory: memory.restore(made.path))
    assert ["tea one"] == run(texts)


@pytest.mark.parametrize("place", [0, 100, 5000, -1])
def test_a_damaged_snapshot_is_refused_and_nothing_changes(run, place):
    async def work(memory):
        news = [NewMemory(text=f"tea {n}", scope=Scope(user="ada")) for n in range(30)]
        await memory.remember_many(news)
        made = await memory.snapshot()
        await memory.remember("tea last", scope=ADA)
        torn = bytearray(made.path.read_bytes())
        torn[place] ^= 1
        made.path.write_bytes(torn)
        with pytest.raises(StorageCorrupt, match="damaged"):
            await memory.restore(made.path)
        return len(await texts(memory))

    assert 31 == run(work)


def test_a_snapshot_whose_manifest_was_adjusted_is_refused_too(run):
    async def work(memory):
        await memory.remember("tea", scope=ADA)
        made = await memory.snapshot()
        with closing(sqlite3.connect(made.path)) as conn, conn:
            conn.execute("UPDATE memory_log SET text = 'gin'")
        manifest = made.path.with_name(made.path.name + ".json")
        plain = json.loads(manifest.read_text())
        import hashlib

        plain["sha256"] = hashlib.sha256(made.path.read_bytes()).hexdigest()
        plain["size"] = made.path.stat().st_size
        manifest.write_text(json.dumps(plain))
        with pytest.raises(StorageCorrupt, match="log 1"):
            await memory.restore(made.path)

    run(work)


def test_what_is_no_snapshot_is_refused(run, tmp_path):
    async def work(memory):
        with pytest.raises(InvalidArgument, match="no snapshot"):
            await memory.restore(tmp_path / "nothing.db")

    run(work)


def test_a_file_that_others_have_open_is_not_replaced(tmp_path):
    async def main():
        async with Memory.open(tmp_path) as one, Memory.open(tmp_path) as other:
            await one.remember("tea", scope=ADA)
            made = await one.snapshot()
            await other.remember("tea two", scope=ADA)
            with pytest.raises(StorageBusy):
                await one.restore(made.path)
            assert ["tea", "tea two"] == await texts(one)
            await one.remember("tea three", scope=ADA)
            return await texts(other)

    assert ["tea", "tea three", "tea two"] == asyncio.run(main())


def test_vectors_are_made_though_a_restore_failed(tmp_path):
    embedder = Letters(fails=2)  # the second time it is waited a second

    async def main():
        async with (
            Memory.open(tmp_path, plugins=Plugins(embedder=embedder)) as one,
            Memory.open(tmp_path) as other,
        ):
            await one.remember("tea", scope=ADA)
            made = await one.snapshot()
            await other.recall("tea", scope=ADA)
            with pytest.raises(StorageBusy):
                await one.restore(made.path)
            await one._vectorizer._filling
            return await one._vectorizer.missing()

    assert 0 == asyncio.run(main())


def test_what_was_forgotten_does_not_come_back(run):
    async def work(memory):
        first = await memory.snapshot()
        await memory.remember("tea secret", scope=ADA, id="1")
        await memory.remember("tea", scope=ADA, id="2")
        made = await memory.snapshot()
        receipt = await memory.forget("1")
        assert (str(made.path),) == receipt.snapshots
        assert first.path != made.path
        await memory.restore(made.path)
        return await texts(memory), (await memory.get("1")).state

    assert (["tea"], "tombstone") == run(work)


def test_a_later_snapshot_does_not_bring_back_what_an_earlier_one_never_knew(run):
    async def work(memory):
        early = await memory.snapshot()
        await memory.remember("tea secret", scope=ADA, id="1")
        await memory.remember("tea purged", scope=ADA, id="2", expires_at=1)
        late = await memory.snapshot()
        await memory.forget("1")
        await memory.gc(policy=Retention(grace=0))
        await memory.gc(policy=Retention(grace=0))
        await memory.restore(early.path)
        assert (await memory.verify()).ok
        await memory.restore(late.path)
        assert (await memory.verify()).ok
        states = [(await memory.get(one)).state for one in ("1", "2")]
        ops = [(await memory.history(one))[-1].op for one in ("1", "2")]
        return await texts(memory), states, ops

    assert ([], ["tombstone"] * 2, ["forget", "purge"]) == run(work)


def test_what_was_forgotten_is_gone_before_the_snapshot_is_in_place(run, monkeypatch):
    """So that no kill in a restore brings it back."""
    seen = []

    async def work(memory):
        await memory.remember("tea secret", scope=ADA, id="1")
        made = await memory.snapshot()
        await memory.forget("1")
        replace = Path.replace

        def looking(self, target):
            seen.append((self.name, b"tea secret" in self.read_bytes()))
            return replace(self, target)

        monkeypatch.setattr(Path, "replace", looking)
        await memory.restore(made.path)

    run(work)
    assert [("massgen.db.incoming", False)] == seen


def test_a_restore_works_on_a_file_whose_tombstones_cannot_be_read(run, tmp_path):
    told = []

    async def work(memory):
        await memory.remember("tea", scope=ADA)
        made = await memory.snapshot()
        await memory.forget(await memory.remember("tea two", scope=ADA))
        with closing(sqlite3.connect(tmp_path / "massgen.db")) as conn, conn:
            conn.execute("DROP TABLE memory_record")
        await memory.restore(made.path)
        return await texts(memory)

    assert ["tea"] == run(work, told=lambda name, why: told.append(name))
    assert ["ledger"] == told


def test_memory_goes_back_to_a_point_and_forth_again(run, clock):
    async def work(memory):
        await memory.remember("tea one", scope=ADA, id="1")
        clock.time += 10
        then = clock.time
        clock.time += 10
        await memory.update("1", text="tea eins")
        await memory.remember("tea two", scope=ADA, id="2")
        await memory.remember("tea gone", scope=ADA, id="3")
        await memory.forget("3")
        await memory.rewind(then)
        assert ["tea one"] == await texts(memory)
        assert "tombstone" == (await memory.get("3")).state
        await memory.undo("1")
        assert ["tea eins", "tea two"] == await texts(memory)
        await memory.rewind(1)
        assert ["tea one"] == await texts(memory)
        assert [] == await memory.rewind(then)
        return (await memory.verify()).ok

    assert run(work)


def test_a_rewind_can_be_tried_and_needs_a_point_of_the_log(run):
    async def work(memory):
        await memory.remember("tea one", scope=ADA, id="1")
        await memory.update("1", text="tea eins")
        for point in (-5, 3, 1 << 70):
            with pytest.raises(InvalidArgument, match=f"no entry {point}: it has 2"):
                await memory.rewind(point)
        (would,) = await memory.rewind(1, dry_run=True)
        assert ("1", "tea one") == (would.id, would.text)
        assert ["tea eins"] == await texts(memory)
        assert [] == await memory.rewind(2)
        (gone,) = await memory.rewind(0)
        return gone.state

    assert "invalidated" == run(work)


def test_a_restore_is_not_disturbed_by_what_a_killed_one_left(run, tmp_path):
    """The log of the copy it was about to put in place."""

    async def work(memory):
        await memory.remember("tea one", scope=ADA)
        made = await memory.snapshot()
        await memory.remember("tea two", scope=ADA)
        for end in ("", "-wal", "-shm"):
            left = (tmp_path / f"massgen.db{end}").read_bytes()
            (tmp_path / f"massgen.db.incoming{end}").write_bytes(left)
        await memory.restore(made.path)
        assert [] == list(tmp_path.glob("*.incoming*"))
        return await texts(memory), (await memory.verify()).ok

    assert (["tea one"], True) == run(work)


@pytest.mark.parametrize("read_only", [False, True])
def test_an_empty_file_beside_its_snapshots_is_damage(run, tmp_path, read_only):
    async def snap(memory):
        await memory.remember("tea one", scope=ADA)
        return await memory.snapshot()

    made = run(snap)
    file = tmp_path / "massgen.db"
    file.write_bytes(b"")
    with pytest.raises(StorageCorrupt, match="is empty, and was not") as raised:
        run(texts, read_only=read_only)
    assert made.path.name in raised.value.hint
    shutil.copy(made.path, file)
    assert ["tea one"] == run(texts)


def test_an_empty_file_without_a_past_is_new(run, tmp_path):
    (tmp_path / "massgen.db").write_bytes(b"")
    assert [] == run(texts)


@pytest.mark.parametrize("place", [".", "..", "/"])
def test_a_folder_is_no_snapshot_and_no_archive(run, place):
    async def work(memory):
        for call in (memory.restore, memory.export, memory.import_):
            with pytest.raises(InvalidArgument, match="expected a file"):
                await call(place)

    run(work)
