"""A question that takes the whole window leaves room for what is done to answer it."""

import pytest

from massgen_core.context import ContextEngine, ContextWindow
from massgen_core.messages import ToolCall, assistant, tool, user
from massgen_core.tokens import tiktoken_counter

COUNTER = tiktoken_counter("o200k_base")
LIMIT = 1_000


def words(tokens):
    return "word " * (tokens - 1)


def asked(size):
    """A conversation whose newest question has so many tokens, fitted."""
    window = ContextWindow(ContextEngine((), COUNTER))
    window.append(user("The task."))
    window.append(assistant("Done."))
    window.append(user(words(size)))
    window.fit(LIMIT)
    return window


def step(window, number):
    window.append(assistant("", ToolCall(f"c{number}", "look", "{}")))
    window.append(tool(f"c{number}", f"Result {number}: " + words(300)))
    window.fit(LIMIT)


@pytest.mark.parametrize("size", [3_000, 1_100, LIMIT - 30, LIMIT - 40, LIMIT - 100])
def test_the_newest_result_is_seen_however_long_the_question_is(size):
    window = asked(size)

    for number in range(4):
        step(window, number)
        [*_, call, result] = window.view.messages
        assert f"c{number}" == call.calls[0].id
        assert result.results[0].text
        assert window.view.tokens <= LIMIT


def test_a_question_that_was_cut_leaves_a_quarter_of_its_room():
    window = asked(3_000)
    step(window, 0)

    assert window.view.messages[-1].results[0].text.startswith("Result 0: word word")
    assert 0.7 * LIMIT < asked(3_000).view.tokens < 0.8 * LIMIT


def test_a_question_that_leaves_room_for_results_stays_as_it_was_said():
    window = asked(500)
    step(window, 0)

    assert words(500) in [message.text for message in window.view.messages]
