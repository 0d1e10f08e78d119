"""Cancelled callers, closing while others work, and a disk that fails: nothing hangs or leaks."""

import asyncio
import sqlite3
import threading
import time

import pytest

from massgen_core.errors import StorageBusy, StorageError
from massgen_core.storage import Database, Migration

NOTES = (Migration(1, "notes", ("CREATE TABLE note (text TEXT NOT NULL UNIQUE)",)),)


def put(text):
    return lambda conn: conn.execute("INSERT INTO note VALUES (?)", (text,)).rowcount


def count(conn):
    return conn.execute("SELECT count(*) FROM note").fetchone()[0]


def slowly(conn):
    time.sleep(0.05)
    return count(conn)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.db"


def writers():
    return [one for one in threading.enumerate() if one.name.startswith("massgen-writer")]


class Failing(sqlite3.Connection):
    """A connection whose disk fails at some statements."""

    words = ()

    def execute(self, sql, *args):
        if sql.startswith(Failing.words):
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            raise error
        return super().execute(sql, *args)


@pytest.fixture
def failing(monkeypatch):
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, factory=Failing, **k))
    yield Failing
    Failing.words = ()


def test_a_commit_that_cannot_be_undone_either_is_an_error_and_the_next_one_works(path, failing):
    async def main():
        async with Database.open(path, migrations=NOTES) as db:
            failing.words = ("COMMIT", "ROLLBACK")
            for text in ("a", "b"):
                with pytest.raises(StorageError):
                    await asyncio.wait_for(db.write(put(text)), 10)
            failing.words = ()
            with pytest.raises(StorageError):  # it undoes what was left
                await asyncio.wait_for(db.write(put("c")), 10)
            await db.write(put("d"))
            return await db.read(count)

    assert 1 == asyncio.run(main())


def test_a_write_that_ends_its_transaction_is_an_error(path):
    async def main():
        async with Database.open(path, migrations=NOTES) as db:
            with pytest.raises(StorageError, match="ended its transaction"):
                await asyncio.wait_for(db.write(lambda conn: conn.execute("COMMIT")), 10)
            await db.write(put("a"))
            return await db.read(count)

    assert 1 == asyncio.run(main())


def test_a_checkpoint_that_fails_leaves_the_patience_of_writes(path, failing):
    async def main():
        async with Database.open(path, migrations=NOTES, busy_timeout=7.0) as db:
            failing.words = ("PRAGMA wal_checkpoint",)
            with pytest.raises(StorageError):
                await db.checkpoint()
            failing.words = ()
            patience = lambda conn: conn.execute("PRAGMA busy_timeout").fetchone()[0]  # noqa: E731
            return await db.write(patience)

    assert 7_000 == asyncio.run(main())


def test_what_is_read_while_it_closes_is_read(path):
    async def main():
        db = await Database.open(path, migrations=NOTES)
        await db.write(put("a"))
        async with asyncio.TaskGroup() as group:
            reads = [group.create_task(db.read(slowly)) for _ in range(12)]
            await asyncio.sleep(0)
            await db.aclose()
        return [one.result() for one in reads]

    assert [1] * 12 == asyncio.run(main())


def test_a_cancelled_replacement_is_done_and_the_file_is_open_again(path, tmp_path):
    begun, go_on = threading.Event(), threading.Event()

    def prepare(old, new):
        begun.set()
        assert go_on.wait(10)

    async def main():
        async with Database.open(path, migrations=NOTES) as db:
            await db.write(put("a"))
            await db.snapshot(tmp_path / "copy.db")
            await db.write(put("b"))
            task = asyncio.create_task(db.replace_with(tmp_path / "copy.db", prepare))
            assert await asyncio.to_thread(begun.wait, 10)
            with pytest.raises(StorageBusy, match="being replaced"):
                await db.read(count)
            task.cancel()
            await asyncio.sleep(0.01)
            assert not task.done()
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            await db.write(put("c"))
            return await db.read(count)

    assert 2 == asyncio.run(main())


def test_closing_waits_for_a_replacement(path, tmp_path):
    begun, go_on = threading.Event(), threading.Event()

    def prepare(old, new):
        begun.set()
        assert go_on.wait(10)

    async def main():
        db = await Database.open(path, migrations=NOTES)
        await db.snapshot(tmp_path / "copy.db")
        replacing = asyncio.create_task(db.replace_with(tmp_path / "copy.db", prepare))
        assert await asyncio.to_thread(begun.wait, 10)
        closing = asyncio.create_task(db.aclose())
        await asyncio.sleep(0.01)
        go_on.set()
        await asyncio.gather(replacing, closing)
        with pytest.raises(StorageError, match="is closed"):
            await db.read(count)

    asyncio.run(main())
    assert [] == writers()


@pytest.mark.parametrize("cancels", [1, 2])
@pytest.mark.parametrize("fails", [False, True])
def test_whoever_is_cancelled_while_opening_is_told_and_nothing_stays_open(
    path, monkeypatch, cancels, fails
):
    begun, go_on = threading.Event(), threading.Event()
    connect = sqlite3.connect

    def late(*args, **options):
        begun.set()
        assert go_on.wait(10)
        if fails:
            raise sqlite3.OperationalError("no")
        return connect(*args, **options)

    async def main():
        monkeypatch.setattr(sqlite3, "connect", late)
        task = asyncio.create_task(Database.open(path, migrations=NOTES).__aenter__())
        assert await asyncio.to_thread(begun.wait, 10)
        for _ in range(cancels):
            task.cancel()
            await asyncio.sleep(0.01)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    deadline = time.monotonic() + 5
    while writers() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [] == writers()
