"""A file that cannot be opened: what can be read of it is there again, what is lost is told."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
import struct
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from massgen_core import open_memory
from massgen_core.errors import (
    InvalidArgument,
    MassgenError,
    SchemaTooNew,
    StorageBusy,
    StorageCorrupt,
)
from massgen_core.memory import NewMemory, Scope
from massgen_core.messages import user
from massgen_core.salvage import restore, salvage
from massgen_core.sessions import NewEntry, SessionStore
from massgen_core.storage import fill_from
from massgen_core.storage._carve import Pages, rows_in

ADA = {"user": "ada"}
LONG = "a text that is long enough to have a blob of its own, and overflow pages " * 90
PAGE = 4096


def text_of(number):
    return f"memory {number} " + (LONG if number % 7 == 0 else "of tea " * (number % 40))


async def fill(folder, *, number=60):
    async with SessionStore.open(folder) as store:
        async with store.create("s", title="Tea") as session:
            for turn in range(number):
                await session.append(NewEntry.message(user(f"turn {turn} " + LONG[: turn * 20])))
        await store.fork("s", new_id="t", at=number // 2)
    async with open_memory(folder) as memory:
        news = [
            NewMemory(text=text_of(n), scope=Scope(user="ada"), id=f"r{n}") for n in range(number)
        ]
        await memory.remember_many(news)
        await memory.update("r1", text="memory 1, changed")
        await memory.forget("r2")
        await memory.grant("carl", ADA, ["write"])
        await memory.set_marker("here", "42")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original")
    asyncio.run(fill(folder))
    return folder


@pytest.fixture
def folder(original, tmp_path):
    return shutil.copytree(original, tmp_path / "copy")


async def contents(folder):
    """Texts of memories by id, and of sessions; all checks must pass."""
    async with open_memory(folder) as memory:
        assert (await memory.verify()).ok
        records = {one.id: one.text for one in await memory.timeline({})}
        assert not await memory.recall("tea", scope={"user": "bob"})
        grants, mark = await memory.grants(), await memory.marker("here")
    async with SessionStore.open(folder) as store:
        assert (await store.verify()).ok
        sessions = {
            info.id: [entry.message.text for entry in await store.read(info.id)]
            for info in await store.list()
        }
    return records, sessions, [one.principal for one in grants], mark


def damage(folder, start, length, fill_with=b"\xff"):
    with (folder / "massgen.db").open("r+b") as file:
        file.seek(start)
        file.write(fill_with * length)


def killed(original, tmp_path):
    """What a process leaves that is killed: its newest pages are in the write-ahead log."""
    live, copy = tmp_path / "live", tmp_path / "copy"
    shutil.copytree(original, live)

    async def main():
        async with open_memory(live) as memory:
            await memory.remember("memory of the log", scope=ADA, id="new")
            shutil.copytree(live, copy)

    asyncio.run(main())
    return copy


def refuses_to_open(folder):
    async def main():
        async with open_memory(folder) as memory:
            await memory.verify()

    with pytest.raises(MassgenError):
        asyncio.run(main())


@pytest.mark.parametrize("length", [100, PAGE], ids=["header", "first page"])
def test_without_its_header_a_file_comes_back_whole(original, folder, length):
    expected = asyncio.run(contents(original))
    damage(folder, 0, length)
    refuses_to_open(folder)

    done = salvage(folder)
    assert expected == asyncio.run(contents(folder))
    assert ({}, (), ()) == (done.sessions, done.mended.lost, done.mended.restored)
    assert b"\xff" * 100 == done.kept.read_bytes()[:100]
    assert (None, {}) == (done.snapshot, done.filled)
    assert not list(folder.glob("*.salvaging*"))


def test_an_error_at_opening_says_what_to_do(folder):
    damage(folder, 0, 100)

    async def main():
        async with open_memory(folder):
            pass

    with pytest.raises(StorageCorrupt, match="mgc memory repair --salvage"):
        asyncio.run(main())


def test_what_only_the_log_has_comes_back_too(original, tmp_path):
    """A process that was killed leaves its newest pages in the write-ahead log."""
    expected = asyncio.run(contents(original))
    copy = killed(original, tmp_path)
    assert (copy / "massgen.db-wal").stat().st_size > 0
    damage(copy, 0, 100)
    salvage(copy)
    assert not (copy / "massgen.db-wal").exists()
    records, *others = asyncio.run(contents(copy))
    assert ({**expected[0], "new": "memory of the log"}, [*expected[1:]]) == (records, others)


def test_what_is_gone_is_taken_from_the_newest_sound_snapshot(original, folder):
    expected = asyncio.run(contents(original))

    async def snap():
        async with open_memory(folder) as memory:
            made = await memory.snapshot()
            await memory.remember("after it", scope=ADA, id="later")
            newer = await memory.snapshot()
            return made.path, newer.path

    sound, broken = asyncio.run(snap())
    with broken.open("r+b") as file:
        file.seek(PAGE)
        file.write(bytes(PAGE))
    damage(folder, 0, PAGE)
    raw = (folder / "massgen.db").read_bytes()
    for text in (b"turn 3 ", b"memory 8 "):
        damage(folder, raw.find(text) // PAGE * PAGE, PAGE, b"\0")

    done = salvage(folder)
    assert sound == done.snapshot
    assert done.filled["entry"] > 0
    assert done.filled["memory_log"] > 0
    records, sessions, *_ = asyncio.run(contents(folder))
    assert expected[1] == sessions
    assert expected[0] == {key: text for key, text in records.items() if key != "later"}


def test_texts_are_looked_for_in_a_snapshot_once(folder):
    """Not for each session: there may be thousands."""
    snapshot = folder / "snapshot.db"
    said = []
    with closing(sqlite3.connect(folder / "massgen.db")) as conn:
        conn.execute("VACUUM INTO ?", (str(snapshot),))
        (texts,) = conn.execute("SELECT count(*) FROM blob").fetchone()
        conn.execute("DELETE FROM blob")
        conn.set_trace_callback(said.append)
        filled = fill_from(conn, snapshot)
        assert not conn.execute(
            "SELECT seq FROM memory_log WHERE blob NOT IN (SELECT id FROM blob)"
        ).fetchall()
    assert {"memory_log": 0, "entry": 0, "session": 0, "blob": texts} == filled
    assert 1 == said.count("SELECT hash FROM blob")


def varint(value):
    data = [value & 0x7F]
    while value := value >> 7:
        data.insert(0, value & 0x7F | 0x80)
    return bytes(data)


def test_no_row_is_longer_than_its_file():
    """Overflow pages that follow each other in a circle would fill the memory."""
    blob = varint(12 + 2 * (1 << 24))
    header = bytes([1 + len(blob)]) + blob
    length = len(header) + (1 << 24)
    least = (PAGE - 12) * 32 // 255 - 23
    local = least + (length - least) % (PAGE - 4)
    local = local if local <= PAGE - 35 else least
    cell = varint(length) + b"\1" + header.ljust(local, b"\0") + struct.pack(">I", 3)
    at = PAGE - len(cell)
    leaf = struct.pack(">BHHHBH", 0x0D, 0, 1, at, 0, at)
    circle = struct.pack(">I", 3)
    data = b"".join(page.ljust(PAGE, b"\0") for page in (b"", leaf, circle))
    data = data[: PAGE + at] + cell + data[2 * PAGE :]
    assert [] == list(rows_in(Pages(data, {}, PAGE)))


def test_what_is_lost_is_told_and_all_else_is_there(original, folder):
    records, sessions, *_ = asyncio.run(contents(original))
    with closing(sqlite3.connect(folder / "massgen.db")) as conn:
        conn.execute("DELETE FROM blob WHERE id = (SELECT blob FROM memory_log WHERE record = 7+1)")
        conn.execute("DELETE FROM entry WHERE session_id = 's' AND seq = 5")
        conn.execute("DELETE FROM session WHERE id = 't'")
        conn.commit()
    damage(folder, 0, 100)

    done = salvage(folder)
    assert ("r7",) == done.mended.lost
    assert {
        "s": "1 entries are lost, from number 5 on",
        "t": "its title and meta are lost",
    } == done.sessions

    async def look():
        async with open_memory(folder) as memory:
            assert (await memory.verify()).ok
            found = {one.id: one.text for one in await memory.timeline({})}
        async with SessionStore.open(folder) as store:
            forked = [entry.message.text for entry in await store.read("t")]
            lines = [line async for line in store.export("s", salvage=True)]
            return found, forked, len(lines)

    found, forked, lines = asyncio.run(look())
    assert {key: text for key, text in records.items() if key != "r7"} == found
    assert (sessions["t"], len(sessions["s"]) - 1 + 2) == (forked, lines)


def test_what_was_forgotten_does_not_come_back_from_a_snapshot(folder):
    async def main():
        async with open_memory(folder) as memory:
            await memory.snapshot()
            await memory.forget(["r5", "r9"])

    asyncio.run(main())
    with closing(sqlite3.connect(folder / "massgen.db")) as conn:
        conn.execute("DELETE FROM memory_log WHERE op = 'create' AND record IN (6, 10)")
        conn.commit()
    damage(folder, 0, 100)

    done = salvage(folder)
    assert 2 == done.filled["memory_log"]
    records, *_ = asyncio.run(contents(folder))
    assert not {"r5", "r9"} & records.keys()
    raw = (folder / "massgen.db").read_bytes()
    assert text_of(5).encode() not in raw
    assert text_of(9).encode() not in raw


def test_a_file_in_which_there_is_nothing_stays_where_it_is(tmp_path):
    file = tmp_path / "massgen.db"
    file.write_bytes(random.Random(1).randbytes(20 * PAGE))
    with pytest.raises(StorageCorrupt, match="nothing in"):
        salvage(file)
    assert ["massgen.db"] == [one.name for one in tmp_path.iterdir()]
    with pytest.raises(InvalidArgument):
        salvage(tmp_path / "nowhere.db")


def test_a_file_in_which_nothing_is_damaged_stays_as_it_is(folder):
    before = (folder / "massgen.db").read_bytes()
    with pytest.raises(InvalidArgument, match="nothing in .* is damaged"):
        salvage(folder)
    assert before == (folder / "massgen.db").read_bytes()
    assert not list(folder.glob("*damaged*"))


@pytest.mark.parametrize(
    "statement",
    [
        "PRAGMA user_version = 2000000",
        "PRAGMA user_version = 0",
        "PRAGMA application_id = 77",
        "UPDATE memory_scope SET user = x'ff00'",
        "UPDATE memory_log SET record = CASE seq WHEN 1 THEN 'abc' ELSE x'00' END WHERE seq < 3",
    ],
)
def test_damage_that_only_opening_or_checking_meets_is_reason_enough(folder, statement):
    with closing(sqlite3.connect(folder / "massgen.db")) as conn, conn:
        conn.execute(statement)
    assert salvage(folder).kept.exists()
    asyncio.run(contents(folder))


def test_a_file_whose_header_lets_nobody_write_is_damaged(folder):
    damage(folder, 18, 1, b"\x07")
    assert salvage(folder).kept.exists()
    asyncio.run(contents(folder))


def test_a_sound_file_that_is_locked_is_not_replaced(folder, monkeypatch):
    monkeypatch.setattr("massgen_core.storage._database.BUSY_TIMEOUT", 0.1)
    with closing(sqlite3.connect(folder / "massgen.db", isolation_level=None)) as conn:
        conn.execute("PRAGMA journal_mode = DELETE").fetchone()
        conn.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageBusy):
            salvage(folder)


def test_a_session_that_is_damaged_is_reason_enough(folder):
    with closing(sqlite3.connect(folder / "massgen.db")) as conn, conn:
        conn.execute("UPDATE entry SET hash = zeroblob(32) WHERE session_id = 's' AND seq = 9")
    assert salvage(folder).kept.exists()


def test_a_file_of_a_newer_version_is_not_replaced_by_an_older_one(folder):
    with closing(sqlite3.connect(folder / "massgen.db")) as conn:
        conn.execute("PRAGMA user_version = 99")
    before = (folder / "massgen.db").read_bytes()
    with pytest.raises(SchemaTooNew):
        salvage(folder)
    assert before == (folder / "massgen.db").read_bytes()


@pytest.mark.parametrize("length", [0, 100])
def test_a_snapshot_takes_the_place_of_a_file_that_was_cut(folder, length):
    async def copied():
        async with open_memory(folder) as memory:
            return (await memory.snapshot()).path

    snapshot = asyncio.run(copied())
    expected = asyncio.run(contents(folder))
    with (folder / "massgen.db").open("r+b") as file:
        file.truncate(length)
    refuses_to_open(folder)
    kept, whole = restore(folder, str(snapshot))
    assert (length, False) == (kept.stat().st_size, whole)
    assert expected == asyncio.run(contents(folder))
    with pytest.raises(InvalidArgument, match="nothing in .* is damaged"):
        restore(folder, snapshot)
    assert not list(folder.glob("*.salvaging*"))


def test_no_snapshot_takes_the_place_of_what_is_not_ours(folder, tmp_path):
    async def copied():
        async with open_memory(folder) as memory:
            return (await memory.snapshot()).path

    snapshot = asyncio.run(copied())
    with closing(sqlite3.connect(tmp_path / "foreign.db")) as conn, conn:
        conn.execute("CREATE TABLE session (name)")
    with closing(sqlite3.connect(folder / "massgen.db")) as conn:
        conn.execute("PRAGMA user_version = 99")
    with pytest.raises(InvalidArgument, match="another program"):
        restore(tmp_path / "foreign.db", snapshot)
    with pytest.raises(SchemaTooNew):
        restore(folder, snapshot)


def test_the_log_beside_an_emptied_file_is_not_deleted(original, tmp_path):
    copy = killed(original, tmp_path)
    (copy / "massgen.db").write_bytes(b"")
    refuses_to_open(copy)
    salvage(copy)
    assert "memory of the log" in asyncio.run(contents(copy))[0].values()


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_whatever_is_destroyed_nothing_wrong_comes_back(original, tmp_path_factory, data):
    """What is there afterwards is what was there before, and the file is sound but for gaps."""
    records, sessions, *_ = asyncio.run(contents(original))
    folder = shutil.copytree(original, tmp_path_factory.mktemp("damaged") / "copy")
    size = (folder / "massgen.db").stat().st_size
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, size - 1))
        length = data.draw(st.sampled_from([1, 8, 300, PAGE, 5 * PAGE]))
        damage(
            folder, start, min(length, size - start), data.draw(st.binary(min_size=1, max_size=1))
        )
    try:
        done = salvage(folder)
    except (InvalidArgument, SchemaTooNew):  # nothing that counts, or the number of the schema
        return

    async def look():
        async with open_memory(folder) as memory:
            assert (await memory.verify()).ok
            return {one.id: one.text for one in await memory.timeline({})}

    found = asyncio.run(look())
    earlier = {"r1": text_of(1)}  # back at its last intact revision
    assert all(text in (records[key], earlier.get(key)) for key, text in found.items())
    number = {key: int(key[1:]) for key in records}
    named = {*done.mended.lost}
    unnamed = [
        key
        for key in records.keys() - found.keys() - named
        if f"lost-{number[key] + 1}" not in named
    ]
    last = max((number[key] for key in found), default=0)
    assert sum(number[key] < last for key in unnamed) <= done.mended.entries
    assert len(unnamed) <= done.mended.entries or done.unread  # what was written last

    async def texts(session_id):
        async with SessionStore.open(folder) as store:
            lines = [line async for line in store.export(session_id, salvage=True)]
            info = await store.import_(lines, new_id="again")
            return [entry.message.text for entry in await store.read(info.id)]

    for session_id in ("s", "t"):
        try:
            again = asyncio.run(texts(session_id))
        except MassgenError:
            continue
        assert set(again) <= set(sessions[session_id])


def test_a_file_of_a_newer_version_stays_as_it_is(folder):
    file = folder / "massgen.db"
    with closing(sqlite3.connect(file)) as conn:
        conn.execute("PRAGMA user_version = 99")
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    before = file.read_bytes()
    with pytest.raises(SchemaTooNew):
        salvage(file)
    assert before == file.read_bytes()
