import asyncio
import gc
import os
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from contextlib import closing

import pytest

from massgen_core.errors import (
    InvalidArgument,
    StorageBusy,
    StorageCorrupt,
    StorageError,
    StorageReadOnly,
)
from massgen_core.storage import SCHEMA, Database, Migration, database_path

NOTES = (Migration(1, "notes", ("CREATE TABLE note (text TEXT NOT NULL UNIQUE)",)),)


def put(text):
    return lambda conn: conn.execute("INSERT INTO note VALUES (?)", (text,))


def texts(conn):
    return [text for (text,) in conn.execute("SELECT text FROM note ORDER BY rowid")]


def on_disk(path):
    with closing(sqlite3.connect(path)) as conn:
        return texts(conn)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.db"


def run(path, main, **options):
    async def inside():
        async with Database.open(path, migrations=NOTES, **options) as db:
            return await main(db)

    return asyncio.run(inside())


def test_what_is_written_is_there_when_write_returns(path):
    async def main(db):
        await db.write(put("a"))
        return on_disk(path)

    assert run(path, main) == ["a"]


def test_the_file_is_in_wal_mode_and_flushed_fully_by_default(path):
    async def main(db):
        return await db.write(
            lambda conn: [
                conn.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("journal_mode", "synchronous", "secure_delete")
            ]
        )

    assert run(path, main) == ["wal", 2, 1]


def test_normal_synchronous_is_a_choice(path):
    async def main(db):
        return await db.write(lambda conn: conn.execute("PRAGMA synchronous").fetchone()[0])

    assert run(path, main, synchronous="normal") == 1


@pytest.mark.parametrize("choice", ["off", "FULL", "", None, 1])
def test_another_synchronous_is_refused(path, choice):
    with pytest.raises(InvalidArgument, match="expected full or normal"):
        run(path, None, synchronous=choice)
    assert not path.exists()


def test_open_can_be_awaited_too(path):
    async def main():
        db = await Database.open(path, migrations=NOTES)
        await db.write(put("a"))
        await db.aclose()
        await db.aclose()

    asyncio.run(main())
    assert on_disk(path) == ["a"]


def test_missing_folders_are_created(tmp_path):
    run(tmp_path / "a" / "b" / "x.db", lambda db: db.write(put("a")))
    assert on_disk(tmp_path / "a" / "b" / "x.db") == ["a"]


def test_writes_asked_for_together_are_committed_together(path):
    async def main(db):
        gate = threading.Event()
        first = asyncio.ensure_future(db.write(lambda _: gate.wait(10)))
        await asyncio.sleep(0.02)
        rest = [asyncio.ensure_future(db.write(put(str(n)))) for n in range(100)]
        await asyncio.sleep(0)
        before = db.commits
        gate.set()
        await asyncio.gather(first, *rest)
        return db.commits - before

    assert run(path, main) == 2
    assert on_disk(path) == [str(n) for n in range(100)]


def test_one_that_raises_takes_nothing_else_of_its_group_with_it(path):
    async def main(db):
        def bad(conn):
            put("half")(conn)
            raise ZeroDivisionError

        return await asyncio.gather(
            db.write(put("a")), db.write(bad), db.write(put("b")), return_exceptions=True
        )

    _, error, _ = run(path, main)
    assert type(error) is ZeroDivisionError
    assert on_disk(path) == ["a", "b"]


def test_a_lost_transaction_is_tried_again_one_by_one(path):
    """A full disk rolls back the whole group; only who caused it may suffer."""

    async def main(db):
        def loses_everything(conn):
            put("lost")(conn)
            conn.execute("ROLLBACK")
            raise ZeroDivisionError

        gate = threading.Event()
        first = asyncio.ensure_future(db.write(lambda _: gate.wait(10)))
        await asyncio.sleep(0.02)
        rest = [db.write(put("a")), db.write(loses_everything), db.write(put("b"))]
        gathered = asyncio.gather(*rest, return_exceptions=True)
        await asyncio.sleep(0)
        gate.set()
        await first
        return await gathered

    _, error, _ = run(path, main)
    assert type(error) is ZeroDivisionError
    assert on_disk(path) == ["a", "b"]


