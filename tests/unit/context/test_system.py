"""System prompts that leave no room are cut last and told of; large ones leave room for talk."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_core import Conversation, fit
from massgen_core.context import ContextEngine, ContextWindow, Drop, Plan, View
from massgen_core.errors import ContextOverflowError
from massgen_core.messages import assistant, system, user
from massgen_core.tokens import tiktoken_counter

COUNTER = tiktoken_counter("o200k_base")


def words(tokens):
    return "word " * (tokens - 1)


def window_of(*messages, strategies=(), **options):
    window = ContextWindow(ContextEngine(strategies, COUNTER, **options))
    for message in messages:
        window.append(message)
    return window


def prompts(window):
    return [message.text for message in window.view.messages if message.role == "system"]


def test_head_and_tail_of_the_prompt_stay_around_a_mark():
    window = window_of(system(f"You are a clerk. {words(2_000)} Never lie."), user("Hello?"))
    report = window.fit(500)

    (prompt,) = prompts(window)
    assert prompt.startswith("You are a clerk. word")
    assert prompt.endswith("word  Never lie.")
    assert report.operations[0].handle in prompt
    assert window.view.messages[-1] is window.history[-1].messages[0]


def test_the_reason_warns_with_the_sizes():
    alone = window_of(system(words(2_000)), user("Hello?")).fit(500)
    beside = window_of(system(words(480)), user(words(100))).fit(500)

    (cut,) = alone.operations
    assert cut.reason == (
        "WARNING: the system prompt alone is larger than the budget (2004 of 500 tokens); "
        "it was cut"
    )
    assert beside.operations[0].reason.startswith(
        "WARNING: the system prompt leaves too little room (484 of 500 tokens)"
    )


def test_of_several_prompts_the_largest_is_cut_first():
    short, long = system("Answer in French."), system(words(2_000))
    window = window_of(long, short, user("Hello?"))
    window.fit(500)

    assert prompts(window)[1] == short.text
    assert len(prompts(window)[0]) < len(long.text)


def test_a_prompt_that_leaves_room_is_not_touched():
    window = window_of(system(words(300)), user("Hello?"), assistant(words(600)), user("And now?"))
    window.fit(500)

    assert prompts(window) == [words(300)]


def test_a_prompt_that_was_cut_is_whole_again_where_it_fits():
    window = window_of(system(words(600)), user("Hello?"))
    window.fit(500)
    window.append(assistant(words(1_600)))
    window.append(user("And now?"))
    report = window.fit(1_500)

    assert prompts(window) == [words(600)]
    assert "fits the budget again" in report.operations[0].reason


def test_a_cut_prompt_stays_as_it_is_for_many_turns():
    window = window_of(system(words(2_000)), user("Hello?"))
    window.fit(1_000)
    before = prompts(window)
    for _ in range(30):
        window.append(assistant(words(60)))
        window.append(user("Go on."))
        window.fit(1_000)

    assert prompts(window) == before


@given(st.integers(8, 3_000), st.integers(1, 600), st.integers(150, 1_000))
def test_whatever_the_prompt_it_fits_and_the_question_is_there(prompt, question, limit):
    window = window_of(system(words(prompt)), user("What? " + words(question)))
    window.fit(limit)

    assert window.view.tokens <= limit
    assert window.view.messages[-1].text.startswith("What?")


def test_in_strict_mode_it_is_an_error():
    window = window_of(system(words(2_000)), user("Hello?"), clip_system=False)
    with pytest.raises(ContextOverflowError):
        window.fit(500)


def test_fit_and_conversation_cut_it_or_refuse_to():
    messages = [
        {"role": "system", "content": words(2_000)},
        {"role": "user", "content": "Hello?"},
    ]
    fitted = fit(messages, budget=500)
    assert fitted.messages[0]["content"] != messages[0]["content"]
    assert fitted.messages[1] == messages[1]

    with pytest.raises(ContextOverflowError):
        fit(messages, budget=500, clip_system=False)
    strict = Conversation(budget=500, clip_system=False)
    strict.extend(messages)
    with pytest.raises(ContextOverflowError):
        strict.fit()


class DownToTheGoal:
    """Drops the oldest, as any simple strategy does."""

    name = "down_to_the_goal"

    def plan(self, view: View, goal, ctx):
        excess, out = view.tokens - goal.tokens, []
        for group in ctx.droppable(view):
            if excess > 0:
                out.append(group.number)
                excess -= group.tokens
        return Plan((Drop(tuple(out), "old"),)) if out else None


def test_beside_a_large_prompt_there_is_room_for_some_talk():
    window = window_of(system(words(700)), user("Hello?"), strategies=[DownToTheGoal()])
    for number in range(20):
        window.append(assistant(f"{number} {words(20)}"))
    window.fit(1_000)

    assert 700 + 60 < window.view.tokens <= 700 + 100
