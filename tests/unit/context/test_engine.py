import asyncio

import pytest

from massgen_core.context import (
    Clip,
    ContextEngine,
    ContextWindow,
    Drop,
    Plan,
    Replace,
    Restore,
    fit_to_json,
    view_from_json,
)
from massgen_core.errors import (
    ContextOverflowError,
    HandleNotFound,
    InvalidArgument,
    InvalidMessages,
)
from massgen_core.events import PlanRejected, StrategyFailed
from massgen_core.messages import Message, Text, ToolCall, ToolResult, assistant, system, tool, user
from massgen_core.tokens import ModelCatalogue, counter_for

COUNTER = counter_for(ModelCatalogue.shipped().get("gpt-4o"))


class Scripted:
    """A strategy that answers what the test says."""

    name = "scripted"

    def __init__(self, plan):
        self._plan = plan

    def plan(self, view, goal, ctx):
        return self._plan(view, goal, ctx) if callable(self._plan) else self._plan


def window_of(*messages, strategies=(), target=0.6):
    window = ContextWindow(ContextEngine(strategies, COUNTER, target=target))
    for message in messages:
        window.append(message)
    return window


def talk(turns=10):
    """System, then turns of user, call, result, answer: group numbers 0, then 3 per turn."""
    yield system("Be brief.")
    for n in range(turns):
        yield user(f"question {n} " + "why " * 30)
        yield assistant("looking", ToolCall("c", "read", '{"path": "a.py"}'))
        yield tool("c", f"content {n} " * 30)
        yield assistant(f"answer {n} " * 10)


def numbers(window):
    return [group.number for group in window.view]


def test_a_view_that_fits_is_left_alone():
    window = window_of(*talk())
    view = window.view
    report = window.fit(view.tokens)
    assert window.view is view
    assert report.operations == ()
    assert report.tokens_after == view.tokens


def drop_oldest(view, goal, ctx):
    """The simplest strategy that reaches the goal."""
    excess, out = view.tokens - goal.tokens, []
    for group in ctx.droppable(view):
        if excess > 0:
            out.append(group.number)
            excess -= group.tokens
    return Plan((Drop(tuple(out), "oldest first"),))


def test_above_the_trigger_the_target_is_aimed_for_and_below_it_nothing_happens():
    window = ContextWindow(ContextEngine([Scripted(drop_oldest)], COUNTER, trigger=0.8, target=0.5))
    fits = 0
    for message in talk(40):
        before = window.view.tokens + window.append(message)
        report = window.fit(4000)
        assert bool(report.operations) == (before > 0.8 * 4000)
        assert window.view.tokens <= (0.5 if report.operations else 0.8) * 4000
        fits += bool(report.operations)
    assert 2 <= fits <= 5


@pytest.mark.parametrize(
    ("plan", "invariant"),
    [
        (lambda v, g, c: Plan((Drop((999,), "foreign"),)), 11),
        (lambda v, g, c: Plan((Drop(("a",), "not a number"),)), 11),
        (lambda v, g, c: Plan((Drop([3], "not a tuple"),)), 11),
        (lambda v, g, c: Plan((Drop((4, 4), "twice"),)), 11),
        (lambda v, g, c: Plan([Drop((4,), "not a tuple")]), 11),
        (lambda v, g, c: Plan(("drop 4",)), 11),
        (lambda v, g, c: Plan((Restore((5_000,), "never said"),)), 11),
        (lambda v, g, c: Plan((Drop((0,), "the system prompt"),)), 5),
        (lambda v, g, c: Plan((Clip((1,), 5, "the task"),)), 5),
        (lambda v, g, c: Plan((Drop((v[-1].number,), "the newest"),)), 3),
        (lambda v, g, c: Plan((Clip((2,), 0, "no room"),)), 8),
        (lambda v, g, c: Plan((Clip((2,), 10_000, "frees nothing"),)), 8),
        (lambda v, g, c: Plan(()), 8),
    ],
)
def test_a_plan_that_breaks_an_invariant_is_rejected_and_the_next_strategy_runs(plan, invariant):
    oldest = Scripted(
        lambda v, g, c: Plan((Drop(tuple(x.number for x in c.droppable(v)[:20]), "oldest"),))
    )
    window = window_of(*talk(), strategies=[Scripted(plan), oldest])
    report = window.fit(window.view.tokens - 1)
    (event,) = report.events
    assert isinstance(event, PlanRejected)
    assert event.invariant == invariant
    assert [operation.strategy for operation in report.operations] == ["scripted"]
    assert 2 not in numbers(window)


