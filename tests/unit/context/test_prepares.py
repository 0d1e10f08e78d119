"""Strategies that get ready before they plan, and what happens where they cannot."""

import asyncio

import pytest

from massgen_core.context import ContextEngine, ContextWindow, Drop, Plan
from massgen_core.events import StrategiesSuspended, StrategyFailed
from massgen_core.messages import assistant, user
from massgen_core.tokens import estimating_counter

COUNTER = estimating_counter()


class Ready:
    """Drops the oldest half, whether or not it is ready."""

    name = "ready"

    def __init__(self, prepare):
        self._prepare = prepare
        self.log = []

    async def prepare(self, view, ctx):
        self.log.append("prepare")
        await self._prepare()

    def plan(self, view, goal, ctx):
        self.log.append("plan")
        groups = ctx.droppable(view)
        return Plan((Drop(tuple(group.number for group in groups[: len(groups) // 2]), "old"),))


async def at_once():
    return


async def never():
    await asyncio.Event().wait()


async def fails():
    raise ConnectionError("no embedder")


@pytest.fixture(params=["sync", "async"])
def fitted(request):
    """Fits a conversation over and over; all events, in order."""

    def run(strategy, fits, **options):
        window = ContextWindow(ContextEngine([strategy], COUNTER, **options))
        window.append(user("the task"))
        events = []
        for _ in range(fits):
            for _ in range(8):
                window.append(assistant("word " * 60))
            report = window.fit(400) if request.param == "sync" else asyncio.run(ahead(window))
            assert window.view.tokens <= 400
            events += report.events
        return events

    async def ahead(window):
        return await window.fit_async(400)

    return run


def test_it_is_ready_when_it_plans(fitted):
    strategy = Ready(at_once)
    assert [] == fitted(strategy, 3)
    assert 3 * ["prepare", "plan"] == strategy.log


def test_what_cannot_get_ready_is_told_and_plans_all_the_same(fitted):
    strategy = Ready(fails)
    failed = StrategyFailed("ready", "ConnectionError: no embedder")
    assert [failed] == fitted(strategy, 1)
    assert ["prepare", "plan"] == strategy.log


def test_after_two_failures_it_plans_unprepared_for_eight_fits(fitted):
    strategy = Ready(fails)
    failed = StrategyFailed("ready", "ConnectionError: no embedder")
    why = "could not prepare in the fits before, and plans without"
    assert [failed, failed, StrategiesSuspended(("ready",), 8, why), failed] == fitted(strategy, 11)
    assert 3 == strategy.log.count("prepare")
    assert 11 == strategy.log.count("plan")


def test_getting_ready_without_an_end_costs_its_time_limit_once(fitted):
    strategy = Ready(never)
    events = fitted(strategy, 9, strategy_timeout=0.05)
    assert StrategyFailed("ready", "TimeoutError: it took more than 0.05 seconds") == events[0]
    assert [StrategiesSuspended] == [type(event) for event in events[1:]]
    assert 1 == strategy.log.count("prepare")
    assert 9 == strategy.log.count("plan")
