"""Files that cannot be opened, folders that cannot be written, disks without room."""

import asyncio
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from massgen_core.errors import (
    SchemaTooNew,
    StorageCorrupt,
    StorageError,
    StorageReadOnly,
)
from massgen_core.storage import APPLICATION_ID, SCHEMA, Database, put_blobs

NOBODY = 65534


async def count(db):
    return await db.read(lambda conn: conn.execute("SELECT count(*) FROM blob").fetchone()[0])


def opened(path, **options):
    async def main():
        async with Database.open(path, migrations=SCHEMA, **options) as db:
            return await count(db)

    return asyncio.run(main())


def filled(path, number=3):
    async def main():
        async with Database.open(path, migrations=SCHEMA) as db:
            await db.write(lambda conn: put_blobs(conn, "x", [b"%d" % n for n in range(number)]))

    asyncio.run(main())
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.db"


def test_an_empty_file_becomes_a_database(path):
    path.write_bytes(b"")
    assert opened(path) == 0


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize(
    ("left", "said"),
    [
        ("x.db.snapshots/x.db.snapshot-20260131T120000Z", "mgc memory restore .*120000Z`"),
        ("x.indexes/chroma/state.json", "without the indexes it begins anew"),
        ("x.db-wal", "repair --salvage"),
    ],
)
def test_a_file_that_was_emptied_is_corrupt_and_untouched(path, left, said, read_only):
    path.write_bytes(b"")
    beside = path.parent / left
    beside.parent.mkdir(parents=True, exist_ok=True)
    beside.write_bytes(b"something")
    with pytest.raises(StorageCorrupt, match="is empty, and was not") as caught:
        opened(path, read_only=read_only)
    assert re.search(said, caught.value.hint)
    assert (b"", b"something") == (path.read_bytes(), beside.read_bytes())


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_no_database_is_corrupt_and_untouched(path, read_only):
    path.write_bytes(b"this is a letter, not a database\n" * 50)
    with pytest.raises(StorageCorrupt) as caught:
        opened(path, read_only=read_only)
    assert caught.value.path == str(path)
    assert path.read_bytes() == b"this is a letter, not a database\n" * 50


def test_a_database_of_another_program_is_refused_and_untouched(path):
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with pytest.raises(StorageCorrupt, match="another program"):
        opened(path)
    assert path.read_bytes() == before


def test_a_truncated_file_is_corrupt(path):
    filled(path)
    with path.open("r+b") as file:
        file.truncate(file.seek(0, 2) // 2)
    with pytest.raises(StorageCorrupt):
        opened(path)


def test_a_header_that_lost_its_version_is_corrupt_not_migrated_again(path):
    filled(path)
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA user_version = 0")
    with pytest.raises(StorageCorrupt, match="header"):
        opened(path)


def test_a_newer_schema_is_refused_but_can_be_read(path):
    filled(path)
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("CREATE TABLE later (x)")
        conn.execute("PRAGMA user_version = 99")
    with pytest.raises(SchemaTooNew) as caught:
        opened(path)
    assert (caught.value.found, caught.value.supported) == (99, len(SCHEMA))
    assert opened(path, read_only=True) == 3


def make_newer(path):
    with closing(sqlite3.connect(filled(path))) as conn:
        conn.execute(f"PRAGMA user_version = {len(SCHEMA) + 1}")


def make_a_letter(path):
    path.write_bytes(b"this is a letter, not a database\n" * 50)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no names of open files")
@pytest.mark.parametrize("make", [make_newer, make_a_letter])
def test_a_file_that_is_refused_is_not_kept_open(path, make):
    make(path)
    with pytest.raises(StorageError) as caught:
        opened(path)
    held = {fd.resolve() for fd in Path("/proc/self/fd").iterdir()}
    assert path not in held
    assert str(path) == caught.value.path


def test_a_newer_schema_without_what_is_read_says_that_it_is_newer(path):
    filled(path)
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("ALTER TABLE blob RENAME TO payload")
        conn.execute("PRAGMA user_version = 99")
    with pytest.raises(SchemaTooNew, match="no such table"):
        opened(path, read_only=True)


def test_reading_only_needs_a_file(path):
    with pytest.raises(StorageError, match="there is no database"):
        opened(path, read_only=True)
    assert not path.exists()


def test_reading_only_changes_nothing_and_refuses_to_write(path):
    filled(path)
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}

    async def main():
        async with Database.open(path, migrations=SCHEMA, read_only=True) as db:
            assert db.read_only
            with pytest.raises(StorageReadOnly, match="reading only"):
                await db.write(lambda conn: None)
            return await count(db)

    assert asyncio.run(main()) == 3
    assert path.read_bytes() == before["x.db"]


def test_reading_only_an_older_schema_asks_for_a_migration(path):
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("CREATE TABLE blob (x)")
        conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        conn.execute("PRAGMA user_version = 1")
    later = (*SCHEMA, SCHEMA[0])

    async def main():
        with pytest.raises(StorageError, match="has schema 1"):
            await Database.open(path, migrations=later, read_only=True)

    asyncio.run(main())


