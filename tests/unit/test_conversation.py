import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_core import Conversation, fit
from massgen_core.errors import (
    ContextOverflowError,
    InvalidArgument,
    InvalidMessages,
    PluginNotFound,
    UnknownModel,
)
from massgen_core.messages import from_openai, to_openai
from massgen_core.testing._histories import histories


def call(number, **arguments):
    function = {"name": "read", "arguments": json.dumps({"path": f"f{number}.py", **arguments})}
    calls = [{"id": f"c{number}", "type": "function", "function": function}]
    return {"role": "assistant", "content": "", "tool_calls": calls}


def result(number, text):
    return {"role": "tool", "tool_call_id": f"c{number}", "content": text}


SYSTEM = {"role": "system", "content": "You are helpful."}
TASK = {"role": "user", "content": "fix all the failing tests in this repository please"}
HUGE = "x7 " * 30_000


def agent_loop(steps):
    yield SYSTEM
    yield TASK
    for number in range(steps):
        yield call(number)
        yield result(number, "line of output " * 60)


def test_messages_that_fit_are_the_very_objects_passed_in():
    messages = list(agent_loop(3))
    fitted = fit(messages, budget=100_000)
    assert fitted.messages == messages
    assert all(one is other for one, other in zip(fitted.messages, messages, strict=True))
    assert fitted.report.operations == ()


@pytest.mark.parametrize("strategies", [None, ["sliding_window"], []])
def test_a_long_agent_loop_is_fitted_with_task_and_newest_result(strategies):
    messages = list(agent_loop(200))
    fitted = fit(messages, budget=8000, strategies=strategies)
    assert fitted.report.tokens_before > 30_000
    assert 6000 < fitted.report.tokens_after <= 8000
    assert fitted.messages[:2] == [SYSTEM, TASK]
    assert fitted.messages[-2:] == messages[-2:]
    assert fitted.report.operations


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([SYSTEM, TASK, {"role": "user", "content": "NOW DO: " + HUGE}], id="user"),
        pytest.param([SYSTEM, TASK, call(1), result(1, HUGE)], id="result"),
        pytest.param([SYSTEM, TASK, call(1, text=HUGE)], id="pending call"),
        pytest.param([SYSTEM, TASK, {"role": "assistant", "content": HUGE}, TASK], id="answer"),
        pytest.param([SYSTEM, {"role": "user", "content": HUGE}, TASK], id="task"),
    ],
)
def test_one_item_larger_than_the_window_is_survived(messages):
    fitted = fit(messages, budget=8000)
    assert fitted.report.tokens_after <= 8000
    assert [m["role"] for m in fitted.messages][:2] == ["system", "user"]
    assert any(
        "cut to fit" in json.dumps(m, ensure_ascii=False) or m is TASK for m in fitted.messages
    )


def test_what_was_cut_comes_back_byte_by_byte():
    conversation = Conversation(budget=8000)
    messages = [SYSTEM, TASK, call(1), result(1, HUGE)]
    conversation.extend(messages)
    report = conversation.fit().report
    restored = [m for op in report.operations for m in conversation.restore(op.handle)]
    assert result(1, HUGE) in restored


def test_a_growing_conversation_always_fits_and_keeps_its_beginning_between_fits():
    conversation = Conversation(budget=3000)
    before, kept, fits = [], 0, 0
    for message in agent_loop(150):
        conversation.append(message)
        fitted = conversation.fit()
        assert fitted.report.tokens_after <= 3000
        fits += bool(fitted.report.operations)
        kept += fitted.messages[: len(before)] == before
        before = fitted.messages
    assert fits >= 3
    assert kept >= 302 - fits


@given(histories(turns=3), st.integers(0, 2**16))
def test_a_conversation_says_what_fit_says(messages, seed):
    wire = [to_openai(message) for message in messages]
    total = fit(wire, budget=10**9).report.tokens_after
    budget = max(1500, random.Random(seed).randrange(total + 1))
    conversation = Conversation(budget=budget, target=1.0)
    conversation.extend(wire)
    try:
        fitted = fit(wire, budget=budget)
    except ContextOverflowError:
        with pytest.raises(ContextOverflowError):
            conversation.fit()
    else:
        assert conversation.fit().messages == fitted.messages
        for index, message in enumerate(fitted.messages):
            from_openai(message, index=index)


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ("hello", "expected a list"),
        ({"role": "user", "content": "x"}, "expected a list"),
        (["hello"], "message 0"),
        ([{"content": "x"}], "role None"),
        ([TASK, {"role": "robot", "content": "x"}], "message 1: role 'robot'"),
        ([TASK, {"role": "user", "content": 5}], "message 1: content is int"),
        ([TASK, result(9, "x")], "message 1: .*answers no open call"),
        ([TASK, {"role": "tool", "content": "x"}], "message 1: .*tool_call_id"),
        ([{**TASK, "tool_call_id": "c1"}], "message 0: .*tool_call_id"),
    ],
)
def test_messages_that_are_none_name_the_place(messages, text):
    with pytest.raises(InvalidMessages, match=text):
        fit(messages, budget=1000)


def test_nothing_fits_into_any_budget():
    assert fit([], budget=1).messages == []


def test_a_budget_of_one_is_an_overflow_with_numbers():
    with pytest.raises(ContextOverflowError) as caught:
        fit([TASK], budget=1)
    assert caught.value.limit == 1


@pytest.mark.parametrize("budget", [0, -5, 1.5, float("nan"), "8000", None, True])
def test_a_budget_that_is_no_positive_whole_number_is_refused(budget):
    with pytest.raises(InvalidArgument, match="budget"):
        fit([TASK], budget=budget)


def test_unknown_names_are_typed_errors():
    with pytest.raises(UnknownModel, match="gpt-4oo"):
        fit([TASK], budget=100, model="gpt-4oo")
    with pytest.raises(PluginNotFound, match="sliding_windw") as caught:
        fit([TASK], budget=100, strategies=["sliding_windw"])
    assert "sliding_window" in caught.value.hint
    with pytest.raises(InvalidArgument, match="list of names"):
        fit([TASK], budget=100, strategies="sliding_window")


def test_a_five_megabyte_message_is_cut():
    fitted = fit([SYSTEM, {"role": "user", "content": "tokens galore " * 370_000}], budget=2000)
    assert fitted.report.tokens_before > 500_000
    assert fitted.report.tokens_after <= 2000


def test_for_a_model_without_its_own_tokenizer_the_upper_estimate_stays_in_budget():
    messages = list(agent_loop(100))
    exact = fit(messages, budget=8000)
    upper = fit(messages, budget=8000, model="claude-sonnet-4-5")
    assert upper.report.tokens_after <= 8000
    assert len(upper.messages) < len(exact.messages)


def test_a_result_that_comes_late_stands_beside_its_call():
    conversation = Conversation(budget=8000)
    conversation.extend([TASK, call(1), {"role": "user", "content": "and?"}])
    assert "interrupted" in conversation.fit().messages[2]["content"]
    late = result(1, "here it is")
    conversation.append(late)
    assert conversation.fit().messages == [TASK, call(1), late, {"role": "user", "content": "and?"}]
