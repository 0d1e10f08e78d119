"""Files that older versions wrote are migrated, and nothing in them changes."""

import asyncio
import gzip
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from massgen_core.memory import Memory
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


def test_there_is_a_file_of_every_schema_before_this_one():
    assert [f"v{number}.db.gz" for number in range(1, len(SCHEMA))] == [one.name for one in FILES]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
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
def test_an_older_file_takes_memories_in(file, tmp_path):
    path = unpacked(file, tmp_path)

    async def main():
        async with Memory.open(path) as memory:
            await memory.remember("tea", scope={"user": "ada"})
        async with Memory.open(path) as memory, SessionStore.open(path) as store:
            assert (await store.verify()).ok
            return [hit.record.text for hit in await memory.recall("tea", scope={"user": "ada"})]

    assert ["tea"] == asyncio.run(main())
