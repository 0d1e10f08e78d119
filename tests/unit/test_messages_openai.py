"""The codec for OpenAI chat messages: exact from the wire and back, clear about bad input."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from massgen_core.errors import InvalidMessages
from massgen_core.messages import (
    Audio,
    File,
    Image,
    Message,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Unknown,
    assistant,
    from_openai,
    message_from_json,
    message_to_json,
    to_openai,
    tool,
    user,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2)
    ),
    max_leaves=4,
)
EXTRA = st.dictionaries(
    st.sampled_from(["name", "refusal", "calls", "odd", "openai", "kind", "parts", "audio"]),
    JSON,
    max_size=3,
)
BASE64 = st.sampled_from(["", "AA==", "AB==", "iVBORw==", "not base64", "é"])
MEDIA = st.sampled_from(["image/png", "application/pdf", "image/svg+xml", ""])
URL = (
    st.builds("data:{};base64,{}".format, MEDIA, BASE64)
    | st.just("https://example.org/a.png")
    | st.text(max_size=5)
)


def typed(kind, body):
    return st.builds(lambda value, extra: {**extra, "type": kind, kind: value}, body, EXTRA)


CONTENT_PART = (
    typed("text", st.text() | JSON)
    | typed("image_url", st.fixed_dictionaries({"url": URL | JSON}, optional={"detail": JSON}))
    | typed(
        "input_audio",
        st.fixed_dictionaries({"data": BASE64, "format": st.sampled_from(["wav", "mp3", None])}),
    )
    | typed(
        "file",
        st.fixed_dictionaries({}, optional={"file_data": URL, "filename": JSON, "file_id": JSON}),
    )
    | st.builds(lambda kind, rest: {**rest, "type": kind}, st.text(max_size=8), EXTRA)
)
CONTENT = st.none() | st.text() | st.lists(CONTENT_PART, max_size=3)
CALL = st.builds(
    lambda call, function: {**call, "function": function},
    st.fixed_dictionaries(
        {"id": st.text(max_size=5)},
        optional={"type": st.sampled_from(["function", "custom"]), "index": JSON},
    ),
    st.fixed_dictionaries(
        {"name": st.text(max_size=5), "arguments": st.text(max_size=9)}, optional={"strict": JSON}
    ),
)


def wire(role, **fields):
    known = st.fixed_dictionaries({"role": st.sampled_from(role)}, optional=fields)
    return st.builds(lambda extra, own: {**extra, **own}, EXTRA, known)


NO_CALLS = st.sampled_from([None, []])
WIRE = (
    wire(
        ["system", "developer", "user"],
        content=CONTENT,
        tool_calls=NO_CALLS,
        tool_call_id=st.none(),
    )
    | wire(
        ["assistant"],
        content=CONTENT,
        tool_calls=NO_CALLS | st.lists(CALL, max_size=3),
        tool_call_id=st.none(),
    )
    | st.builds(
        lambda message, call_id: {**message, "tool_call_id": call_id},
        wire(["tool"], content=CONTENT, tool_calls=NO_CALLS),
        st.text(max_size=5),
    )
)


@given(WIRE)
def test_from_the_wire_and_back_is_exact(message):
    assert message == to_openai(from_openai(message))


@given(WIRE)
@example({"role": "user", "content": [{"type": "file", "file": {"file_id": []}}]})
@example(
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x", "detail": [1]}}]}
)
def test_the_wire_survives_the_journal(message):
    stored = json.dumps(message_to_json(from_openai(message)))

    assert message == to_openai(message_from_json(json.loads(stored)))


PLAIN_PARTS = (
    st.builds(Text, st.text())
    | st.builds(Image, url=st.text().filter(lambda url: not url.startswith("data:")))
    | st.builds(Image, media_type=st.just("image/png"), data=st.binary(), detail=st.text())
    | st.builds(Audio, media_type=st.just("audio/wav"), data=st.binary())
    | st.builds(
        File, media_type=st.just("application/pdf"), data=st.binary(), name=st.text(max_size=5)
    )
    | st.builds(Unknown, st.just("video_url"), st.fixed_dictionaries({"video_url": JSON}))
)
CALLS = st.builds(ToolCall, st.text(), st.text(), st.text())
MODEL = st.one_of(
    st.builds(
        lambda role, parts: Message(role, tuple(parts)),
        st.sampled_from(["system", "user"]),
        st.lists(PLAIN_PARTS, max_size=3),
    ),
    st.builds(
        lambda parts, calls: Message("assistant", (*parts, *calls)),
        st.lists(PLAIN_PARTS, max_size=3),
        st.lists(CALLS, max_size=3),
    ),
    st.builds(
        lambda call_id, parts: Message("tool", (ToolResult(call_id, tuple(parts)),)),
        st.text(),
        st.lists(PLAIN_PARTS, max_size=3),
    ),
)


@given(MODEL)
def test_from_the_model_and_back_keeps_role_and_parts(message):
    again = from_openai(json.loads(json.dumps(to_openai(message))))

    assert (message.role, message.parts) == (again.role, again.parts)


def test_a_call_and_its_result_have_the_form_providers_expect():
    call = ToolCall("c1", "look", '{"a": 1}')

    assert {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "c1",
                "type": "function",
                "function": {"name": "look", "arguments": '{"a": 1}'},
            }
        ],
    } == to_openai(assistant("", call))
    assert {"role": "tool", "tool_call_id": "c1", "content": "42"} == to_openai(tool("c1", "42"))


def test_a_developer_message_is_a_system_message_and_stays_developer_on_the_wire():
    message = from_openai({"role": "developer", "content": "be brief"})

    assert "system" == message.role
    assert "developer" == to_openai(message)["role"]


def test_pictures_sound_and_files_become_parts():
    content = [
        {"type": "text", "text": "look"},
        {
            "type": "image_url",
            "image_url": {"url": "data:image/png;base64,iVBORw==", "detail": "low"},
        },
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        {
            "type": "file",
            "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
        },
    ]

    assert (
        Text("look"),
        Image("image/png", b"\x89PNG", detail="low"),
        Audio("audio/wav", b"RIFF"),
        File("application/pdf", b"%PDF", name="a.pdf"),
    ) == from_openai({"role": "user", "content": content}).parts


def test_reasoning_is_not_sent_back():
    message = Message("assistant", (Reasoning("hm", "sig"), Text("hi")))

    assert {"role": "assistant", "content": "hi"} == to_openai(message)


def test_losing_a_call_loses_only_that_call():
    odd = {"id": "c1", "type": "function", "index": 0, "function": {"name": "a", "arguments": "1"}}
    message = from_openai({"role": "assistant", "content": "x", "tool_calls": [odd]})
    without = Message("assistant", (Text("x"),), meta=message.meta)

    assert {"role": "assistant", "content": "x"} == to_openai(without)


def function(**fields):
    return [{"id": "c1", "type": "function", "function": fields}]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (None, "expected an object with role and content, got NoneType"),
        ("hi", "expected an object with role and content, got str"),
        ([], "expected an object with role and content, got list"),
        ({}, "role None is none of system, developer, user, assistant, tool"),
        ({"role": "robot"}, "role 'robot' is none of"),
        ({"role": ["user"]}, "role .* is none of"),
        ({"role": "user", "content": 5}, "content is int, expected text, a list or null"),
        ({"role": "user", "content": {"text": "x"}}, "content is dict"),
        ({"role": "user", "content": ["x"]}, "a content part needs a type"),
        ({"role": "user", "content": [{}]}, "a content part needs a type"),
        ({"role": "user", "content": [{"type": []}]}, "a content part needs a type|type of a"),
        ({"role": "user", "content": [{"type": 5}]}, "the type of a content part is 5"),
        ({"role": "tool", "content": "x"}, "a tool message needs tool_call_id"),
        ({"role": "tool", "tool_call_id": 5}, "a tool message needs tool_call_id"),
        ({"role": "user", "tool_call_id": "c1"}, "only a tool message has tool_call_id"),
        (
            {"role": "tool", "tool_call_id": "c", "tool_calls": function(name="a", arguments="")},
            "only an assistant message has tool_calls",
        ),
        (
            {"role": "user", "tool_calls": function(name="a", arguments="")},
            "only an assistant message has tool_calls",
        ),
        ({"role": "assistant", "tool_calls": {"a": 1}}, "tool_calls is not a list"),
        ({"role": "assistant", "tool_calls": [5]}, "a tool call needs an id and a function"),
        ({"role": "assistant", "tool_calls": [{"id": "c"}]}, "a tool call needs an id"),
        ({"role": "assistant", "tool_calls": function(name="a")}, "a tool call needs an id"),
        ({"role": "assistant", "tool_calls": function(name=5, arguments="")}, "a tool call needs"),
        (
            {"role": "assistant", "tool_calls": function(name="a", arguments={"x": 1})},
            "function.arguments is dict, expected JSON text",
        ),
    ],
)
def test_what_is_no_openai_message_is_refused_with_place_and_reason(data, says):
    with pytest.raises(InvalidMessages, match=says) as caught:
        from_openai(data, index=3)

    assert 3 == caught.value.index
    assert caught.value.message.startswith("message 3: ")


def test_a_tool_message_with_two_results_has_no_wire_form():
    two = Message("tool", (ToolResult("c1"), ToolResult("c2")))

    with pytest.raises(InvalidMessages, match="holds one result, this one has 2 parts"):
        to_openai(two)


def test_a_result_in_a_user_message_has_no_wire_form():
    with pytest.raises(InvalidMessages, match="tool_result part has no place"):
        to_openai(Message("user", (ToolResult("c1"),)))


def test_a_text_message_is_just_text():
    assert {"role": "user", "content": "hi"} == to_openai(user("hi"))
