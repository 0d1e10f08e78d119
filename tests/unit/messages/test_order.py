"""What providers refuse, each rule by an example, and repairing by random damage."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_core.messages import (
    DEAD_CALL,
    Image,
    Message,
    OrderChecker,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    assistant,
    check_order,
    repair_order,
    system,
    tool,
    user,
)
from massgen_core.testing._histories import histories

ALL = ("openai", "anthropic", "gemini")
JOINING = ("anthropic", "gemini")
HI = user("Hi")
SIGNED = Reasoning("Hm.", "seal", "anthropic")


def calls(*ids):
    return assistant("", *[ToolCall(key, "look") for key in ids])


def both(*ids):
    return Message("tool", tuple(ToolResult(key, (Text("ok"),)) for key in ids))


def broken(messages, rules):
    return [(problem.index, problem.rule) for problem in check_order(messages, rules)]


@pytest.mark.parametrize("rules", ALL)
@pytest.mark.parametrize(
    "messages",
    [
        [HI],
        [system("Be brief."), HI],
        [HI, assistant("Hello."), user("How are you?")],
        [HI, user("Are you there?")],
        [HI, calls("a"), tool("a", "ok")],
        [HI, calls("a"), tool("a", "")],
        [HI, calls("a", "b"), tool("b", "ok"), tool("a", "ok"), user("And?")],
        [HI, calls("a"), tool("a", "ok"), calls("b"), tool("b", "ok")],
        [HI, assistant("One."), assistant("Two."), user("Three?")],
        [HI, Message("assistant", (SIGNED, Text("So."), ToolCall("a", "look"))), tool("a", "ok")],
        [Message("user", (Image("image/png", b""),))],
    ],
)
def test_what_is_in_order_is_taken_by_all(messages, rules):
    assert [] == broken(messages, rules)


@pytest.mark.parametrize("rules", ALL)
@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([HI, calls("a")], (1, "missing-result")),
        ([HI, calls("a"), user("Well?")], (1, "missing-result")),
        ([HI, calls("a", "b"), tool("a", "ok"), user("Well?")], (1, "missing-result")),
        ([HI, tool("a", "ok"), user("Well?")], (1, "orphan-result")),
        ([HI, calls("a"), tool("a", "ok"), tool("a", "again")], (3, "duplicate-result")),
        ([HI, calls("a", "a"), tool("a", "ok")], (1, "duplicate-call")),
        ([HI, Message("assistant", ()), user("Well?")], (1, "empty")),
        ([Message("user", ())], (0, "empty")),
        ([HI, Message("user", (ToolCall("a", "look"),))], (1, "misplaced-part")),
        ([HI, calls("a"), Message("tool", (Text("ok"),))], (2, "misplaced-part")),
        ([HI, Message("user", (SIGNED, Text("x")))], (1, "misplaced-part")),
        ([], (0, "nothing-said")),
    ],
)
def test_what_all_refuse(messages, problem, rules):
    assert problem in broken(messages, rules)


@pytest.mark.parametrize("rules", ALL)
def test_a_result_after_another_message_is_late_and_its_call_without_one(rules):
    messages = [HI, calls("a"), user("Wait."), tool("a", "ok"), user("Well?")]
    assert [(1, "missing-result"), (3, "late-result")] == broken(messages, rules)


@pytest.mark.parametrize(
    ("messages", "problem", "refused_by"),
    [
        ([assistant("Welcome."), HI], (0, "first-role"), JOINING),
        ([system("Be."), assistant("Welcome."), HI], (1, "first-role"), JOINING),
        ([HI, assistant("Here is")], (1, "last-role"), JOINING),
        ([system("Be brief.")], (0, "nothing-said"), JOINING),
        ([user(" \n")], (0, "empty"), JOINING),
        ([HI, assistant(""), user("Well?")], (1, "empty"), JOINING),
        (
            [HI, calls("a"), tool("a", "1"), calls("a"), tool("a", "2")],
            (3, "duplicate-call"),
            ALL[1:2],
        ),
        ([HI, calls("a", "b"), both("a", "b")], (2, "several-results"), ("openai",)),
        ([HI, calls("a"), system("Now."), tool("a", "ok")], (1, "missing-result"), ("openai",)),
        (
            [HI, Message("assistant", (Text("So."), SIGNED, ToolCall("a", "f"))), tool("a", "ok")],
            (1, "reasoning-first"),
            ("anthropic",),
        ),
        ([HI, Message("assistant", (SIGNED,)), HI], (1, "empty"), ("openai", "gemini")),
    ],
)
def test_what_some_refuse(messages, problem, refused_by):
    assert list(refused_by) == [rules for rules in ALL if problem in broken(messages, rules)]


def test_a_problem_says_where_and_what():
    (problem,) = check_order([HI, tool("c7", "ok")], "openai")
    assert "message 1: no message before it calls 'c7'" == str(problem)


@given(histories(), st.sampled_from(ALL), st.data())
def test_checking_piece_by_piece_is_checking_at_once(messages, rules, data):
    cut = data.draw(st.integers(0, len(messages)))
    checker = OrderChecker(rules)
    before = checker.feed(messages[:cut])
    fork = checker.fork()
    rest = fork.feed(messages[cut:])
    assert check_order(messages, rules) == (*before, *rest, *fork.end())
    again = checker.feed(messages[cut:])
    assert again == rest
    assert checker.end() == fork.end()


@st.composite
def damaged(draw):
    """A history with messages lost, doubled, moved, emptied and joined."""
    messages = draw(histories(turns=3))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(messages) - 1))
        one = messages[at]
        match draw(st.integers(0, 5)):
            case 0 if len(messages) > 1:
                del messages[at]
            case 1:
                messages.insert(draw(st.integers(0, len(messages))), replace(one, id=f"{one.id}+"))
            case 2:
                messages.insert(draw(st.integers(0, len(messages) - 1)), messages.pop(at))
            case 3:
                messages[at] = replace(one, parts=())
            case 4:
                messages[at] = replace(one, parts=(*one.parts, Reasoning("late")))
            case _:
                messages[at] = replace(one, parts=(*one.parts, *messages[at - 1].parts))
    return [*messages, user("Well?", pinned=True)]


@given(damaged(), st.sampled_from(ALL))
def test_a_repaired_request_is_taken_and_repairing_it_changes_nothing(messages, rules):
    repaired = repair_order(messages, rules)
    assert () == check_order(repaired, rules)
    assert repaired == repair_order(repaired, rules)
    if not check_order(messages, rules):
        assert all(a is b for a, b in zip(messages, repaired, strict=True))


@given(damaged(), st.sampled_from(ALL))
def test_repairing_keeps_the_text_and_the_last_word(messages, rules):
    repaired = repair_order(messages, rules)
    assert messages[-1] in repaired
    kept = {id(message) for message in repaired} | {message.text for message in repaired}
    lost = [m for m in messages if id(m) not in kept and m.role != "tool" and m.text not in kept]
    assert [] == lost or all(not m.text.strip() for m in lost)


@given(damaged())
def test_without_reasoning_there_is_none(messages):
    repaired = repair_order(messages, "anthropic", reasoning=False)
    assert not any(part.kind == "reasoning" for message in repaired for part in message.parts)


def test_a_late_result_goes_back_to_its_call():
    result = tool("a", "ok")
    first, asked, wait, last = HI, calls("a"), user("Wait."), user("Well?")
    repaired = repair_order([first, asked, wait, result, last], "openai")
    assert (first, asked, result, wait, last) == repaired


def test_a_call_without_result_gets_one_that_says_so():
    repaired = repair_order([HI, calls("a", "b"), tool("b", "ok"), user("Well?")], "openai")
    results = [result for message in repaired for result in message.results]
    assert [("b", "ok"), ("a", DEAD_CALL)] == [(r.call_id, r.text) for r in results]
    assert results[1].is_error


def test_doubles_and_orphans_are_left_out():
    messages = [HI, tool("x", "?"), calls("a"), tool("a", "1"), tool("a", "2"), user("Well?")]
    assert [messages[i] for i in (0, 2, 3, 5)] == list(repair_order(messages, "openai"))


def test_ids_that_come_again_are_told_apart_with_their_results():
    messages = [HI, calls("a"), tool("a", "1"), calls("a", "a-2"), tool("a", "2"), tool("a-2", "3")]
    assert tuple(messages) == repair_order(messages, "openai")
    repaired = repair_order(messages, "anthropic")
    assert [["a"], ["a-2", "a-2-2"]] == [[c.id for c in m.calls] for m in repaired if m.calls]
    results = [(r.call_id, r.text) for m in repaired for r in m.results]
    assert [("a", "1"), ("a-2", "2"), ("a-2-2", "3")] == results


def test_several_results_in_one_message_become_one_message_each():
    repaired = repair_order([HI, calls("a", "b"), both("b", "a")], "openai")
    assert [["b"], ["a"]] == [[r.call_id for r in m.results] for m in repaired[2:]]
    assert len({message.id for message in repaired}) == 4


def test_the_ends_are_given_to_the_user():
    greeting = assistant("Welcome.")
    repaired = repair_order([system("Be."), greeting], "anthropic")
    assert ["system", "user", "assistant", "user"] == [message.role for message in repaired]
    assert greeting is repaired[2]


def test_results_of_one_id_go_to_its_calls_in_order():
    messages = [HI, calls("a", "a"), tool("a", "first"), tool("a", "second"), user("Well?")]
    repaired = repair_order(messages, "openai")
    results = [(r.call_id, r.text) for m in repaired for r in m.results]
    assert [("a", "first"), ("a-2", "second")] == results


def test_a_result_belongs_to_the_nearest_call_before_it():
    messages = [HI, calls("a"), user("Again."), calls("a"), tool("a", "new"), user("Well?")]
    repaired = repair_order(messages, "openai")
    assert [DEAD_CALL, "new"] == [r.text for m in repaired for r in m.results]


def test_an_answer_may_be_the_last_word_where_that_is_taken():
    messages = [HI, tool("x", "?"), assistant("Here is")]
    assert "assistant" == repair_order(messages, "openai")[-1].role
    assert "user" == repair_order(messages, "gemini")[-1].role
