"""What its settings do; the conformance suite covers the rest."""

import pytest
from pydantic import ValidationError

from massgen_core.context import ContextEngine, ContextWindow, Plan, Replace
from massgen_core.messages import ToolCall, assistant, system, tool, user
from massgen_core.tokens import ModelCatalogue, counter_for
from massgen_sliding_window.settings import Settings
from massgen_sliding_window.strategy import SlidingWindow

COUNTER = counter_for(ModelCatalogue.shipped().get("gpt-4o"))


def window_with(*, target=0.5, **settings):
    engine = ContextEngine([SlidingWindow(Settings(**settings))], COUNTER, target=target)
    return ContextWindow(engine)


def fill(window, turns, limit=100_000):
    window.append(system("Be brief."))
    for n in range(turns):
        window.append(user(f"question {n}"))
        window.append(assistant(f"answer {n} " + "so it is " * 40))
        window.fit(limit)
    return [message.text.split(" so")[0].strip() for message in window.view.messages]


def test_the_oldest_leave_first_down_to_the_low_water_mark():
    window = window_with()
    said = fill(window, 40, limit=2000)
    assert said[:2] == ["Be brief.", "question 0"]
    assert said[2:] == [
        text
        for n in range(40 - len(said[2:]) // 2, 40)
        for text in (f"question {n}", f"answer {n}")
    ]
    (operation, *_) = window.operations
    assert operation.strategy == "sliding_window"
    assert operation.reason == "oldest first: the window is full"
    assert operation.tokens_before - operation.tokens_after >= 900


def test_its_own_limit_in_tokens_holds_though_the_window_has_room():
    window = window_with(max_tokens=1000)
    fill(window, 40)
    assert window.view.tokens <= 1000
    assert len(window.operations) >= 3


def test_only_the_last_turns_stay_and_the_task():
    said = fill(window_with(keep_last_turns=3), 12)
    assert said == [
        "Be brief.",
        "question 0",
        *[text for n in (9, 10, 11) for text in (f"question {n}", f"answer {n}")],
    ]


class Summarises:
    """Puts a text in the place of the five oldest."""

    name = "summarises"

    def plan(self, view, goal, ctx):
        oldest = tuple(group.number for group in ctx.droppable(view)[:5])

        async def produce():
            return "in short " * 50

        return Plan((Replace(oldest, produce, goal.limit, "test"),))


def test_what_stands_for_many_stays_while_the_window_is_not_full():
    strategies = [Summarises(), SlidingWindow(Settings())]
    window = ContextWindow(ContextEngine(strategies, COUNTER, target=0.5))
    fill(window, 20, limit=2000)
    assert {"summarises", "sliding_window"} == {one.strategy for one in window.operations}
    assert any("in short" in message.text for message in window.view.messages)


def test_fewer_turns_than_the_limit_all_stay():
    assert len(fill(window_with(keep_last_turns=3), 3)) == 7


def test_what_matches_a_pin_stays():
    window = window_with(pin=[r"(?i)\bnever\b", "order \\d+"])
    window.append(user("start"))
    window.append(assistant("Noted: NEVER touch production."))
    window.append(assistant("reading", ToolCall("c", "read")))
    window.append(tool("c", "order 4711 is paid"))
    fill(window, 40, limit=1200)
    texts = [group.text for group in window.view]
    assert any("NEVER" in text for text in texts)
    assert any("order 4711" in text for text in texts)
    assert window.view.tokens <= 1200


@pytest.mark.parametrize("newest", ["result", "answer"])
def test_a_newest_group_larger_than_the_window_leaves_room_for_others(newest):
    window = window_with()
    fill(window, 5)
    if newest == "result":
        window.append(assistant("", ToolCall("c", "read")))
        window.append(tool("c", "line\n" * 4000))
    else:
        window.append(assistant("line\n" * 4000))
    report = window.fit(1000)
    assert [operation.kind for operation in report.operations][:1] == ["clip"]
    assert {operation.strategy for operation in report.operations} == {"sliding_window"}
    assert len(window.view) > 3
    assert window.view.tokens <= 1000


@pytest.mark.parametrize(
    "settings",
    [{"max_tokens": 0}, {"keep_last_turns": -1}, {"pin": ["("]}, {"keep": 3}, {"max_tokens": 1.5}],
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ValidationError):
        Settings(**settings)
