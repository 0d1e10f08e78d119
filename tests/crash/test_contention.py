"""Several processes and threads write to one long-term memory: every write is there, once."""

import asyncio
import json
import runpy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from massgen_core import open_memory

SCRIPT = Path(__file__).with_name("contender.py")

contender = runpy.run_path(str(SCRIPT))


async def left_behind(memory, told):
    """Everything that was acknowledged is in the file, and nothing else; by two ways to read."""
    expected = {f"{name}-{n}" for name, done in told.items() for n in range(done["own"])}
    own = {one.id for one in await memory.timeline(contender["OWN"])}
    assert expected == own
    hits = await memory.recall("note", scope=contender["OWN"], k=100_000)
    assert expected == {hit.record.id for hit in hits}
    counters = await memory.timeline(contender["SHARED"])
    assert [f"counter-{n}" for n in range(contender["COUNTERS"])] == sorted(
        one.id for one in counters
    )
    counted = sum(done["counted"] for done in told.values())
    assert counted == sum(int(one.text.split()[1]) for one in counters)
    for one in counters:
        changes = await memory.history(one.id)
        assert [f"counter {n}" for n in range(one.rev)] == [each.record.text for each in changes]
        assert list(range(1, one.rev + 1)) == [each.record.rev for each in changes]
    report = await memory.verify()
    assert report.problems == ()
    assert len(expected) + counted + len(counters) == report.entries


def processes(folder, names, writes, seed):
    """Run them at the same time; what each said it did."""
    children = {
        name: subprocess.Popen(
            [sys.executable, str(SCRIPT), str(folder), name, str(writes), str(seed)],
            stdout=subprocess.PIPE,
        )
        for name in names
    }
    said = {name: child.communicate()[0] for name, child in children.items()}
    assert {0} == {child.returncode for child in children.values()}
    return {name: json.loads(line) for name, line in said.items()}


@pytest.mark.parametrize(
    ("count", "writes"),
    [(4, 50), pytest.param(8, 1000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])],
)
def test_processes_lose_no_write_and_a_long_open_memory_sees_them(tmp_path, count, writes):
    names = [f"p{number}" for number in range(count)]

    async def main():
        async with open_memory(tmp_path) as long_open:
            assert [] == await long_open.recall("note", scope=contender["OWN"])
            running = asyncio.create_task(asyncio.to_thread(processes, tmp_path, names, writes, 1))
            seen = 0
            while not running.done():
                found = len(await long_open.timeline(contender["OWN"]))
                hits = await long_open.recall("note", scope=contender["OWN"], k=100_000)
                assert seen <= found <= len(hits)
                seen = len(hits)
                await asyncio.sleep(0.2)
            told = await running
            await left_behind(long_open, told)
        async with open_memory(tmp_path) as fresh:
            await left_behind(fresh, told)
        return told

    told = asyncio.run(main())
    done = {key: sum(one[key] for one in told.values()) for key in ("own", "counted", "conflicts")}
    print(f"{count} processes x {writes} writes, 0 lost: {done}")  # noqa: T201


def test_threads_lose_no_write(tmp_path):
    names = ["t1", "t2", "t3"]

    def one(name):
        return asyncio.run(contender["contend"](str(tmp_path), name, 40, "1"))

    with ThreadPoolExecutor() as pool:
        told = dict(zip(names, pool.map(one, names), strict=True))

    async def check():
        async with open_memory(tmp_path) as memory:
            await left_behind(memory, told)

    asyncio.run(check())


def test_tasks_of_one_memory_lose_no_write(tmp_path):
    async def main():
        async with open_memory(tmp_path) as memory:
            await memory.remember("counter 0", scope=contender["SHARED"], id="counter-0")
            done = [contender["count_up"](memory, 0) for _ in range(30)]
            conflicts = sum(await asyncio.gather(*done))
            return (await memory.get("counter-0")).text, conflicts

    text, conflicts = asyncio.run(main())
    assert "counter 30" == text
    assert conflicts > 0