@pytest.mark.parametrize("answer", [42, "drop it", ZeroDivisionError("boom")])
def test_a_strategy_that_raises_or_answers_nonsense_costs_its_plan_not_the_run(answer):
    def plan(view, goal, ctx):
        if isinstance(answer, Exception):
            raise answer
        return answer

    window = window_of(*talk(), strategies=[Scripted(plan)])
    report = window.fit(500)
    (event,) = report.events
    assert isinstance(event, StrategyFailed)
    assert window.view.tokens <= 500
    assert {operation.strategy for operation in report.operations} == {"floor"}


@pytest.mark.parametrize(
    ("text", "invariant"),
    [("", 13), ("  \n", 13), (None, 13), (RuntimeError("down"), 13), ("word " * 500, 8)],
)
def test_a_failed_empty_or_too_long_summary_replaces_nothing(text, invariant):
    async def produce():
        if isinstance(text, Exception):
            raise text
        return text

    window = window_of(
        *talk(), strategies=[Scripted(Plan((Replace((2, 3), produce, 50, "summary"),)))]
    )
    report = window.fit(window.view.tokens - 1)
    assert [event.invariant for event in report.events] == [invariant]
    assert "summary" not in " ".join(message.text for message in window.view.messages)


def test_a_summary_stands_where_the_groups_stood_and_names_their_handle():
    async def produce():
        await asyncio.sleep(0)
        return "they looked at a.py"

    def summarise(v, g, c):
        return (
            Plan((Replace(tuple(range(2, 12)), produce, 80, "old"),)) if not v[2].changed else None
        )

    window = window_of(*talk(), strategies=[Scripted(summarise)])
    said = [message for group in window.history[2:12] for message in group.messages]

    report = asyncio.run(window.fit_async(window.view.tokens - 1))

    (operation,) = report.operations
    summary = window.view[2].messages[0]
    assert operation.kind == "replace"
    assert operation.handle in summary.text
    assert "they looked at a.py" in summary.text
    assert list(window.restore(operation.handle)) == said


def test_a_sync_fit_produces_a_summary_inside_a_running_loop_too():
    async def produce():
        return "short"

    async def main():
        plan = Scripted(lambda v, g, c: Plan((Replace((2, 3, 5), produce, 60, "old"),)))
        window = window_of(*talk(), strategies=[plan])
        return window.fit(window.view.tokens - 1)

    assert [operation.kind for operation in asyncio.run(main()).operations] == ["replace"]


def test_restored_groups_come_back_as_they_were_and_where_they_were():
    window = window_of(*talk(), strategies=[])
    said = window.view.messages
    window.fit(400)
    left = tuple(sorted(set(range(len(window.history))) - set(numbers(window))))
    window.engine = ContextEngine(
        [Scripted(Plan((Restore(left[:1], "needed"),)))], COUNTER, trigger=0.05, target=0.05
    )
    window.fit(4000)
    assert left[0] in numbers(window)
    assert [m for m in said if m in window.view.messages] == window.view.messages


def test_restoring_more_than_fits_is_refused():
    window = window_of(*talk(), strategies=[])
    window.fit(400)
    window.engine = ContextEngine(
        [Scripted(Plan((Restore(tuple(range(20)), "all"),)))], COUNTER, trigger=0.5, target=0.4
    )
    report = window.fit(400)
    assert [event.invariant for event in report.events if isinstance(event, PlanRejected)] == [1]
    assert window.view.tokens <= 400


