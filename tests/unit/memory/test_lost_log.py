"""A write-ahead log that lost what was committed is noticed, though SQLite is content with it."""

import asyncio
import shutil
import sys

import pytest

from massgen_core.memory import Memory

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="copies files that are open")
ADA = {"user": "ada"}


@pytest.fixture
def killed(tmp_path):
    """A memory as a kill leaves it: one text in the file, another in the log."""

    async def main():
        async with Memory.open(tmp_path / "living.db") as memory:
            await memory.remember("tea one", scope=ADA)
        async with Memory.open(tmp_path / "living.db") as memory:
            await memory.remember("tea two", scope=ADA)
            for end in ("", "-wal", "-shm"):
                shutil.copy2(tmp_path / f"living.db{end}", tmp_path / f"killed.db{end}")

    asyncio.run(main())
    return tmp_path / "killed.db"


async def looked_at(memory):
    hits = await memory.recall("tea", scope=ADA)
    problems = [problem.what for problem in (await memory.verify()).problems]
    return sorted(hit.record.text for hit in hits), problems


def look(path):
    async def main():
        async with Memory.open(path) as memory:
            return await looked_at(memory)

    return asyncio.run(main())


def test_a_kill_is_no_damage(killed):
    assert (["tea one", "tea two"], []) == look(killed)


def test_others_that_open_it_see_no_damage_where_the_log_is_used_up_and_begun_again(tmp_path):
    async def main():
        async with Memory.open(tmp_path) as one:
            for _ in range(3):
                await one.remember("tea", scope=ADA)
                async with Memory.open(tmp_path) as other:
                    assert (await other.verify()).ok
                    await one.forget(await one.remember("gin", scope=ADA))  # empties the log
                async with Memory.open(tmp_path) as other:
                    assert (await other.verify()).ok

    asyncio.run(main())


def cut(log):
    log.write_bytes(log.read_bytes()[:-10])


def empty(log):
    log.write_bytes(b"")


def flip(log):
    data = bytearray(log.read_bytes())
    data[100] ^= 1
    log.write_bytes(data)


def flip_salt(log):
    data = bytearray(log.read_bytes())
    data[19] ^= 1
    log.write_bytes(data)


def zero_head(log):
    log.write_bytes(bytes(32) + log.read_bytes()[32:])


@pytest.mark.parametrize("damage", [cut, empty, flip, flip_salt, zero_head])
def test_a_log_that_lost_commits_is_reported_until_it_is_repaired(killed, damage):
    log = killed.with_name("killed.db-wal")
    damage(log)
    left = log.read_bytes()
    for _ in range(2):  # SQLite has a new log from the first time on
        texts, problems = look(killed)
        assert ["tea one"] == texts
        assert ["the write-ahead log was damaged"] == [one.partition(":")[0] for one in problems]

    async def mend():
        async with Memory.open(killed) as memory:
            await memory.repair()
            return await looked_at(memory)

    assert (["tea one"], []) == asyncio.run(mend())
    (kept,) = killed.parent.glob("killed.db.damaged-wal-*")
    assert left == kept.read_bytes()


def test_a_log_that_is_gone_is_reported(killed):
    killed.with_name("killed.db-wal").unlink()
    assert 1 == len(look(killed)[1])
