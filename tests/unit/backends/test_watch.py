from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from massgen_core.backends import Request, Watched
from massgen_core.errors import Transient
from massgen_core.events import TextDelta
from massgen_core.messages import user
from massgen_core.testing import Answer, ScriptedBackend
from massgen_core.testing._virtual import hear, virtual

ASK = Request("m", (user("Hi"),))


class Stalling(ScriptedBackend):
    """Says a word, then nothing for an hour."""

    def __init__(self, first="Well "):
        super().__init__()
        self.first = first
        self.ended = 0

    async def stream(self, request, /):
        try:
            if self.first:
                yield TextDelta(self.first)
            await asyncio.sleep(3600)
        finally:
            self.ended += 1


SLOW = Answer("one two three four five six", delay=10)


@pytest.mark.parametrize("first", ["Well ", ""])
def test_a_stalled_stream_ends_typed_and_is_closed(first):
    backend = Stalling(first)
    heard = virtual(hear(Watched(backend, idle=30), ASK))
    assert bool(first) == len(heard.events)
    assert isinstance(heard.error, Transient)
    assert ("nothing came for 30 s", "scripted") == (heard.error.message, heard.error.backend)
    assert 1 == backend.ended


def test_each_piece_begins_the_wait_anew():
    heard = virtual(hear(Watched(ScriptedBackend([SLOW]), idle=11), ASK))
    assert "finished" == heard.kinds[-1]
    assert 60 == heard.times[-1]


def test_an_answer_may_take_only_so_long():
    heard = virtual(hear(Watched(ScriptedBackend([SLOW]), idle=11, call=25), ASK))
    assert [10, 20] == heard.times
    assert "the answer was not complete after 25 s" == heard.error.message


def test_without_limits_it_waits_for_ever():
    assert 3600 == virtual(_ends(Watched(Stalling())))


async def _ends(backend):
    heard = await hear(backend, ASK)
    assert heard.error is None
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("limits", [{"idle": 11}, {"call": 61}, {"idle": 11, "call": 61}])
def test_what_the_reader_does_in_between_does_not_count(limits):
    async def main():
        words = []
        async for event in Watched(ScriptedBackend([SLOW]), **limits).stream(ASK):
            words.append(event.kind)
            await asyncio.sleep(100)
        return words

    assert "backend.finished" == virtual(main())[-1]


def test_the_waits_of_an_answer_are_added_up():
    async def main():
        async with aclosing(Watched(ScriptedBackend([SLOW]), call=25).stream(ASK)) as stream:
            for _ in range(2):
                await anext(stream)
                await asyncio.sleep(100)
            with pytest.raises(Transient, match="not complete after 25 s"):
                await anext(stream)
        return asyncio.get_running_loop().time()

    assert 225 == virtual(main())


def test_a_stall_after_a_slow_reader_is_noticed():
    async def main():
        async with aclosing(Watched(Stalling(), idle=30).stream(ASK)) as stream:
            await anext(stream)
            await asyncio.sleep(100)
            with pytest.raises(Transient):
                await anext(stream)
        return asyncio.get_running_loop().time()

    assert 130 == virtual(main())


def test_a_cancellation_from_outside_stays_one():
    async def main():
        task = asyncio.create_task(hear(Watched(Stalling(), idle=30), ASK))
        await asyncio.sleep(29.9)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert virtual(main())


def test_a_timeout_from_outside_at_the_same_time_is_not_swallowed():
    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await hear(Watched(Stalling(), idle=30), ASK)
        return asyncio.current_task().cancelling()

    assert 0 == virtual(main())


def test_the_task_can_go_on_after_a_stall():
    async def main():
        await hear(Watched(Stalling(), idle=30), ASK)
        await asyncio.sleep(1)
        return asyncio.current_task().cancelling()

    assert 0 == virtual(main())


def test_a_stream_closed_early_leaves_no_timer():
    async def main():
        async with aclosing(Watched(Stalling(), idle=30).stream(ASK)) as stream:
            await anext(stream)
        return [h for h in asyncio.get_running_loop()._scheduled if not h.cancelled()]

    assert [] == virtual(main())
