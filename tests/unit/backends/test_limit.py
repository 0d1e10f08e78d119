from __future__ import annotations

import asyncio
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from massgen_core.backends import Limited, Limiter, Request
from massgen_core.backends._wrapper import Timing
from massgen_core.errors import RateLimited
from massgen_core.events import Usage, Waiting
from massgen_core.messages import ToolCall, ToolSpec, assistant, tool, user
from massgen_core.testing import Answer, ScriptedBackend
from massgen_core.testing._virtual import hear, timing, virtual

ASK = Request("m", (user("Hi"),))


def several(number, *, script=None, ask=ASK, most=1e9, **limits):
    """What came of requests that were made at the same time, in this order."""

    async def main():
        limiter = Limiter(**limits, timing=timing())
        backends = [
            Limited(
                ScriptedBackend(["Hello."] if script is None else script(n)),
                limiter,
                most=most,
                timing=timing(),
            )
            for n in range(number)
        ]
        return await asyncio.gather(*(hear(one, ask) for one in backends))

    return virtual(main())


def test_without_limits_nobody_waits():
    assert {0} == {heard.times[-1] for heard in several(200)}


def test_requests_go_at_once_until_the_limit_then_steadily():
    ends = [heard.times[-1] for heard in several(90, requests_per_minute=60)]
    assert [0] * 60 == ends[:60]
    assert [n + 1 for n in range(30)] == [round(end) for end in ends[60:]]


def test_the_day_limits_too():
    ends = [round(h.times[-1]) for h in several(3, requests_per_day=1, requests_per_minute=60)]
    assert [0, 86400, 172800] == pytest.approx(ends, abs=2)


def test_first_come_first_served():
    async def main():
        limiter = Limiter(tokens_per_minute=600, timing=timing())
        order = []

        async def one(number, size):
            backend = Limited(ScriptedBackend(["x"], window=99999), limiter, timing=timing())
            await hear(backend, Request("m", (user("x" * 4 * size),)))
            order.append(number)

        sizes = [600, 500, 1, 1, 300, 1]
        tasks = [asyncio.create_task(one(n, size)) for n, size in enumerate(sizes)]
        await asyncio.gather(*tasks)
        return order

    assert [0, 1, 2, 3, 4, 5] == virtual(main())


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.tuples(st.floats(0, 90), st.integers(1, 2000)), min_size=1, max_size=25),
    st.integers(1, 120),
    st.integers(100, 6000),
)
def test_no_minute_has_more_than_its_limits(arrivals, requests, tokens):
    """A bucket lets through what it holds and what flows in meanwhile, never more."""
    through = []

    async def one(limiter, at, size):
        await asyncio.sleep(at)
        ticket = limiter.join(size)
        while (seconds := limiter.try_take(ticket)[0]) > 0:  # noqa: ASYNC110 - as `Limited` does
            await asyncio.sleep(min(seconds, 1))
        through.append((asyncio.get_running_loop().time(), min(size, tokens)))

    async def main():
        limiter = Limiter(requests_per_minute=requests, tokens_per_minute=tokens, timing=timing())
        async with asyncio.TaskGroup() as group:
            for at, size in arrivals:
                group.create_task(one(limiter, at, size))

    virtual(main())
    for start, _ in through:
        window = [(at, size) for at, size in through if start <= at < start + 60]
        assert len(window) <= 2 * requests + 1
        assert sum(size for _, size in window) <= 2 * tokens + 1
    assert len(arrivals) == len(through)


def test_what_was_used_in_truth_corrects_what_was_thought():
    async def main():
        limiter = Limiter(tokens_per_minute=600, timing=timing())
        script = [Answer("x", usage=Usage(900, 300)), "y"]
        backend = Limited(ScriptedBackend(script), limiter, timing=timing())
        await hear(backend, ASK)
        return (await hear(backend, ASK)).times[-1]

    assert 60 < virtual(main()) < 62


def test_a_request_larger_than_the_limit_goes_when_nothing_else_does():
    long = Request("m", (user("word " * 1000),))
    ends = [round(h.times[-1]) for h in several(2, ask=long, tokens_per_minute=100)]
    assert 0 == ends[0]
    assert ends[1] > 60


def test_a_cancelled_wait_gives_its_place_up():
    async def main():
        limiter = Limiter(requests_per_minute=1, timing=timing())
        backend = Limited(ScriptedBackend(["a", "b"]), limiter, timing=timing())
        await hear(backend, ASK)
        waits = asyncio.create_task(hear(backend, ASK))
        behind = asyncio.create_task(hear(backend, ASK))
        await asyncio.sleep(10)
        waits.cancel()
        heard = await behind
        return waits.cancelled(), round(heard.times[-1])

    assert (True, 60) == virtual(main())


def test_a_wait_that_is_too_long_is_an_error_at_once():
    first, second = several(2, requests_per_minute=1, most=30)
    assert first.error is None
    assert isinstance(second.error, RateLimited)
    assert 60 == round(second.error.retry_after)
    assert [] == second.events


def test_of_many_those_that_would_wait_too_long_are_told_at_once():
    outcomes = several(100, requests_per_minute=1, most=310)
    refused = [one for one in outcomes if one.error is not None]
    assert 94 == len(refused)
    assert {360} == {round(one.error.retry_after) for one in refused}
    assert {"this request would have to wait 360 s: 1 requests a minute"} == {
        one.error.message for one in refused
    }
    assert not any(one.events for one in refused)


def test_a_wait_is_told_with_the_limit_it_is_for():
    _, second = several(2, requests_per_minute=1)
    waiting = second.events[0]
    assert isinstance(waiting, Waiting)
    assert ("limit", "1 requests a minute", 60) == (
        waiting.cause,
        waiting.reason,
        round(waiting.seconds),
    )


def test_what_the_provider_asks_of_one_all_wait_for():
    def script(number):
        return [RateLimited("busy", retry_after=20)] if number == 0 else ["Hello."]

    async def main():
        limiter = Limiter(timing=timing())
        first = Limited(ScriptedBackend(script(0)), limiter, timing=timing())
        second = Limited(ScriptedBackend(script(1)), limiter, timing=timing())
        await hear(first, ASK)
        return (await hear(second, ASK)).times[-1]

    assert 20 == round(virtual(main()))


def test_tools_and_results_count():
    spec = ToolSpec("look", "Looks. " * 100, {"type": "object"})
    call = assistant("", ToolCall("c", "look", '{"a": "' + "x" * 400 + '"}'))
    result = tool("c", "y" * 400)
    from massgen_core.backends._limit import _estimate

    small = _estimate(Request("m", (user("Hi"),)))
    large = _estimate(Request("m", (user("Hi"), call, result), (spec,)))
    assert 350 < large - small < 450


class Stopped:
    """A clock that stands still, so that nothing is refilled however long it takes."""

    def now(self):
        return 0.0

    def monotonic(self):
        return 0.0


def test_threads_can_share_it():
    limiter = Limiter(requests_per_minute=50, timing=Timing(clock=Stopped()))

    def work():
        for _ in range(10):
            ticket = limiter.join(1)
            while limiter.try_take(ticket)[0]:
                pass

    threads = [threading.Thread(target=work) for _ in range(5)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert pytest.approx(1.2) == limiter.try_take(limiter.join(1))[0]  # all are gone
