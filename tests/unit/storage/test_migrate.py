import asyncio
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from massgen_core.errors import StorageCorrupt
from massgen_core.storage import APPLICATION_ID, Database, Migration

HERE = Path(__file__).parent
FIRST = Migration(1, "notes", ("CREATE TABLE note (text TEXT NOT NULL)",))
SECOND = Migration(
    2,
    "length",
    (
        "ALTER TABLE note ADD COLUMN length INTEGER",
        lambda conn: conn.execute("UPDATE note SET length = length(text)"),
    ),
)
THIRD = Migration(3, "index", ("CREATE INDEX note_length ON note (length)",))


class Frozen:
    def now(self):
        return 1_700_000_000.0

    def monotonic(self):
        return 0.0


def migrated(path, *migrations):
    async def main():
        async with Database.open(path, migrations=migrations, clock=Frozen()) as db:
            return db.schema

    return asyncio.run(main())


def noted(path):
    async def main():
        async with Database.open(path, migrations=(FIRST,)) as db:
            await db.write(lambda conn: conn.execute("INSERT INTO note VALUES ('four')"))

    asyncio.run(main())


def header(path):
    with closing(sqlite3.connect(path)) as conn:
        return [
            conn.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("application_id", "user_version")
        ]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.db"


def test_a_new_file_gets_the_newest_schema_and_no_backup(path):
    assert migrated(path, FIRST, SECOND, THIRD) == 3
    assert header(path) == [APPLICATION_ID, 3]
    assert sorted(file.name for file in path.parent.iterdir()) == ["x.db"]


def test_opening_again_changes_nothing(path):
    migrated(path, FIRST, SECOND)
    before = path.read_bytes()
    assert migrated(path, FIRST, SECOND) == 2
    assert path.read_bytes() == before


def test_an_older_file_is_backed_up_and_migrated(path):
    noted(path)
    assert migrated(path, FIRST, SECOND, THIRD) == 3
    with closing(sqlite3.connect(path)) as conn:
        assert conn.execute("SELECT * FROM note").fetchall() == [("four", 4)]
    backup = path.with_name("x.db.v1-20231114T221320Z.bak")
    with closing(sqlite3.connect(backup)) as conn:
        assert conn.execute("SELECT * FROM note").fetchall() == [("four",)]
    assert header(backup) == [APPLICATION_ID, 1]


def test_a_backup_never_replaces_another(path):
    noted(path)
    path.with_name("x.db.v1-20231114T221320Z.bak").write_bytes(b"mine")
    migrated(path, FIRST, SECOND)
    assert path.with_name("x.db.v1-20231114T221320Z.bak").read_bytes() == b"mine"
    assert path.with_name("x.db.v1-20231114T221320Z-2.bak").exists()


def test_a_migration_that_fails_leaves_the_file_as_it_was(path):
    noted(path)
    broken = Migration(2, "broken", (*SECOND.steps, "INSERT INTO nowhere VALUES (1)"))
    with pytest.raises(StorageCorrupt):
        migrated(path, FIRST, broken)
    assert migrated(path, FIRST) == 1
    with closing(sqlite3.connect(path)) as conn:
        assert conn.execute("SELECT * FROM note").fetchall() == [("four",)]


def test_a_damaged_file_is_not_migrated(path):
    noted(path)

    async def grow():
        async with Database.open(path, migrations=(FIRST,)) as db:
            rows = [(str(number) * 200,) for number in range(500)]
            await db.write(lambda conn: conn.executemany("INSERT INTO note VALUES (?)", rows))

    asyncio.run(grow())
    content = bytearray(path.read_bytes())
    content[8192 : 8192 + 64] = b"\xff" * 64
    path.write_bytes(content)
    with pytest.raises(StorageCorrupt):
        migrated(path, FIRST, SECOND)
    assert not list(path.parent.glob("*.bak"))


def test_two_processes_migrate_once(path):
    noted(path)

    async def main():
        await asyncio.gather(
            *(
                asyncio.to_thread(migrated, path, FIRST, SECOND, THIRD)  # each its own connection
                for _ in range(4)
            )
        )

    asyncio.run(main())
    # Who comes between two migrations of another backs up what it finds; nobody begins again.
    assert len(list(path.parent.glob("*.v1-*.bak"))) == 1
    with closing(sqlite3.connect(path)) as conn:
        assert conn.execute("SELECT * FROM note").fetchall() == [("four", 4)]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.parametrize("start", ["new", "old"])
def test_a_kill_at_any_statement_leaves_a_file_that_opens_and_has_everything(tmp_path, start):
    done = subprocess.run(
        [sys.executable, str(HERE / "kill_at_each_statement.py"), str(tmp_path), start],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["kills"] > 20
    assert report["wrong"] == []
