"""Retention: atoms, what is needed, and how a fit is scored."""

from __future__ import annotations

import json

import pytest

from massgen_core.measure import Subject, is_long, retention, transcript
from massgen_core.measure._atoms import atoms, needed, surroundings
from massgen_core.measure._subject import unpaired
from massgen_core.messages import ToolCall, assistant, system, tool, user


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see src/pay/retry.py.", {"src/pay/retry.py"}),
        ("order 48213 and 4821", {"48213"}),
        ("getName and snake_case, not plain words", {"getName", "snake_case"}),
        ("3.1415926 is 9 characters", {"3.1415926"}),
        ("file.py a.py e.g. etc.", {"file.py"}),
        ("HAT136:", {"HAT136"}),
    ],
)
def test_atoms_are_what_is_specific(text, found):
    assert found == atoms(text)


def act(**arguments):
    return assistant("", ToolCall("c", "run", json.dumps(arguments)))


def test_needed_is_what_only_the_history_gives():
    messages = [
        system("Work in src/main.py."),
        user("Order 48213 of HAT136 is wrong."),
        assistant("I see order 55555."),
        act(path="src/main.py", order=48213, other="not_in_history"),
        tool("c", "try 55555"),
        act(order=[{"id": "55555"}, "HAT136"]),
    ]

    assert {"48213"} == needed(messages, 3, 1)
    assert {"48213", "HAT136"} == needed(messages, 3, 2)


def test_surroundings_are_those_of_the_newest_occurrences():
    history = "<" * 50 + "KEY_1" + ">" * 50 + "KEY_1"

    assert [">" * 25 + "KEY_1", "<" * 25 + "KEY_1" + ">" * 25] == surroundings(history, "KEY_1")
    assert 40 == len(surroundings("KEY_1 " * 100, "KEY_1"))


def episode(counter, rules="s"):
    """The last call needs three ids of the first answer, which is old by then."""
    chat = [{"role": "system", "content": rules}, {"role": "user", "content": "the task"}]
    chat.append({"role": "assistant", "content": "ids ZQ-10001, ZQ-10002 and ZQ-10003 are open"})
    for n in range(8):
        chat.append({"role": "user", "content": f"question {n} " + "and so on " * 40})
        chat.append({"role": "assistant", "content": f"answer {n} " + "it depends " * 40})
    function = {"name": "close", "arguments": json.dumps({"ids": "ZQ-10001 ZQ-10002 ZQ-10003"})}
    last = {"id": "c", "type": "function", "function": function}
    chat.append({"role": "assistant", "content": None, "tool_calls": [last]})
    return transcript(chat, counter, name="made")


def test_the_whole_history_keeps_everything_and_is_not_counted(subject, counter):
    [found] = retention(subject, [episode(counter)], [100_000])

    assert 0 == found.cuts


def test_who_drops_the_system_prompt_is_found_out(subject, counter):
    class Dropping:
        tokens = subject.tokens

        def fitted(self, transcript, length, limit):
            kept = subject.fitted(transcript, length, limit)
            return [message for message in kept if message.role != "system"]

    made = episode(counter, "Close nothing unasked.\nBe brief.")
    assert [1, 0] == [retention(it, [made], [0.5])[0].system_text for it in (subject, Dropping())]


def test_what_left_is_not_retained(subject, counter):
    [found] = retention(subject, [episode(counter)], [0.5])

    assert (1, 0, 0) == (found.cuts, found.retained, found.in_context)
    assert 0 < found.user_text < 1
    assert 0 < found.used <= 1
    assert (0, 0, 0) == (found.over, found.unpaired, found.errors)


class Names:
    """Puts the bare names in the place of the oldest groups."""

    name = "names"

    def plan(self, view, goal, ctx):
        from massgen_core.context import Plan, Replace

        async def names():
            return "ZQ-10001 ZQ-10002 ZQ-10003"

        groups = tuple(group.number for group in ctx.droppable(view))[:12]
        return Plan((Replace(groups, names, 100, "names"),))


def test_a_bare_list_of_names_is_not_in_context(counter):
    [found] = retention(Subject((Names(),), counter), [episode(counter)], [0.5])

    assert (1, 0) == (found.retained, found.in_context)


def test_a_fit_that_gives_up_scores_nothing(subject, counter):
    chat = [{"role": "system", "content": "rule " * 5000}, *openai(episode(counter))]

    [found] = retention(subject, [transcript(chat, counter, name="huge")], [20])

    assert (1, 1, 0, 0) == (found.cuts, found.errors, found.retained, found.used)


def openai(one):
    from massgen_core.messages import to_openai

    return [to_openai(message) for message in one.messages]


def test_more_budget_keeps_more_of_real_transcripts(subject, pi, tau):
    small, large = retention(subject, [*pi, *tau], [0.1, 0.8])

    assert small.cuts >= large.cuts >= 3
    assert small.in_context < large.in_context
    assert small.user_text <= large.user_text


def test_a_session_is_long_and_an_episode_is_not(pi, tau, counter):
    story = [{"role": role, "content": "x"} for _ in range(70) for role in ("user", "assistant")]

    assert is_long(transcript(story, counter, name="story"))
    assert not is_long(tau[0])


def test_pairs_are_counted_in_order():
    call, answer = act(), tool("c", "done")

    assert 0 == unpaired([user("go"), call, answer])
    assert 0 == unpaired([user("go"), call])  # the newest may wait
    assert 1 == unpaired([user("go"), call, user("well?")])
    assert 1 == unpaired([user("go"), answer])
    assert 2 == unpaired([answer, call, user("well?")])
