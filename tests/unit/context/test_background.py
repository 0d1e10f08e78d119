"""Texts made while the turn goes on: when they are begun, used, and given up."""

import asyncio

import pytest

from massgen_core.context import Clip, ContextEngine, ContextWindow, Drop, Plan, Produced, Replace
from massgen_core.events import BackgroundMissed, PlanRejected, StrategiesSuspended
from massgen_core.messages import ToolCall, assistant, tool, user
from massgen_core.tokens import estimating_counter

COUNTER = estimating_counter()
LIMIT = 1000
CHANGED = "what it was made from is not the beginning of the view any more"
LATE = "it was not made before the view was full"


class Ahead:
    """Replaces the oldest groups by a text that a test makes when it likes."""

    name = "ahead"
    background = True

    def __init__(self, price=1000):
        self.asked, self.begun, self.ended, self.price = 0, 0, 0, price
        self.text = asyncio.Event()
        self.said = "what went before"

    async def produce(self):
        self.begun += 1
        try:
            await self.text.wait()
        finally:
            self.ended += 1
        if isinstance(self.said, Exception):
            raise self.said
        return self.said

    def plan(self, view, goal, ctx):
        self.asked += 1
        excess, out = view.tokens - goal.tokens + 60, []
        for group in ctx.droppable(view):
            if excess > 0:
                out.append(group.number)
                excess -= group.tokens
        return Plan((Replace(tuple(out), self.produce, 60, "old", self.price),)) if out else None


class Oldest:
    name = "oldest"

    def plan(self, view, goal, ctx):
        excess, out = view.tokens - goal.tokens, []
        for group in ctx.droppable(view):
            if excess > 0:
                out.append(group.number)
                excess -= group.tokens
        return Plan((Drop(tuple(out), "oldest first"),)) if out else None


def window_of(*strategies, **options):
    window = ContextWindow(ContextEngine(strategies, COUNTER, **options))
    window.append(user("the task"))
    return window


def grow_to(window, share):
    while window.view.tokens <= share * LIMIT:
        window.append(assistant(f"answer {len(window.history)} " + "word " * 30))


async def breathe():
    for _ in range(5):
        await asyncio.sleep(0)


async def begun(ahead, *others, **options):
    """A window in which a text is in the making."""
    window = window_of(ahead, *others, **options)
    grow_to(window, 0.85)
    report = await window.fit_async(LIMIT)
    await breathe()
    assert ((), ()) == (report.operations, report.events)
    return window


def test_it_is_begun_midway_and_used_when_the_view_is_full():
    async def main():
        ahead = Ahead()
        window = window_of(ahead, Oldest())
        grow_to(window, 0.7)
        await window.fit_async(LIMIT)
        assert 0 == ahead.asked
        grow_to(window, 0.85)
        await window.fit_async(LIMIT)
        await breathe()
        assert (1, 1) == (ahead.asked, ahead.begun)
        before = window.view.messages
        for _ in range(3):
            await window.fit_async(LIMIT)
        assert (1, 1) == (ahead.asked, ahead.begun)
        assert before == window.view.messages
        ahead.text.set()
        await breathe()
        await window.fit_async(LIMIT)
        assert before == window.view.messages, "there is room: nothing is changed"
        grow_to(window, 1.0)
        report = await window.fit_async(LIMIT)
        (operation,) = report.operations
        assert ("replace", "ahead") == (operation.kind, operation.strategy)
        assert 1 == ahead.begun
        assert "what went before" in window.view[1].text
        assert 0.4 * LIMIT < window.view.tokens <= 0.8 * LIMIT
        said = {m.id: m for group in window.history for m in group.messages}
        gone = tuple(said[key] for key in operation.message_ids)
        assert gone == window.restore(operation.handle)

    asyncio.run(main())


def test_many_times_over_each_is_paid_once():
    async def main():
        ahead = Ahead()
        ahead.text.set()
        window = window_of(ahead, Oldest())
        kinds = []
        for _ in range(120):
            window.append(assistant(f"answer {len(window.history)} " + "word " * 30))
            report = await window.fit_async(LIMIT)
            await breathe()
            assert () == report.events
            assert window.view.tokens <= LIMIT
            kinds += [(one.kind, one.strategy) for one in report.operations]
        assert {("replace", "ahead")} == set(kinds)
        assert ahead.begun - len(kinds) in (0, 1)
        assert 5 < len(kinds) < 15
        await window.aclose()

    asyncio.run(main())