def test_an_unknown_handle_is_a_typed_error():
    with pytest.raises(HandleNotFound) as caught:
        window_of(*talk(1)).restore("h0000000000")
    assert caught.value.handle == "h0000000000"


def test_a_dead_call_gets_an_explicit_result_and_a_late_result_takes_its_place():
    window = window_of(
        user("go"), assistant("", ToolCall("a", "slow"), ToolCall("b", "fast")), tool("b", "done")
    )
    window.append(user("still there?"))
    stand_in = window.view[1].messages[-1].results[0]
    assert stand_in.call_id == "a"
    assert stand_in.is_error

    window.append(tool("a", "finally"))

    assert [r.text for m in window.view[1].messages for r in m.results] == ["done", "finally"]
    assert window.view.messages == [m for group in window.history for m in group.messages]
    with pytest.raises(InvalidMessages):
        window.append(tool("a", "again"))


def test_repeated_call_ids_belong_to_the_nearest_call_before():
    window = window_of(*talk(3))
    results = [m.results[0].text for m in window.view.messages if m.role == "tool"]
    assert [text[:9] for text in results] == ["content 0", "content 1", "content 2"]


@pytest.mark.parametrize("orphan", [tool("nobody", "x"), Message("tool", (Text("no result"),))])
def test_an_orphan_result_is_a_clear_error(orphan):
    with pytest.raises(InvalidMessages, match="answers no open call"):
        window_of(*talk(1), orphan)


@pytest.mark.parametrize("limit", [0, -1, 1.5, float("nan"), True, None, "8000"])
def test_a_budget_that_is_no_positive_whole_number_is_refused(limit):
    with pytest.raises(InvalidArgument, match="budget"):
        window_of(user("hi")).fit(limit)


@pytest.mark.parametrize(
    ("trigger", "target"), [(0, 0), (1.1, 0.5), (0.5, 0.6), (float("nan"), 0.5), (1, -1)]
)
def test_a_target_above_the_trigger_is_refused(trigger, target):
    with pytest.raises(InvalidArgument, match="target"):
        ContextEngine([], COUNTER, trigger=trigger, target=target)


def test_what_cannot_be_cut_is_a_typed_error_with_a_table():
    window = ContextWindow(ContextEngine((), COUNTER, clip_system=False))
    window.append(system("law " * 300))
    window.append(user("hello"))
    with pytest.raises(ContextOverflowError) as caught:
        window.fit(100)
    assert caught.value.limit == 100
    assert caught.value.table[0][0].startswith("system message 0")
    assert caught.value.table[0][1] > 300
    assert "system prompt" in caught.value.hint


def test_thirty_parallel_results_are_cut_alike_and_stay_whole():
    calls = [ToolCall(f"p{n}", "read") for n in range(30)]
    window = window_of(
        user("read all"), assistant("", *calls), *(tool(c.id, "data " * 400) for c in calls)
    )
    window.fit(8000)
    assert len(window.view[1].messages) == 31
    sizes = set(window.view[1].counts[1:])
    assert max(sizes) - min(sizes) <= 8
    assert 6000 < window.view.tokens <= 8000


def test_a_fit_survives_the_journal():
    window = window_of(*talk(), user("z " * 2000), strategies=[])
    report = window.fit(900)
    body = fit_to_json(window.view, report)
    copy = view_from_json(window.history, body)
    assert list(copy) == list(window.view)
    assert copy.tokens == window.view.tokens
    assert body["operations"][0]["handle"] == report.operations[0].handle


def test_tokens_passed_in_are_not_counted_again():
    window = window_of()
    window.append(user("any text"), tokens=7)
    assert window.view.tokens == 7


def test_results_of_one_message_may_answer_several_calls():
    both = Message("tool", (ToolResult("a", (Text("1"),)), ToolResult("b", (Text("2"),))))
    window = window_of(user("go"), assistant("", ToolCall("a", "f"), ToolCall("b", "f")), both)
    assert window.view[1].open == ()