def test_a_cancelled_write_that_has_not_begun_does_not_happen(path):
    async def main(db):
        gate = threading.Event()
        first = asyncio.ensure_future(db.write(lambda _: gate.wait(10)))
        await asyncio.sleep(0.02)
        second = asyncio.ensure_future(db.write(put("never")))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.sleep(0)
        gate.set()
        await first
        await db.write(put("after"))
        return second.cancelled()

    assert run(path, main)
    assert on_disk(path) == ["after"]


def test_a_cancelled_write_that_has_begun_is_finished(path):
    async def main(db):
        begun, gate = threading.Event(), threading.Event()

        def slow(conn):
            put("one")(conn)
            begun.set()
            gate.wait(10)
            put("two")(conn)

        task = asyncio.ensure_future(db.write(slow))
        await asyncio.to_thread(begun.wait, 10)
        task.cancel()
        await asyncio.sleep(0)
        gate.set()
        await db.settle()
        return task.cancelled()

    assert run(path, main)
    assert on_disk(path) == ["one", "two"]


def test_a_read_does_not_wait_for_a_write(path):
    async def main(db):
        await db.write(put("a"))
        gate = threading.Event()
        write = asyncio.ensure_future(db.write(lambda conn: (put("b")(conn), gate.wait(10))))
        await asyncio.sleep(0.02)
        seen = await asyncio.wait_for(db.read(texts), 5)
        gate.set()
        await write
        return seen, await db.read(texts)

    assert run(path, main) == (["a"], ["a", "b"])


def test_a_read_sees_one_state_from_begin_to_end(path):
    async def main(db):
        await db.write(put("a"))
        begun, gate = threading.Event(), threading.Event()

        def twice(conn):
            first = texts(conn)
            begun.set()
            gate.wait(10)
            return first, texts(conn)

        read = asyncio.ensure_future(db.read(twice))
        await asyncio.to_thread(begun.wait, 10)
        await db.write(put("b"))
        gate.set()
        return await read

    assert run(path, main) == (["a"], ["a"])


def test_a_read_cannot_write(path):
    async def main(db):
        with pytest.raises(StorageReadOnly):
            await db.read(put("a"))

    run(path, main)
    assert on_disk(path) == []


def test_a_lock_held_by_another_process_is_waited_for(path):
    run(path, lambda db: db.write(put("a")))

    async def main(db):
        conn = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        conn.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.2, lambda: (conn.execute("COMMIT"), conn.close()))
        timer.start()
        await db.write(put("b"))
        timer.join()

    run(path, main)
    assert on_disk(path) == ["a", "b"]


def test_a_lock_held_for_too_long_is_storage_busy_and_later_writes_work(path):
    async def main(db):
        with closing(sqlite3.connect(path, isolation_level=None)) as conn:
            conn.execute("BEGIN IMMEDIATE")
            with pytest.raises(StorageBusy) as caught:
                await db.write(put("a"))
        await db.write(put("b"))
        return caught.value

    error = run(path, main, busy_timeout=0.1)
    assert error.path == str(path)
    assert isinstance(error.__cause__, sqlite3.OperationalError)
    assert on_disk(path) == ["b"]


def test_a_closed_database_says_so(path):
    async def main():
        db = await Database.open(path, migrations=NOTES)
        await db.aclose()
        with pytest.raises(StorageError, match="is closed"):
            await db.write(put("a"))
        with pytest.raises(StorageError, match="is closed") as caught:
            await db.read(texts)
        assert type(caught.value) is StorageError

    asyncio.run(main())


def test_closing_finishes_what_was_asked_for(path):
    async def main():
        db = await Database.open(path, migrations=NOTES)
        writes = [asyncio.ensure_future(db.write(put(str(n)))) for n in range(20)]
        await asyncio.sleep(0)
        await db.aclose()
        await asyncio.gather(*writes)

    asyncio.run(main())
    assert len(on_disk(path)) == 20


def test_a_database_that_is_collected_open_warns_and_ends_its_thread(path):
    async def main():
        db = await Database.open(path, migrations=NOTES)
        await db.read(texts)
        del db
        gc.collect()

    before = set(threading.enumerate())
    with pytest.warns(ResourceWarning, match="was never closed"):
        asyncio.run(main())
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and set(threading.enumerate()) - before:
        time.sleep(0.01)
    assert not [thread for thread in set(threading.enumerate()) - before if "writer" in thread.name]