def test_what_is_not_made_in_time_is_left_to_the_next_strategy():
    async def main():
        ahead = Ahead()
        window = await begun(ahead, Oldest())
        grow_to(window, 1.0)
        report = await window.fit_async(LIMIT)
        assert ["oldest"] == [operation.strategy for operation in report.operations]
        assert [BackgroundMissed("ahead", LATE)] == list(report.events)
        await breathe()
        assert 1 == ahead.ended, "it is stopped: what it was made from left"
        assert window.view.tokens <= 0.6 * LIMIT

    asyncio.run(main())


def test_after_a_miss_it_is_tried_again_before_the_next_fit():
    async def main():
        ahead = Ahead()
        window = await begun(ahead, Oldest())
        grow_to(window, 1.0)
        await window.fit_async(LIMIT)
        ahead.text.set()
        grow_to(window, 0.85)
        await window.fit_async(LIMIT)
        await breathe()
        grow_to(window, 1.0)
        report = await window.fit_async(LIMIT)
        assert ["ahead"] == [operation.strategy for operation in report.operations]

    asyncio.run(main())


def change_by_a_fit(window):
    return window.fit(int(window.view.tokens * 0.9)).events


def change_by_a_late_result(window):
    window.append(tool("late", "finally " + "x " * 40))
    return ()


@pytest.mark.parametrize("change", [change_by_a_fit, change_by_a_late_result])
def test_a_text_whose_beginning_changed_is_not_used(change):
    async def main():
        ahead = Ahead()
        window = window_of(ahead, Oldest())
        window.append(assistant("", ToolCall("late", "slow")))
        grow_to(window, 0.85)
        await window.fit_async(LIMIT)
        await breathe()
        ahead.said = "what is not true any more"
        ahead.text.set()
        await breathe()
        if change is change_by_a_fit:
            ahead.price = 0  # waited for by nobody: made at once
            ahead.said = "what is true"
        events = change(window)
        grow_to(window, 1.0)
        ahead.price = 1000
        events += (await window.fit_async(LIMIT)).events
        assert "what is not true any more" not in "".join(m.text for m in window.view.messages)
        assert BackgroundMissed("ahead", CHANGED) in events
        await window.aclose()

    asyncio.run(main())


def test_a_text_that_is_still_made_is_dropped_when_others_change_its_beginning():
    class Clips:
        """Makes room enough, so that nobody else is asked."""

        name = "clips"
        on = False

        def plan(self, view, goal, ctx):
            if not self.on:
                return None
            return Plan((Clip(tuple(g.number for g in ctx.droppable(view)), 10, "shorter"),))

    async def main():
        ahead, clips = Ahead(), Clips()
        window = await begun(ahead, Oldest())
        window.engine = ContextEngine([clips, ahead], COUNTER)
        clips.on = True
        grow_to(window, 1.0)
        report = await window.fit_async(LIMIT)
        assert [BackgroundMissed("ahead", CHANGED)] == list(report.events)
        await breathe()
        assert 1 == ahead.ended

    asyncio.run(main())


@pytest.mark.parametrize(
    "said", ["", "  ", ValueError("down"), "Error code: 429 - quota", "long " * 90]
)
def test_a_text_that_is_none_replaces_nothing_and_is_not_tried_at_once_again(said):
    async def main():
        ahead = Ahead()
        ahead.said = said
        ahead.text.set()
        window = await begun(ahead, Oldest())
        grow_to(window, 1.0)
        report = await window.fit_async(LIMIT)
        refused = [event for event in report.events if isinstance(event, PlanRejected)]
        assert [8 if said == "long " * 90 else 13] == [event.invariant for event in refused]
        assert {"oldest"} == {operation.strategy for operation in report.operations}
        told = []
        for _ in range(3):
            grow_to(window, 1.0)
            told += (await window.fit_async(LIMIT)).events
        assert [StrategiesSuspended(("ahead",), 8, "failed in the fits before")] == told
        assert 1 == ahead.begun

    asyncio.run(main())


def test_one_that_hangs_is_given_up():
    async def main():
        ahead = Ahead()
        window = await begun(ahead, Oldest(), produce_timeout=0.05)
        await asyncio.sleep(0.2)
        assert 1 == ahead.ended
        grow_to(window, 1.0)
        report = await window.fit_async(LIMIT)
        assert any("0.05 seconds" in getattr(event, "reason", "") for event in report.events)

    asyncio.run(main())


def test_closing_stops_it():
    async def main():
        ahead = Ahead()
        window = await begun(ahead)
        await window.aclose()
        assert 1 == ahead.ended
        assert {asyncio.current_task()} == asyncio.all_tasks()
        grow_to(window, 1.0)
        assert (await window.fit_async(LIMIT)).operations

    asyncio.run(main())


