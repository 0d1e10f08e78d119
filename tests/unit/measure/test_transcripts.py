"""Reading transcripts in every format."""

from __future__ import annotations

import json

import pytest

from massgen_core.errors import InvalidMessages
from massgen_core.measure import read_transcripts
from massgen_core.measure._subject import unpaired
from massgen_core.messages import check_order

CHAT = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]


def call(name):
    return {"id": name, "type": "function", "function": {"name": "read", "arguments": "{}"}}


def texts(transcripts):
    return [[message.text for message in one.messages] for one in transcripts]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(CHAT),
        json.dumps({"messages": CHAT}),
        "\n".join(map(json.dumps, CHAT)) + "\n\n",
        json.dumps([{"traj": CHAT}]),
        json.dumps({"messages": CHAT}) + "\n",
    ],
)
def test_one_conversation_in_each_form(text, counter):
    [one] = read_transcripts(text, counter, name="chat")

    assert [["Hello", "Hi"]] == texts([one])
    assert ("chat", sum(one.counts)) == (one.name, one.tokens)
    assert tuple(counter.count(message).tokens for message in one.messages) == one.counts


def test_a_line_of_json_ends_where_the_line_does(counter):
    """Not at what else is a line end of Unicode."""
    said = [{"role": "user", "content": f"one{end}two"} for end in "\u2028\u2029\x85"]
    lines = "\r\n".join(json.dumps(one, ensure_ascii=False) for one in said)
    assert [[one["content"] for one in said]] == texts(read_transcripts(lines, counter, name="x"))


def test_episodes_are_named_by_their_place(tau):
    assert ["tau#0", "tau#1"] == [one.name for one in tau]
    assert [32, 12] == [len(one.messages) for one in tau]


def test_a_pi_session_is_read_with_calls_results_and_shell(counter):
    block = {"type": "toolCall", "id": "a", "name": "read", "arguments": {"path": "x"}}
    said = [
        {"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "Reading"}, block]},
        {"role": "toolResult", "toolCallId": "a", "content": [{"type": "text", "text": "42"}]},
        {"role": "assistant", "content": []},
        {"role": "bashExecution", "command": "ls", "output": "a b"},
        {"role": "custom", "content": "?"},
    ]
    lines = [{"type": "session"}, *({"type": "message", "message": one} for one in said)]

    [one] = read_transcripts("\n".join(map(json.dumps, lines)), counter, name="pi")

    assert ["system", "user", "assistant", "tool", "user"] == [m.role for m in one.messages]
    assert "Hi\n[image]" == one.messages[1].text
    assert '{"path": "x"}' == one.messages[2].calls[0].arguments
    assert "42" == one.messages[3].results[0].text
    assert "$ ls\na b" == one.messages[4].text


def test_the_real_session_is_paired_and_legal(pi):
    [one] = pi

    assert 0 == unpaired(one.messages)
    assert () == check_order(one.messages, "openai")
    assert 2 == sum("aborted" == r.text for m in one.messages for r in m.results)


def test_results_without_calls_leave_and_calls_without_results_are_closed(counter):
    chat = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": None, "tool_calls": [call("a"), call("b")]},
        {"role": "tool", "tool_call_id": "b", "content": "done"},
        {"role": "tool", "tool_call_id": "zzz", "content": "lost"},
    ]

    [one] = read_transcripts(json.dumps(chat), counter, name="chat")

    assert [("a", "aborted"), ("b", "done")] == [
        (result.call_id, result.text) for message in one.messages for result in message.results
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no format"),
        ("[]", "holds no messages"),
        ("{}", "no format"),
        ("3", "holds no messages"),
        ("[3]", "expected an object"),
        ('{"role": "user"}\nnonsense', "line 2 is not JSON"),
        ('{"type": "session"}', "without messages"),
        ('[{"role": "oracle", "content": "x"}]', "role"),
        ("[" * 100_000, "nested|JSON"),
    ],
)
def test_what_cannot_be_read_is_told(text, words, counter):
    with pytest.raises(InvalidMessages, match=words):
        read_transcripts(text, counter, name="chat")