def test_a_folder_in_place_of_the_file_is_refused(path):
    path.mkdir()
    with pytest.raises(StorageError, match="is a folder"):
        opened(path)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(StorageError, match="a file is in the way"):
        opened(tmp_path / "a" / "x.db")


# What root may do says nothing: these run in a process that has dropped its rights.

_AS_NOBODY = """
import asyncio, json, os, sys
from massgen_core.errors import MassgenError
from massgen_core.storage import SCHEMA, Database, put_blobs

async def main(path, read_only, write):
    async with Database.open(path, migrations=SCHEMA, read_only=read_only) as db:
        if write:
            await db.write(lambda conn: put_blobs(conn, "y", [b"new"]))
        return await db.read(lambda conn: conn.execute("SELECT count(*) FROM blob").fetchone()[0])

path, read_only, write = sys.argv[1], sys.argv[2] == "ro", sys.argv[3] == "write"
asyncio.run(asyncio.sleep(0))
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    print(json.dumps(asyncio.run(main(path, read_only, write))))
except MassgenError as exc:
    print(json.dumps([type(exc).__name__, exc.hint]))
"""


def as_nobody(path, mode, action="read"):
    done = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, str(path), mode, action],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.fixture
def sealed():
    """A database in a folder that is then made unwritable."""
    folder = Path(tempfile.mkdtemp(prefix="massgen-"))
    filled(folder / "x.db")
    (folder / "x.db").chmod(0o444)
    folder.chmod(0o555)
    yield folder / "x.db"
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_a_folder_that_cannot_be_written_can_be_read(sealed):
    assert as_nobody(sealed, "ro") == 3


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_a_folder_that_cannot_be_written_is_read_only_to_a_writer(sealed):
    name, hint = as_nobody(sealed, "rw", "write")
    assert name == "StorageReadOnly"
    assert hint


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_a_new_file_in_a_folder_that_cannot_be_written_is_read_only(sealed):
    name, _ = as_nobody(sealed.with_name("new.db"), "rw", "write")
    assert name == "StorageReadOnly"


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_a_new_folder_where_none_can_be_made_is_read_only(sealed):
    name, _ = as_nobody(sealed.parent / "deeper" / "x.db", "rw", "write")
    assert name == "StorageReadOnly"


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_what_a_killed_writer_left_in_the_log_can_be_read_without_rights_to_write(tmp_path):
    folder = Path(tempfile.mkdtemp(prefix="massgen-"))
    script = (
        "import asyncio, os, signal, sys\n"
        "from massgen_core.storage import SCHEMA, Database, put_blobs\n"
        "async def main():\n"
        "    db = await Database.open(sys.argv[1], migrations=SCHEMA)\n"
        "    await db.write(lambda conn: put_blobs(conn, 'x', [b'1', b'2']))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    subprocess.run([sys.executable, "-c", script, str(folder / "x.db")], check=False)
    assert (folder / "x.db-wal").stat().st_size > 0
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)
    try:
        assert as_nobody(folder / "x.db", "ro") == 2
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


_FULL = """
import asyncio, json, os, resource, sys
from massgen_core.errors import StorageFull
from massgen_core.storage import SCHEMA, Database, put_blobs

async def fill(db):
    done = 0
    while True:
        try:
            await db.write(lambda conn: put_blobs(conn, "x", [os.urandom(20_000)]))
        except StorageFull as exc:
            return done, exc.hint
        done += 1

async def main(path):
    count = lambda conn: conn.execute("SELECT count(*) FROM blob").fetchone()[0]
    async with Database.open(path, migrations=SCHEMA) as db:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
        done, hint = await fill(db)
        again, _ = await fill(db)
        kept = await db.read(count)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        await db.write(lambda conn: put_blobs(conn, "x", [b"after"]))
        state = await db.read(lambda conn: conn.execute("PRAGMA integrity_check").fetchone()[0])
        print(json.dumps([done + again, kept, await db.read(count), state, hint]))

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.skipif(os.name == "nt", reason="RLIMIT_FSIZE")
def test_a_full_disk_loses_nothing_acknowledged_and_writing_goes_on_after(path):
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(path)], capture_output=True, text=True, check=True
    )
    acknowledged, kept, after, state, hint = json.loads(done.stdout)
    assert acknowledged > 3
    assert (kept, after, state) == (acknowledged, acknowledged + 1, "ok")
    assert "space" in hint
    assert opened(path) == after


def test_many_may_create_a_file_at_once(tmp_path):
    def one(number, barrier):
        async def main():
            async with Database.open(tmp_path / f"{number}.db", migrations=SCHEMA) as db:
                return db.schema

        barrier.wait()
        return asyncio.run(main())

    with ThreadPoolExecutor(4) as pool:
        for number in range(20):
            barrier = threading.Barrier(4)
            opened = [pool.submit(one, number, barrier) for _ in range(4)]
            assert [len(SCHEMA)] * 4 == [each.result() for each in opened]