def test_a_loop_that_ends_takes_it_along():
    ahead = Ahead()
    window = asyncio.run(begun(ahead, Oldest()))
    assert 1 == ahead.ended
    grow_to(window, 1.0)
    report = asyncio.run(window.fit_async(LIMIT))
    assert any("it was cancelled" in getattr(event, "reason", "") for event in report.events)
    asyncio.run(window.aclose())


def test_a_view_that_becomes_full_at_once_does_not_wait():
    async def main():
        ahead = Ahead()
        window = window_of(ahead, Oldest())
        grow_to(window, 1.0)
        report = await window.fit_async(LIMIT)
        assert [BackgroundMissed("ahead", LATE)] == list(report.events)
        assert 0 == ahead.begun
        assert ["oldest"] == [operation.strategy for operation in report.operations]

    asyncio.run(main())


def test_without_a_loop_it_is_made_inline():
    ahead = Ahead()
    ahead.text.set()
    window = window_of(ahead, Oldest())
    grow_to(window, 0.85)
    window.fit(LIMIT)
    assert 0 == ahead.asked
    grow_to(window, 1.0)
    report = window.fit(LIMIT)
    assert ["ahead"] == [operation.strategy for operation in report.operations]
    assert 1 == ahead.ended


def test_a_text_for_which_nothing_is_paid_is_made_at_once():
    async def main():
        ahead = Ahead(price=0)
        ahead.text.set()
        window = window_of(ahead, Oldest())
        grow_to(window, 0.85)
        await window.fit_async(LIMIT)
        grow_to(window, 1.0)
        report = await window.fit_async(LIMIT)
        assert ["ahead"] == [operation.strategy for operation in report.operations]

    asyncio.run(main())


def test_what_would_not_be_worth_its_price_is_not_begun():
    async def main():
        ahead = Ahead()
        plan = ahead.plan
        ahead.plan = lambda *args: Plan(
            tuple(Replace(one.groups, one.produce, 500, "old", 9) for one in plan(*args).operations)
        )
        window = window_of(ahead, Oldest())
        grow_to(window, 0.85)
        report = await window.fit_async(LIMIT)
        assert [8] == [event.invariant for event in report.events]
        assert 0 == ahead.begun

    asyncio.run(main())


def test_where_the_strategies_before_make_room_nothing_is_begun():
    async def main():
        ahead = Ahead()
        window = window_of(Oldest(), ahead)
        grow_to(window, 0.85)
        view = window.view
        await window.fit_async(LIMIT)
        assert (0, view) == (ahead.asked, window.view)

    asyncio.run(main())


def test_paid_texts_of_others_are_not_made_ahead():
    class Paid(Ahead):
        name = "paid"
        background = False

    async def main():
        paid, ahead = Paid(), Ahead()
        window = window_of(paid, ahead)
        grow_to(window, 0.85)
        await window.fit_async(LIMIT)
        await breathe()
        assert (0, 1) == (paid.begun, ahead.begun)
        await window.aclose()

    asyncio.run(main())


def test_the_reason_it_brings_is_reported():
    async def main():
        ahead = Ahead()
        ahead.said = Produced("short", "written ahead")
        ahead.text.set()
        window = await begun(ahead)
        grow_to(window, 1.0)
        report = await window.fit_async(LIMIT)
        assert "written ahead" == report.operations[0].reason

    asyncio.run(main())


def test_a_cancelled_fit_does_not_stop_it():
    class Slow(Oldest):
        async def produce(self):
            await asyncio.sleep(60)
            return "never"

        def plan(self, view, goal, ctx):
            out = tuple(group.number for group in ctx.droppable(view))[:9]
            return Plan((Replace(out, self.produce, 60, "slow", 1000),))

    async def main():
        ahead = Ahead()
        window = await begun(ahead, Oldest())
        window.engine = ContextEngine([Slow(), ahead], COUNTER)
        grow_to(window, 1.0)
        fitting = asyncio.create_task(window.fit_async(LIMIT))
        await breathe()
        await asyncio.sleep(0.05)
        fitting.cancel()
        await asyncio.wait([fitting])
        ahead.text.set()
        await breathe()
        window.engine = ContextEngine([ahead, Oldest()], COUNTER)
        report = await window.fit_async(LIMIT)
        assert ["ahead"] == [operation.strategy for operation in report.operations]

    asyncio.run(main())
