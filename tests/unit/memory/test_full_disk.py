"""No room, or no right to write: a typed error, nothing acknowledged is lost, and it goes on."""

import asyncio
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from massgen_core.errors import MassgenError, StorageFull, StorageReadOnly
from massgen_core.memory import Memory

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits and mounts of POSIX")
ADA = {"user": "ada"}
TEXT = "tea " * 400


@pytest.fixture
def small(tmp_path):
    """A file system of a megabyte; skips where none can be mounted."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if (
        shutil.which("mount") is None
        or subprocess.run(command, capture_output=True, check=False).returncode
    ):
        pytest.skip("nothing can be mounted")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


async def until_full(memory):
    """Remembers until there is no room; the texts that were acknowledged."""
    told = {}
    for number in range(10_000):
        text = f"{number} {os.urandom(600).hex()}"  # does not compress well
        try:
            told[await memory.remember(text, scope=ADA)] = text
        except StorageFull:
            return told
    raise AssertionError("there always was room")


async def there(memory):
    return {one.id: one.text for one in await memory.timeline(ADA)}


def test_a_full_disk_takes_nothing_and_room_lets_it_go_on(small):
    ballast = small / "ballast"

    async def main():
        ballast.write_bytes(bytes(200_000))
        async with Memory.open(small / "m.db") as memory:
            told = await until_full(memory)
            assert told
            assert told == await there(memory)
            assert (await memory.verify()).ok
            for call in (
                memory.snapshot(),
                memory.export(small / "archive"),
                memory.compact(),
                memory.remember_many([]),
                memory.update(min(told), text="x" * 100_000),
            ):
                try:
                    await call
                except MassgenError as exc:
                    assert isinstance(exc, StorageFull)  # noqa: PT017 - or it found room
            assert [] == [one.name for one in small.rglob("*.tmp")]
            assert told == await there(memory)
            ballast.unlink()
            told[await memory.remember("goes on", scope=ADA)] = "goes on"
        async with Memory.open(small / "m.db") as memory:
            assert (await memory.verify()).ok
            assert told == await there(memory)

    asyncio.run(main())


def test_a_limit_of_the_size_of_files_takes_nothing(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def main():
        async with Memory.open(tmp_path) as memory:
            resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
            try:
                told = await until_full(memory)
                resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
                with pytest.raises(StorageFull):
                    await memory.export(tmp_path / "archive")
                with pytest.raises(StorageFull):
                    await memory.snapshot()
                for _ in range(300):  # whose statistics are written now and then
                    (hit,) = await memory.recall("0", scope=ADA, k=1)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            await memory.stats()
            assert 300 == (await memory.get(hit.record.id)).use_count
            assert [] == list(tmp_path.glob("archive*"))
            assert [] == list(tmp_path.glob("*.snapshots/*snapshot*"))
            assert told == await there(memory)
            told[await memory.remember("goes on", scope=ADA)] = "goes on"
            return told

    async def again():
        async with Memory.open(tmp_path) as memory:
            assert (await memory.verify()).ok
            return await there(memory)

    assert asyncio.run(main()) == asyncio.run(again())


@pytest.mark.parametrize("pages", [40, 60])
def test_a_cap_on_pages_takes_nothing(tmp_path, pages):
    async def main():
        async with Memory.open(tmp_path) as memory:
            await memory._database.write(
                lambda conn: conn.execute(f"PRAGMA max_page_count = {pages}").fetchone()
            )
            told = await until_full(memory)
            assert told == await there(memory)
            with pytest.raises(StorageFull):
                await memory.remember(TEXT + os.urandom(3000).hex(), scope=ADA)
            assert (await memory.verify()).ok
        async with Memory.open(tmp_path) as memory:
            await memory.remember("goes on", scope=ADA)
            assert len(told) + 1 == len(await there(memory))

    asyncio.run(main())


def test_a_file_system_that_became_read_only_refuses_and_loses_nothing(small):
    def mount(how):
        subprocess.run(["mount", "-o", f"remount,{how}", str(small)], check=True)

    async def told():
        async with Memory.open(small / "m.db") as memory:
            await memory.remember("tea", scope=ADA)

    async def refused():
        with pytest.raises(StorageReadOnly):
            await Memory.open(small / "m.db")
        async with Memory.open(small / "m.db", read_only=True) as memory:
            assert (await memory.verify()).ok
            with pytest.raises(StorageReadOnly):
                await memory.remember("more", scope=ADA)
            return list((await there(memory)).values())

    asyncio.run(told())
    with closing(sqlite3.connect(small / "m.db")) as conn:
        conn.execute("PRAGMA journal_mode")
    mount("ro")
    try:
        assert ["tea"] == asyncio.run(refused())
    finally:
        mount("rw")
