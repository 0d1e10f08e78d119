"""Files of every schema are opened and verified; older ones are migrated, and nothing changes."""

import asyncio
import gzip
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from massgen_core.errors import SchemaTooNew
from massgen_core.memory import Grant, Memory, Scope
from massgen_core.sessions import SessionStore
from massgen_core.storage import SCHEMA

FILES = sorted((Path(__file__).parents[2] / "data" / "schemas").glob("*.db.gz"))


def unpacked(file, folder):
    folder.mkdir(exist_ok=True)
    path = folder / "massgen.db"
    path.write_bytes(gzip.decompress(file.read_bytes()))
    return path


def dump(path):
    with closing(sqlite3.connect(path)) as conn:
        return list(conn.iterdump())


def test_there_is_a_file_of_every_schema():
    names = [f"v{number}.db.gz" for number in range(1, len(SCHEMA) + 1)]
    assert names == [one.name for one in FILES]


@pytest.mark.parametrize("file", FILES[:-1], ids=lambda file: file.name)
def test_sessions_of_an_older_schema_are_as_they_were(file, tmp_path):
    path = unpacked(file, tmp_path)

    async def main():
        async with SessionStore.open(path) as store:
            assert (await store.verify()).ok
            return [entry.message.text for entry in await store.read("first")]

    texts = asyncio.run(main())
    long = "And this one, which is long enough to be a blob of its own. " * 5
    assert ["Keep this line, it is short.", long, "", ""] == texts
    (backup,) = tmp_path.glob("massgen.db.v*.bak")
    assert dump(unpacked(file, tmp_path / "again")) == dump(backup)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_of_any_schema_takes_memories_in(file, tmp_path):
    path = unpacked(file, tmp_path)

    async def main():
        async with Memory.open(path) as memory:
            await memory.remember("tea", scope={"user": "eve"})
            assert (await memory.verify()).ok
        async with Memory.open(path) as memory, SessionStore.open(path) as store:
            assert (await store.verify()).ok
            return [hit.record.text for hit in await memory.recall("tea", scope={"user": "eve"})]

    assert ["tea"] == asyncio.run(main())


STATES = {
    "short": ("Ada likes coffee.", "active", 2),
    "long": ("A text that is long enough to be a blob of its own. " * 5, "active", 1),
    "old": ("Ada lives in Oslo.", "superseded", 2),
    "new": ("Ada lives in Rome.", "active", 1),
    "gone": ("", "tombstone", 2),
    "pinned": ("Answer in French.", "active", 1),
    "private": ("Mine.", "active", 1),
    "wrong": ("Not any more.", "invalidated", 2),
}


async def states(memory):
    records = [await memory.get(one) for one in STATES]
    return {one.id: (one.text, one.state, one.rev) for one in records}


@pytest.mark.parametrize("file", FILES[1:], ids=lambda file: file.name)
def test_memories_of_a_schema_are_as_they_were(file, tmp_path):
    path = unpacked(file, tmp_path)

    async def main():
        async with Memory.open(path) as memory:
            assert (await memory.verify()).problems == ()
            assert await states(memory) == STATES
            texts = [one.record.text for one in await memory.history("short")]
            assert ["Ada likes tea.", "Ada likes coffee."] == texts
            grants = [Grant("bob", Scope(team="red"), ("read", "write"))]
            assert grants == await memory.grants()
            assert "here" == await memory.marker("journal")
            hits = await memory.recall("Where does Ada live?", scope={"user": "ada"}, k=1)
            assert ["pinned", "new"] == [hit.record.id for hit in hits]
            assert {"n": [1, None]} == (await memory.get("long")).meta

    asyncio.run(main())


def test_a_newer_file_is_refused_and_can_still_be_exported(tmp_path):
    path = unpacked(FILES[-1], tmp_path)
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("CREATE TABLE of_tomorrow (x)")
        conn.execute(f"PRAGMA user_version = {len(SCHEMA) + 1}")
    before = path.read_bytes()

    async def main():
        with pytest.raises(SchemaTooNew):
            await Memory.open(path)
        async with Memory.open(path, read_only=True) as memory:
            assert await states(memory) == STATES
            assert (await memory.verify()).ok
            await memory.export(tmp_path / "archive")
        async with Memory.open(tmp_path / "other.db") as memory:
            await memory.import_(tmp_path / "archive")
            return await states(memory)

    assert asyncio.run(main()) == STATES
    assert before == path.read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.parametrize("file", FILES[:-1], ids=lambda file: file.name)
def test_no_kill_in_the_migration_of_a_released_schema_loses_anything(file, tmp_path):
    script = Path(__file__).with_name("kill_migration.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), str(file)],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert [] == found["wrong"]
    version = 1 + FILES.index(file)
    assert found["kills"] > sum(len(migration.steps) for migration in SCHEMA[version:])
