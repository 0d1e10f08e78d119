"""Strategies that hang, fail again and again, or make no room: the fit goes on without them."""

import asyncio
import threading

import pytest

from massgen_core.context import (
    Clip,
    ContextEngine,
    ContextWindow,
    Drop,
    Plan,
    Produced,
    Replace,
)
from massgen_core.errors import InvalidArgument
from massgen_core.events import PlanRejected, StrategiesSuspended, StrategyFailed
from massgen_core.messages import assistant, system, user
from massgen_core.tokens import estimating_counter

COUNTER = estimating_counter()


class Scripted:
    """Counts how often it is asked, and does what a test says."""

    def __init__(self, plan, name="scripted"):
        self.name, self.asked, self._plan = name, 0, plan

    def plan(self, view, goal, ctx):
        self.asked += 1
        return self._plan(view, goal, ctx)


def oldest(view, goal, ctx):
    excess, out = view.tokens - goal.tokens, []
    for group in ctx.droppable(view):
        if excess > 0:
            out.append(group.number)
            excess -= group.tokens
    return Plan((Drop(tuple(out), "oldest first"),)) if out else None


def nothing(view, goal, ctx):
    return None


def window_of(*strategies, turns=10, words=60, **options):
    window = ContextWindow(ContextEngine(strategies, COUNTER, **options))
    window.append(user("the task"))
    grow(window, turns, words)
    return window


def grow(window, turns=1, words=60):
    for _ in range(turns):
        window.append(assistant(f"answer {len(window.history)} " + "word " * words))


def fit(window, limit, way):
    return asyncio.run(window.fit_async(limit)) if way == "async" else window.fit(limit)


@pytest.fixture(params=["sync", "async"])
def way(request):
    return request.param


@pytest.fixture
def stop():
    """What hangs ends with the test."""
    event = threading.Event()
    yield event
    event.set()


# Time


def test_a_strategy_that_hangs_is_given_up_and_the_next_one_runs(way, stop):
    hanging = Scripted(lambda *_: stop.wait(), "hanging")
    after = Scripted(oldest, "after")
    window = window_of(hanging, after, strategy_timeout=0.05)
    report = fit(window, 400, way)
    assert [StrategyFailed("hanging", "TimeoutError: it took more than 0.05 seconds")] == list(
        report.events
    )
    assert ["after"] == [operation.strategy for operation in report.operations]
    assert window.view.tokens <= 400


def test_with_no_other_strategy_the_floor_makes_room(way, stop):
    window = window_of(Scripted(lambda *_: stop.wait()), strategy_timeout=0.05)
    report = fit(window, 400, way)
    assert {"floor"} == {operation.strategy for operation in report.operations}
    assert window.view.tokens <= 400


def test_a_strategy_that_hung_is_left_out_of_the_next_eight_fits(way, stop):
    hanging = Scripted(lambda *_: stop.wait(), "hanging")
    window = window_of(hanging, Scripted(oldest), strategy_timeout=0.05)
    fit(window, 400, way)
    told = []
    for _ in range(8):
        grow(window, 8)
        told += fit(window, 400, way).events
    assert [StrategiesSuspended(("hanging",), 8, "failed in the fits before")] == told
    assert 1 == hanging.asked


def test_while_it_still_hangs_no_conversation_waits_for_it(stop):
    hanging = Scripted(lambda *_: stop.wait(), "hanging")
    window = window_of(hanging, Scripted(oldest), strategy_timeout=0.05)
    window.fit(400)
    other = ContextWindow(window.engine)
    other.append(user("another task"))
    grow(other, 10)
    (event,) = other.fit(400).events
    assert "hanging" == event.strategy
    assert "busy with an earlier fit" in event.error
    assert 1 == hanging.asked


