"""What it brings back, and when; the conformance suite covers the rest."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from massgen_core.context import ContextEngine, ContextWindow, Drop, Goal, Plan, Restore
from massgen_core.messages import Message, Text, ToolCall, ToolResult, assistant, tool, user
from massgen_core.tokens import ModelCatalogue, counter_for
from massgen_relevance.lexical import LexicalScorer
from massgen_relevance.settings import Settings
from massgen_relevance.strategy import Relevance

COUNTER = counter_for(ModelCatalogue.shipped().get("gpt-4o"))
LIMIT = 2000
FACT = "The staging database listens on port 6543, user deploy."
QUESTION = "On which port does the staging database listen?"


class Newest:
    """Drops the oldest, and knows nothing of needs."""

    name = "newest"

    def plan(self, view, goal, ctx):
        excess, out = view.tokens - goal.tokens, []
        for group in ctx.droppable(view):
            if excess > 0:
                out.append(group.number)
                excess -= group.tokens
        return Plan((Drop(tuple(out), "oldest first"),)) if out else None


def window_of(*before, strategy=None, target=0.6, **options):
    strategy = strategy or Relevance(Settings(**options))
    return ContextWindow(ContextEngine([*before, strategy], COUNTER, target=target))


def work(window, steps, start=0):
    """Steps about nothing in particular, fitted before each as an agent does."""
    for n in range(start, start + steps):
        window.append(assistant(f"Step {n}: the garden gate is painted. " + "It dries. " * 12))
        window.fit(LIMIT)


def texts(window):
    return [group.text for group in window.view]


def outgrown(*before, **options):
    """A conversation in which the fact was said early and has left."""
    window = window_of(*before, **options)
    window.append(user("Look after the garden."))
    window.append(assistant(FACT))
    work(window, 80)
    assert FACT not in texts(window)
    return window


def test_what_left_comes_back_when_it_is_asked_for():
    window = outgrown()
    window.append(user(QUESTION))
    before = window.view.tokens
    report = window.fit(LIMIT)
    assert FACT == texts(window)[1]
    assert window.view[1] is window.history[1]
    assert ["drop", "restore"] == [operation.kind for operation in report.operations]
    assert "it matches what is needed now" == report.operations[1].reason
    assert window.view.tokens < before


def test_it_comes_back_too_where_another_strategy_made_the_room():
    window = outgrown(Newest())
    window.append(user(QUESTION))
    window.fit(LIMIT)
    assert FACT in texts(window)


def test_what_comes_back_is_dropped_last_while_it_is_needed():
    window = outgrown()
    window.append(user(QUESTION))
    window.fit(LIMIT)
    work(window, 80, 80)
    assert FACT in texts(window)
    assert 1 == sum(operation.kind == "restore" for operation in window.operations)


def test_it_leaves_again_when_something_else_is_needed():
    window = outgrown()
    window.append(user(QUESTION))
    window.fit(LIMIT)
    window.append(user("Paint the fence as well, please."))
    work(window, 80, 80)
    assert FACT not in texts(window)


def test_nothing_comes_back_for_a_need_that_nothing_matches():
    window = outgrown()
    for said in ("Go on.", "And the roses?", "Thank you, that is all."):
        window.append(user(said))
        before = window.view
        window.fit(LIMIT)
        assert window.view is before


def test_the_last_steps_are_part_of_the_need():
    window = outgrown()
    window.append(user("Go on."))
    window.append(assistant("", ToolCall("1", "connect", '{"to": "staging database port"}')))
    window.append(tool("1", "refused"))
    work(window, 1, 80)
    for n in range(12):
        window.append(assistant("", ToolCall(f"s{n}", "connect", '{"to": "staging database"}')))
        window.append(tool(f"s{n}", "refused " * 60))
        window.fit(LIMIT)
    assert FACT in texts(window)


def test_between_questions_it_waits_until_the_window_is_full_if_told_so():
    window = outgrown(each_turn=False)
    window.append(user(QUESTION))
    before = window.view
    window.fit(LIMIT)
    assert window.view is before
    work(window, 80, 80)
    assert FACT in texts(window)


def test_what_comes_back_has_at_most_its_share():
    window = window_of(share=0.1)
    window.append(user("Look after the garden."))
    for n in range(30):
        window.append(assistant(f"The staging database has table {n}. " + "It is large. " * 8))
    work(window, 120)
    window.append(user("Which tables has the staging database?"))
    report = window.fit(LIMIT)
    (back,) = [operation for operation in report.operations if operation.kind == "restore"]
    assert 60 <= back.tokens_after <= 0.1 * 0.6 * LIMIT


def test_the_newer_of_equal_matches_comes_back():
    window = window_of(share=0.05)
    window.append(user("Look after the garden."))
    for n in range(6):
        window.append(assistant(f"Staging database, note {n}: " + "it is so. " * 8))
    work(window, 100)
    window.append(user("What of the staging database?"))
    window.fit(LIMIT)
    assert "note 5" in texts(window)[1]


def test_a_summary_is_never_given_up_for_what_comes_back():
    window = window_of()
    window.append(user("Look after the garden."))
    window.append(assistant(FACT))
    window.append(user("summary " * 40, summary="h0123456789"))
    work(window, 80)
    window.append(user(QUESTION))
    window.fit(LIMIT)
    assert any(text.startswith("summary") for text in texts(window))


def test_what_the_user_said_is_not_given_up_for_what_comes_back():
    scorer = Says()
    window = window_of(strategy=Relevance(Settings(share=0.5), scorer))
    window.append(user("Look after the garden."))
    window.append(assistant(FACT))
    for n in range(40):
        window.append(user(f"And plot {n}? " + "Soon. " * 20))
        window.fit(LIMIT)
    assert FACT not in texts(window)
    seen = texts(window)
    scorer.told = {1: 1.0}
    window.append(user("Well?"))
    window.fit(LIMIT)
    assert [*seen, "Well?"] == texts(window)


def test_a_late_answer_is_found():
    window = window_of()
    window.append(user("Look after the garden."))
    window.append(assistant("I ask.", ToolCall("late", "ask")))
    work(window, 3)
    window.append(tool("late", FACT))
    work(window, 80, 3)
    assert not any(FACT in text for text in texts(window))
    window.append(user(QUESTION))
    window.fit(LIMIT)
    assert any(FACT in text for text in texts(window))


def test_a_fit_reads_only_what_is_new(monkeypatch):
    read = []
    window = outgrown()
    from massgen_core.context import LexicalIndex

    add = LexicalIndex.add
    monkeypatch.setattr(
        LexicalIndex, "add", lambda self, n, text: read.append(n) or add(self, n, text)
    )
    window.append(user(QUESTION))
    window.fit(LIMIT)
    assert FACT in texts(window)
    assert len(read) < 40


def test_one_strategy_serves_several_conversations():
    strategy = Relevance(Settings())
    first, second = outgrown(strategy=strategy), outgrown(strategy=strategy)
    for window in (first, second):
        window.append(user(QUESTION))
        window.fit(LIMIT)
    assert texts(first) == texts(second)
    assert FACT in texts(first)


def test_what_was_indexed_does_not_change_the_plan():
    """A plan depends on view and history alone, also for an earlier state of them."""
    window = outgrown()
    history, view = list(window.history), window.view
    used = Relevance(Settings())
    window.append(user(QUESTION))
    context, goal = window.engine.context(window.view, window.history), Goal(1000, LIMIT, 0.6)
    later = used.plan(window.view, goal, context)
    earlier = window.engine.context(view, history)
    assert Relevance(Settings()).plan(view, goal, earlier) == used.plan(view, goal, earlier)
    assert later == used.plan(window.view, goal, context)


def test_another_scorer_can_be_given():
    class Second:
        def scores(self, view, ctx):
            return {2: 1.0}

    window = outgrown(strategy=Relevance(Settings(), Second()))
    window.append(user("Anything."))
    window.fit(LIMIT)
    assert 2 in [group.number for group in window.view]


class Says:
    """A scorer that says what it is told."""

    def __init__(self):
        self.told = {}

    def scores(self, view, ctx):
        return self.told


def test_nothing_goes_to_and_fro_because_the_need_moved_a_little():
    scorer = Says()
    window = outgrown(strategy=Relevance(Settings(least=0.2), scorer))
    for score, there in ((0.19, False), (0.21, True), (0.11, True), (0.09, False), (0.19, False)):
        scorer.told = {1: score}
        work(window, 40, len(window.history))
        window.append(user("Well?"))
        window.fit(LIMIT)
        assert there == (FACT in texts(window)), score


def test_the_last_steps_are_not_given_up_for_what_comes_back():
    scorer = Says()
    window = window_of(strategy=Relevance(Settings(share=0.5), scorer))
    window.append(user("Look after the garden."))
    window.append(assistant(FACT))
    work(window, 4)
    window.append(user("Well?"))
    window.fit(window.view[0].tokens + window.history[5].tokens + window.view[-1].tokens + 150)
    seen = [group.number for group in window.view]
    scorer.told = {1: 1.0}
    window.fit(LIMIT)
    assert seen == [group.number for group in window.view]
    assert 1 not in seen


def test_an_answer_that_came_after_a_fit_is_found():
    window = window_of()
    window.append(user("Look after the garden."))
    work(window, 40)
    window.append(assistant("I ask.", ToolCall("c", "ask")))
    window.fit(900)
    window.append(tool("c", FACT))
    work(window, 80, 40)
    assert not any(FACT in text for text in texts(window))
    window.append(user(QUESTION))
    window.fit(LIMIT)
    assert any(FACT in text for text in texts(window))


def test_an_index_is_kept_for_a_few_conversations_only():
    scorer = LexicalScorer()
    for _ in range(40):
        window = window_of()
        window.append(user("Hello."))
        scorer.scores(window.view, window.engine.context(window.view, window.history))
    assert len(scorer._known) == 16


TOPICS = ("staging database port", "payment retry order", "login form css", "billing invoice tax")


def random_talk(seed):
    draw = random.Random(seed)
    for n in range(draw.randint(20, 120)):
        topic = draw.choice(TOPICS)
        filler = " ".join(f"w{draw.randint(0, 400)}" for _ in range(draw.randint(1, 60)))
        if draw.random() < 0.2:
            yield user(f"What of {topic}? {filler[:40]}")
        elif draw.random() < 0.3:
            yield assistant("", ToolCall(f"c{n}", "look", "{}"))
            yield Message("tool", (ToolResult(f"c{n}", (Text(f"{topic} {filler}"),)),))
        else:
            yield assistant(f"{topic}: {filler}")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(300, 2500), st.floats(0.02, 0.5), st.floats(0.4, 1.0))
def test_a_second_fit_finds_nothing_to_do(seed, limit, share, target):
    window = window_of(share=share, target=target, least=0.1)
    for message in random_talk(seed):
        window.append(message)
        if window.history[-1].open:
            continue
        report = window.fit(limit)
        assert report.events == ()
        before = window.view
        assert window.fit(limit).operations == ()
        assert window.view is before or list(window.view) == list(before)
        if report.operations:
            assert report.tokens_after < report.tokens_before


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_a_rolled_back_answer_is_no_part_of_the_index(seed):
    """The same history under other objects gives the same view."""
    messages = list(random_talk(seed))
    strategy = Relevance(Settings(least=0.1))
    views = []
    for _ in range(2):
        window = window_of(strategy=strategy)
        for message in messages:
            window.append(replace(message))
            if not window.history[-1].open:
                window.fit(600)
        views.append([group.number for group in window.view])
    assert views[0] == views[1]


def test_a_plan_names_what_it_does():
    window = outgrown()
    window.append(user(QUESTION))
    plan = Relevance(Settings()).plan(
        window.view,
        Goal(window.view.tokens, LIMIT, 0.6),
        window.engine.context(window.view, window.history),
    )
    assert (1,) == plan.operations[-1].groups
    assert [Drop, Restore] == [type(operation) for operation in plan.operations]


@pytest.mark.parametrize(
    "given_", [{"share": 0}, {"share": 0.9}, {"least": 0}, {"least": 2}, {"each_turn": "often"}]
)
def test_settings_that_make_no_sense_are_refused(given_):
    with pytest.raises(ValidationError):
        Settings(**given_)
