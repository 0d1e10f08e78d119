"""The JSON form of messages is lossless, open to later versions and closed to nonsense."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
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
    message_from_json,
    message_to_json,
    system,
    tool,
    user,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
KINDS = ["text", "image", "tool_call", "tool_result", "reasoning", "unknown", "hologram"]
FIELDS = ["kind", "name", "data", "text", "content", "id", "seconds", "url"]
JSON_OBJECT = st.dictionaries(st.sampled_from(FIELDS) | st.text(), JSON, max_size=4)
UNKNOWN = st.builds(Unknown, st.sampled_from(KINDS) | st.text(), JSON_OBJECT)
CONTENT = (
    st.builds(Text, st.text())
    | st.builds(
        Image,
        media_type=st.text(),
        data=st.none() | st.binary(),
        url=st.none() | st.text(),
        detail=st.text(),
        width=st.integers(min_value=0),
        height=st.integers(min_value=0),
    )
    | st.builds(
        Audio,
        media_type=st.text(),
        data=st.none() | st.binary(),
        seconds=st.floats(min_value=0, allow_infinity=False),
    )
    | st.builds(
        File,
        media_type=st.text(),
        data=st.none() | st.binary(),
        url=st.none() | st.text(),
        file_id=st.none() | st.text(),
        name=st.text(),
    )
    | UNKNOWN
)
PARTS = (
    CONTENT
    | st.builds(ToolCall, st.text(), st.text(), st.text())
    | st.builds(
        ToolResult, st.text(), st.lists(CONTENT, max_size=3).map(tuple), st.text(), st.booleans()
    )
    | st.builds(Reasoning, st.text(), st.text(), st.text(), JSON_OBJECT)
)
MESSAGES = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    parts=st.lists(PARTS, max_size=4).map(tuple),
    created_at=st.floats(allow_nan=False, allow_infinity=False),
    meta=JSON_OBJECT,
)


@given(MESSAGES)
def test_every_message_comes_back_as_it_was(message):
    assert message == message_from_json(json.loads(json.dumps(message_to_json(message))))


@given(st.text().filter(lambda kind: kind not in KINDS), JSON_OBJECT)
def test_a_part_of_a_later_version_is_written_back_as_it_was_read(kind, fields):
    written = {**fields, "kind": kind}
    data = {**message_to_json(user("")), "parts": [written]}

    message = message_from_json(data)

    assert Unknown(kind, {k: v for k, v in fields.items() if k != "kind"}) == message.parts[0]
    assert [written] == message_to_json(message)["parts"]


def test_a_known_part_with_a_field_of_a_later_version_is_kept_as_unknown():
    part = {"kind": "text", "text": "hello", "language": "eo"}
    message = message_from_json({**message_to_json(user("")), "parts": [part]})

    assert [Unknown("text", {"text": "hello", "language": "eo"})] == list(message.parts)
    again = message_from_json(json.loads(json.dumps(message_to_json(message))))
    assert message == again


def test_the_form_of_a_message_is_stable():
    message = Message(
        "assistant",
        (Reasoning("hm", "sig", "anthropic"), Text("hi"), ToolCall("c1", "look", '{"a": 1}')),
        id="018c2d6b-9f70-7000-8000-000000000000",
        created_at=1_700_000_000.5,
        meta={"pinned": True},
    )

    assert {
        "id": "018c2d6b-9f70-7000-8000-000000000000",
        "role": "assistant",
        "created_at": 1_700_000_000.5,
        "parts": [
            {"kind": "reasoning", "text": "hm", "signature": "sig", "provider": "anthropic"},
            {"kind": "text", "text": "hi"},
            {"kind": "tool_call", "id": "c1", "name": "look", "arguments": '{"a": 1}'},
        ],
        "meta": {"pinned": True},
    } == message_to_json(message)


def test_bytes_are_base64_and_defaults_are_left_out():
    message = Message("user", (Image("image/png", b"\x89PNG"), Audio(data=b"")))

    assert [
        {"kind": "image", "media_type": "image/png", "data": "iVBORw=="},
        {"kind": "audio", "data": ""},
    ] == message_to_json(message)["parts"]


VALID = {"id": "m1", "role": "user", "created_at": 0.0, "parts": []}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (None, "NoneType"),
        ([], "list"),
        ({}, "'parts'|'role'"),
        (VALID | {"role": "robot"}, "role 'robot' is none of assistant, system, tool, user"),
        (VALID | {"role": ["user"]}, "unhashable"),
        (VALID | {"id": 7}, "field 'id' is int, expected str"),
        (VALID | {"created_at": "now"}, "field 'created_at' is str, expected int or float"),
        (VALID | {"meta": []}, "field 'meta' is list, expected dict"),
        (VALID | {"parts": None}, "NoneType"),
        (VALID | {"parts": "text"}, "indices"),
        (VALID | {"parts": [{}]}, "'kind'"),
        (VALID | {"parts": [{"kind": None}]}, "field 'kind' is NoneType"),
        (VALID | {"parts": [{"kind": "text", "text": 5}]}, "field 'text' is int"),
        (VALID | {"parts": [{"kind": "tool_call", "id": "c"}]}, "name"),
        (VALID | {"parts": [{"kind": "image", "data": "é"}]}, "ASCII"),
        (VALID | {"parts": [{"kind": "image", "data": "a"}]}, "base64|padding"),
        (VALID | {"parts": [{"kind": "image", "data": {}}]}, "dict"),
        (VALID | {"parts": [{"kind": "reasoning", "data": "x"}]}, "field 'data' is str"),
        (
            VALID | {"parts": [{"kind": "image", "width": "9"}]},
            "field 'width' is str, expected int",
        ),
    ],
)
def test_what_is_no_message_is_refused_with_the_reason(data, says):
    with pytest.raises(InvalidMessages, match=says) as caught:
        message_from_json(data)

    assert caught.value.hint


def test_helpers_build_the_usual_messages():
    call = ToolCall("c1", "look", "{}")

    assert (Text("be kind"),) == system("be kind").parts
    assert (Text("hi"),) == user("hi").parts
    assert (call,) == assistant("", call).parts
    assert (Text("wait"), call) == assistant("wait", call).parts
    assert (Text(""),) == assistant("").parts
    assert (ToolResult("c1", (Text("42"),), "look", is_error=True),) == tool(
        "c1", "42", name="look", is_error=True
    ).parts


def test_a_message_tells_its_text_calls_results_and_pin():
    call = ToolCall("c1", "look", "{}")
    result = ToolResult("c1", (Text("4"), Image(url="u"), Text("2")))
    message = Message("assistant", (Text("a"), Reasoning("r"), call, Text("b"), result))

    assert "ab" == message.text
    assert (call,) == message.calls
    assert (result,) == message.results
    assert "42" == result.text
    assert not message.pinned
    assert user("x", pinned=True).pinned
    assert not user("x", pinned="yes").pinned


def test_messages_can_be_hashed_whatever_their_meta_holds():
    message = Message("user", (Unknown("x", {"a": [1]}),), meta={"b": {"c": []}})

    assert 1 == len({message, message_from_json(message_to_json(message))})


def test_created_at_is_a_real_time():
    assert math.isfinite(user("x").created_at)