def test_a_cancelled_open_leaves_nothing_open(path):
    async def main():
        task = asyncio.ensure_future(Database.open(path, migrations=NOTES).__aenter__())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(main())
        gc.collect()
    assert "massgen-writer" not in " ".join(thread.name for thread in threading.enumerate())


def test_a_file_that_was_removed_while_open_takes_no_more_writes(path):
    async def main(db):
        await db.write(put("a"))
        path.rename(path.with_suffix(".moved"))
        with pytest.raises(StorageError, match="removed or replaced"):
            await db.write(put("b"))
        path.with_suffix(".moved").rename(path)
        await db.write(put("c"))

    run(path, main)
    assert on_disk(path) == ["a", "c"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_is_told_to_open_the_file_itself(path):
    script = """
import asyncio, os, sys
from massgen_core.errors import StorageError
from massgen_core.storage import SCHEMA, Database

async def main():
    async with Database.open(sys.argv[1], migrations=SCHEMA) as db:
        await db.write(lambda conn: None)
        if (pid := os.fork()) == 0:
            try:
                db._threads.writer.submit(lambda conn: None)
            except StorageError as exc:
                os._exit(7 if "after a fork" in exc.hint else 1)
            os._exit(1)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(path)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "7"


def test_emptying_the_log_leaves_no_deleted_text_behind(path):
    text = "correct-horse-battery-staple"

    async def main(db):
        await db.write(put(text))
        await db.write(lambda conn: conn.execute("DELETE FROM note"))
        emptied = await db.checkpoint()
        found = [text.encode() in file.read_bytes() for file in path.parent.glob("x.db*")]
        return emptied, found

    assert run(path, main) == (True, [False, False, False])


def test_emptying_the_log_gives_way_to_a_reader(path):
    async def main(db):
        await db.write(put("a"))
        with closing(sqlite3.connect(path, isolation_level=None)) as conn:
            conn.execute("BEGIN")
            texts(conn)
            await db.write(put("b"))
            return await db.checkpoint()

    assert run(path, main) is False


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (".massgen", ".massgen/massgen.db"),
        ("team.db", "team.db"),
        ("deep/er", "deep/er/massgen.db"),
        ("there.d", "there.d/massgen.db"),
        ("plain", "plain"),
    ],
)
def test_a_path_is_a_file_or_the_folder_of_one(tmp_path, given, expected):
    (tmp_path / "there.d").mkdir()
    (tmp_path / "plain").write_bytes(b"")
    assert database_path(tmp_path / given) == tmp_path / expected


def test_two_processes_that_create_a_file_at_once_both_succeed(path):
    script = (
        "import asyncio, sys\n"
        "from massgen_core.storage import SCHEMA, Database, put_blobs\n"
        "async def main():\n"
        "    async with Database.open(sys.argv[1], migrations=SCHEMA) as db:\n"
        "        await db.write(lambda conn: put_blobs(conn, 'x', [sys.argv[2].encode()]))\n"
        "sys.stdin.readline()\n"
        "asyncio.run(main())\n"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", script, path, str(n)], stdin=subprocess.PIPE)
        for n in range(4)
    ]
    for child in children:
        child.stdin.write(b"\n")
        child.stdin.close()
    assert [child.wait(30) for child in children] == [0, 0, 0, 0]

    async def count():
        async with Database.open(path, migrations=SCHEMA) as db:
            return await db.read(lambda conn: conn.execute("SELECT count(*) FROM blob").fetchone())

    assert asyncio.run(count()) == (4,)


def test_a_wrong_statement_is_not_called_damage(path):
    async def main(db):
        with pytest.raises(StorageError, match="syntax error") as caught:
            await db.read(lambda conn: conn.execute("SELEKT"))
        return type(caught.value)

    assert run(path, main) is StorageError


def test_a_missing_table_is_called_damage(path):
    async def main(db):
        with pytest.raises(StorageCorrupt, match="no such table"):
            await db.read(lambda conn: conn.execute("SELECT * FROM gone"))

    run(path, main)
