"""The memory of scripts: every call of `Memory`, without `await`."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import sys
import threading

import pytest

from massgen_core.errors import InvalidArgument, RecordNotFound, StorageError
from massgen_core.memory import Memory, NewMemory, Scope
from massgen_core.sync import SyncMemory, _Thread, open_memory

ADA = {"user": "ada"}


def test_a_script_remembers_and_recalls(tmp_path):
    with open_memory(tmp_path) as memory:
        record = memory.remember("The cat is called Miau.", scope=ADA, kind="fact")
        memory.remember_many([NewMemory(text="The dog is Rex.", scope=Scope(user="ada"))])
        (hit,) = memory.recall("What is the name of the cat?", scope=ADA, k=1)
        assert record == hit.record.id
        assert tmp_path / "massgen.db" == memory.path
        memory.update(record, text="The cat is called Mia.")
        assert ["create", "update"] == [one.op for one in memory.history(record)]
        memory.forget(record)
        assert "tombstone" == memory.get(record).state
    with open_memory(tmp_path, read_only=True) as memory:
        assert 1 == memory.stats(ADA).active.records


def test_every_coroutine_of_memory_is_there():
    wanted = {
        name
        for name, member in inspect.getmembers(Memory, inspect.iscoroutinefunction)
        if not name.startswith("_") and name != "aclose"
    }
    assert wanted <= set(vars(SyncMemory))
    assert {"path", "work_later", "close"} <= set(vars(SyncMemory))
    assert inspect.signature(Memory.recall) == inspect.signature(SyncMemory.recall)


def test_errors_come_as_they_are(tmp_path):
    with open_memory(tmp_path) as memory, pytest.raises(RecordNotFound):
        memory.get("nobody")
    with pytest.raises(StorageError, match="is closed"):
        memory.recall("x", scope=ADA)
    memory.close()
    with pytest.raises(StorageError, match="there is no database"):
        open_memory(tmp_path / "missing", read_only=True)


def test_it_works_where_a_loop_runs(tmp_path):
    async def main():
        with open_memory(tmp_path) as memory:
            memory.remember("The cat is called Miau.", scope=ADA)
            return await asyncio.to_thread(memory.recall, "cat", scope=ADA)

    assert ["The cat is called Miau."] == [hit.record.text for hit in asyncio.run(main())]


def test_threads_share_it(tmp_path):
    with open_memory(tmp_path, synchronous="normal") as memory:

        def write(number):
            for turn in range(5):
                memory.remember(f"{number} said {turn}", scope=ADA)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 20 == memory.stats().active.records
        assert memory.verify().ok


def test_asking_it_from_inside_itself_is_refused(tmp_path):
    raised = []

    class Inside:
        identity = "inside/1"

        async def extract(self, messages, known, /):
            try:
                memory.recall("x", scope=ADA)
            except InvalidArgument as exc:
                raised.append(exc.message)
            return []

    with open_memory(tmp_path, extractor=Inside()) as memory:
        memory.remember("Hello.", scope=ADA)
        memory.work_later()
        memory.rest()
        assert (0, 0, 0) == memory.waiting()
    assert "from inside itself" in raised[0]


def left_after(before):
    for thread in threading.enumerate():
        if thread.name == "massgen-sync":
            thread.join(10)
    return set(threading.enumerate()) - before


def test_no_thread_is_left(tmp_path):
    before = set(threading.enumerate())
    with open_memory(tmp_path):
        pass
    assert set() == left_after(before)


def test_no_thread_is_left_where_there_is_no_memory_to_open(tmp_path):
    before = set(threading.enumerate())
    with pytest.raises(StorageError):
        open_memory(tmp_path / "missing", read_only=True)
    assert set() == left_after(before)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals to a thread")
def test_an_interrupted_call_is_cancelled():
    thread = _Thread()
    ended = threading.Event()

    caller = threading.main_thread().ident

    async def work():
        while sys._current_frames()[caller].f_code.co_name != "wait":  # noqa: ASYNC110 - no event says so
            await asyncio.sleep(0.01)
        signal.pthread_kill(caller, signal.SIGINT)
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    try:
        with pytest.raises(KeyboardInterrupt):
            thread.run(work)
        assert ended.wait(10)
    finally:
        thread.stop()
        thread._thread.join(10)


def test_one_that_is_not_closed_is_told(tmp_path):
    held = [open_memory(tmp_path)]
    inner, thread = held[0]._memory, held[0]._thread
    with pytest.warns(ResourceWarning, match="never closed"):
        held.clear()
    thread._thread.join(10)
    asyncio.run(inner.aclose())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_process_is_told_to_open_its_own(tmp_path):
    with open_memory(tmp_path) as memory:
        child = os.fork()
        if child == 0:
            try:
                memory.recall("x", scope=ADA)
            except InvalidArgument:
                os._exit(7)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        assert 7 == os.waitstatus_to_exitcode(status)