def test_it_is_asked_again_once_it_ended_and_the_pause_is_over(stop):
    def plan(*args):
        stop.wait()
        return oldest(*args)

    late = Scripted(plan, "late")
    window = window_of(late, Scripted(oldest, "other"), strategy_timeout=0.05)
    window.fit(400)
    stop.set()
    for thread in threading.enumerate():
        if thread.name == "massgen-strategy":
            thread.join(5)
    names = []
    for _ in range(9):
        grow(window, 8)
        names.append(window.fit(400).operations[0].strategy)
    assert [*["other"] * 8, "late"] == names


def test_the_loop_goes_on_while_a_strategy_hangs(stop):
    async def main():
        window = window_of(Scripted(lambda *_: stop.wait()), strategy_timeout=0.2)
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticking = asyncio.create_task(tick())
        await window.fit_async(400)
        ticking.cancel()
        return ticks

    assert asyncio.run(main()) > 3


def test_a_fit_can_be_cancelled_while_a_strategy_hangs(stop):
    async def main():
        window = window_of(Scripted(lambda *_: stop.wait()), strategy_timeout=30)
        fitting = asyncio.create_task(window.fit_async(400))
        await asyncio.sleep(0.05)
        fitting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fitting

    asyncio.run(main())


@pytest.mark.parametrize("error", [SystemExit("bye"), KeyboardInterrupt(), StopIteration()])
def test_no_kind_of_exception_gets_out_of_a_plan(way, error):
    def plan(*_):
        raise error

    window = window_of(Scripted(plan))
    (event,) = fit(window, 400, way).events
    assert type(error).__name__ in event.error
    assert window.view.tokens <= 400


def test_a_plan_sees_the_context_variables_of_the_caller(way):
    import contextvars

    tenant = contextvars.ContextVar("tenant")
    tenant.set("acme")
    seen = []
    window = window_of(Scripted(lambda *_: seen.append(tenant.get())))
    fit(window, 400, way)
    assert ["acme"] == seen


