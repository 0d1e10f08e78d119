"""Several real processes on one file."""

import subprocess
import sys

import pytest

APPENDING = """
import asyncio, sys
from massgen_core.messages import user
from massgen_core.sessions import NewEntry, SessionStore

async def main(path, session_id, number):
    async with SessionStore.open(path, synchronous="normal") as store:
        async with store.open_session(session_id, create=True) as session:
            print("open", flush=True)
            sys.stdin.readline()
            for n in range(number):
                await session.append(NewEntry.message(user(f"{session_id} {n} " * 20)))

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""

OPENING = """
import asyncio, sys
from massgen_core.errors import SessionLocked
from massgen_core.sessions import SessionStore

async def main(path):
    async with SessionStore.open(path) as store:
        try:
            await store.open_session("s")
        except SessionLocked as exc:
            print(exc)

asyncio.run(main(sys.argv[1]))
"""


def start(script, *args):
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_append_to_different_sessions_of_one_file_without_loss(place):
    children = [start(APPENDING, place.path, f"s{n}", 100) for n in range(3)]
    for child in children:
        assert child.stdout.readline() == "open\n"
    for child in children:
        child.stdin.write("\n")
        child.stdin.flush()
    for child in children:
        with child:
            assert child.wait(40) == 0

    async def main(store):
        counted = {info.id: info.messages for info in await store.list()}
        texts = [entry.message.text for entry in await store.read("s1")]
        return counted, texts, await store.verify()

    counted, texts, report = place.run(main)
    assert counted == {"s0": 100, "s1": 100, "s2": 100}
    assert texts == [f"s1 {n} " * 20 for n in range(100)]
    assert report.ok


def test_two_processes_cannot_write_one_session(place):
    with start(APPENDING, place.path, "s", 3) as first:
        assert first.stdout.readline() == "open\n"
        with start(OPENING, place.path) as second:
            assert f"session 's' is open for writing in process {first.pid}" in second.stdout.read()
        first.stdin.write("\n")
        first.stdin.flush()
        assert first.wait(20) == 0
    assert place.run(lambda store: store.info("s")).messages == 3


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_killed_writer_holds_nothing_back(place):
    with start(APPENDING, place.path, "s", 3) as child:
        assert child.stdout.readline() == "open\n"
        child.kill()
        child.wait(20)

    async def main(store):
        async with store.open_session("s") as session:
            return session.resumed

    assert place.run(main).entries == 0


def test_a_reader_sees_what_another_process_appends(place):
    async def main(store):
        with start(APPENDING, place.path, "s", 3) as child:
            child.stdout.readline()
            before = (await store.info("s")).entries
            child.stdin.write("\n")
            child.stdin.flush()
            child.wait(20)
            return before, (await store.info("s")).entries

    assert place.run(main) == (0, 3)