def test_a_process_ends_although_a_strategy_hangs():
    import subprocess
    import sys

    code = """
import threading
from massgen_core.context import ContextEngine, ContextWindow
from massgen_core.messages import user
from massgen_core.tokens import estimating_counter
class Hangs:
    name = "hangs"
    def plan(self, view, goal, ctx):
        threading.Event().wait()
window = ContextWindow(ContextEngine([Hangs()], estimating_counter(), strategy_timeout=0.05))
for _ in range(9):
    window.append(user("word " * 60))
print(window.fit(300).tokens_after <= 300)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=True
    )
    assert "True\n" == done.stdout


def replacing(produce, price=0):
    def plan(view, goal, ctx):
        numbers = tuple(group.number for group in ctx.droppable(view))[:8]
        return Plan((Replace(numbers, produce, 200, "too old", price),))

    return plan


async def for_ever():
    await asyncio.sleep(3600)


async def stubborn():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(1.5)
            return "late"


@pytest.mark.parametrize("produce", [for_ever, stubborn])
@pytest.mark.parametrize("price", [0, 1000])
def test_a_text_that_hangs_is_given_up(way, produce, price):
    window = window_of(
        Scripted(replacing(produce, price)), Scripted(oldest, "after"), produce_timeout=0.05
    )
    report = fit(window, 600, way)
    (event,) = report.events
    assert (13, True) == (event.invariant, "took more than 0.05 seconds" in event.reason)
    assert ["after"] == [operation.strategy for operation in report.operations]


def test_a_text_that_blocks_its_thread_is_given_up_too(stop):
    async def produce():
        stop.wait()

    window = window_of(Scripted(replacing(produce)), produce_timeout=0.05)
    (event,) = window.fit(600).events
    assert 13 == event.invariant
    assert window.view.tokens <= 600


def test_a_text_that_is_cancelled_from_within_is_no_cancellation_of_the_fit(way):
    async def produce():
        raise asyncio.CancelledError

    window = window_of(Scripted(replacing(produce, 1000)))
    (event,) = fit(window, 600, way).events
    assert "it was cancelled" in event.reason


def test_a_cancelled_fit_leaves_no_text_in_the_making():
    ended = []

    async def produce():
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(True)

    async def main():
        window = window_of(Scripted(replacing(produce, 1000)))
        fitting = asyncio.create_task(window.fit_async(600))
        await asyncio.sleep(0.05)
        fitting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fitting
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert set() == asyncio.run(main())
    assert [True] == ended


@pytest.mark.parametrize("name", ["strategy_timeout", "produce_timeout"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_a_time_limit_that_is_none_is_refused(name, value):
    with pytest.raises(InvalidArgument, match=name):
        ContextEngine([], COUNTER, **{name: value})


# Failing again and again


@pytest.mark.parametrize("answer", [ValueError("no"), "nonsense", Plan((Drop((999,), "x"),))])
def test_two_failures_in_a_row_leave_a_strategy_out_for_eight_fits(way, answer):
    def plan(*_):
        if isinstance(answer, Exception):
            raise answer
        return answer

    failing, other = Scripted(plan, "failing"), Scripted(oldest)
    window = window_of(failing, other)
    asked, told = [], []
    for _ in range(14):
        report = fit(window, 400, way)
        asked.append(failing.asked)
        told += [event for event in report.events if isinstance(event, StrategiesSuspended)]
        grow(window, 8)
    assert [1, *[2] * 9, 3, 3, 3, 3] == asked
    assert 14 == other.asked
    assert 2 * [StrategiesSuspended(("failing",), 8, "failed in the fits before")] == told


def test_a_strategy_that_fails_now_and_then_is_asked_always():
    calls = iter(range(100))

    def plan(view, goal, ctx):
        if next(calls) % 2:
            raise ValueError
        return oldest(view, goal, ctx)

    window = window_of(Scripted(plan), Scripted(oldest))
    events = []
    for _ in range(8):
        events += window.fit(400).events
        grow(window, 8)
    assert [StrategyFailed] * 4 == [type(event) for event in events]


def test_a_paid_text_that_comes_to_nothing_is_not_paid_twice_in_a_row(way):
    paid = []

    async def produce():
        paid.append(True)
        return ""

    window = window_of(Scripted(replacing(produce, 1000), "paid"), Scripted(oldest))
    for _ in range(9):
        fit(window, 600, way)
        grow(window, 12)
    assert 1 == len(paid)
    fit(window, 600, way)
    assert 2 == len(paid)


def test_what_one_conversation_saw_is_not_held_against_another():
    failing = Scripted(lambda *_: 1 / 0)
    engine = ContextEngine([failing], COUNTER)
    for _ in range(3):
        window = ContextWindow(engine)
        window.append(user("the task"))
        grow(window, 10)
        window.fit(400)
    assert 3 == failing.asked


class Eager(Scripted):
    def due(self, view):
        raise RuntimeError("no idea")


def test_a_strategy_that_cannot_say_whether_it_is_due_costs_no_request(way):
    window = window_of(Eager(nothing, "eager"), turns=2)
    first = fit(window, 4000, way)
    assert [StrategyFailed("eager", "RuntimeError: no idea")] == list(first.events)
    fit(window, 4000, way)
    assert not window.engine.due(window.view, 4000, window._breaker)
    assert () == fit(window, 4000, way).events


# No room to be made


def protected_window(*strategies, trigger=0.8):
    """System and task alone are above the trigger."""
    window = ContextWindow(ContextEngine(strategies, COUNTER, trigger=trigger, target=0.5))
    window.append(system("rule " * 700))
    window.append(user("the task"))
    return window


def test_a_trigger_that_cannot_be_reached_does_not_cost_a_fit_each_turn(way):
    asked = Scripted(oldest)
    window = protected_window(asked)
    limit = int(window.view.tokens / 0.9)
    assert window.view.tokens > 0.8 * limit
    sizes = []
    for _ in range(60):
        grow(window, 1, words=3)
        fit(window, limit, way)
        sizes.append(window.view.tokens)
    assert max(sizes) <= limit
    assert asked.asked <= 12


def test_a_futile_fit_leaves_all_strategies_out_for_eight_fits(way):
    strategies = [Scripted(nothing, "one"), Scripted(nothing, "two")]
    window = window_of(*strategies)
    asked, told = [], []
    for _ in range(11):
        report = fit(window, 400, way)
        asked.append(strategies[1].asked)
        told += report.events
        assert window.view.tokens <= 400
        grow(window, 2)
    assert [*[1] * 9, 2, 2] == asked
    reason = "could not make room in the fit before"
    assert 2 * [StrategiesSuspended(("one", "two"), 8, reason)] == told


def test_a_chain_that_makes_some_room_is_asked_each_time():
    helpful = Scripted(oldest)
    window = window_of(helpful)
    for _ in range(9):
        window.fit(400)
        grow(window, 8)
    assert 9 == helpful.asked


def test_below_the_limit_nothing_is_done_while_no_room_can_be_made():
    window = protected_window(Scripted(nothing))
    limit = int(window.view.tokens / 0.9)
    grow(window, 1, words=1)
    assert () == window.fit(limit).operations
    assert not window.engine.due(window.view, limit, window._breaker)


# Operations that are none


@pytest.mark.parametrize(
    "operation",
    [
        Drop((2,), None),
        Clip((2,), "much", "x"),
        Replace((2, 3, 4), for_ever, "much", "x"),
        Replace((2, 3, 4), None, 100, "x"),
        Replace((2, 3, 4), for_ever, 100, 7),
    ],
)
def test_an_operation_with_nonsense_in_it_is_refused(way, operation):
    window = window_of(Scripted(lambda *_: Plan((operation,))))
    (event,) = fit(window, 400, way).events
    assert isinstance(event, PlanRejected)
    assert window.view.tokens <= 400


@pytest.mark.parametrize("price", ["a lot", -5, None, 2.5])
def test_what_is_no_price_is_none(price):
    async def produce():
        return "short"

    window = window_of(Scripted(replacing(produce, price)))
    assert () == window.fit(700).events


# Texts that are errors


@pytest.mark.parametrize(
    "text",
    [
        "Error code: 429 - {'error': {'message': 'Rate limit reached'}}",
        "error: upstream connect error",
        "Internal Server Error",
        "503 Service Unavailable",
        "HTTP/1.1 502 Bad Gateway",
        "Traceback (most recent call last):\n  File ...",
        "openai.RateLimitError: slow down",
        '{"error": {"message": "overloaded"}}',
        "Request timed out.",
        "I'm sorry, but I can't help with that.",
        "Sorry, I cannot assist.",
        "I can\u2019t do that.",
        "As an AI language model, I ...",
    ],
)
def test_a_paid_text_that_is_an_error_replaces_nothing(text):
    async def produce():
        return Produced(text, "made")

    window = window_of(Scripted(replacing(produce, 1000), "paid"))
    report = window.fit(700)
    assert [13] == [event.invariant for event in report.events]
    assert text not in "".join(message.text for message in window.view.messages)


@pytest.mark.parametrize(
    "text",
    [
        "Error handling was moved to retry.py; errors are logged once.",
        "The user asked why order 48213 failed with KeyError: region.",
        "503 orders were checked, 2 are open.",
        "I can see three open questions.",
        "Error: the first thing the user reported was an error. " + "Then more came. " * 40,
    ],
)
def test_a_summary_about_errors_is_none(text):
    async def produce():
        return text

    def plan(view, goal, ctx):
        numbers = tuple(group.number for group in ctx.droppable(view))[:8]
        return Plan((Replace(numbers, produce, 280, "too old", 1000),))

    window = window_of(Scripted(plan, "paid"))
    report = window.fit(700)
    assert ((), ["paid"]) == (report.events, [one.strategy for one in report.operations])
