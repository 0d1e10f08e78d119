import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

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
    check_order,
    message_from_json,
    system,
    tool,
    user,
)
from massgen_openai import chat_wire, responses_wire
from massgen_openai.dialect import OPENAI, Dialect

MISTRAL = Dialect("mistral", turns="answered", nine_ids=True, json_arguments=True)
STRICT = Dialect("vllm", turns="strict", json_arguments=True, media=frozenset())
NO_TOOLS = replace(OPENAI, tools=False, media=frozenset())
DEEPSEEK = Dialect("deepseek", reasoning="reasoning_content", media=frozenset())
OPENROUTER = Dialect("openrouter", reasoning="reasoning_details")
NEWEST = replace(OPENAI, system="developer", phases=True)
FORMS = {
    "chat": chat_wire.to_wire,
    "chat-mistral": lambda messages: chat_wire.to_wire(messages, MISTRAL),
    "chat-strict": lambda messages: chat_wire.to_wire(messages, STRICT),
    "chat-no-tools": lambda messages: chat_wire.to_wire(messages, NO_TOOLS),
    "chat-deepseek": lambda messages: chat_wire.to_wire(messages, DEEPSEEK),
    "chat-openrouter": lambda messages: chat_wire.to_wire(messages, OPENROUTER),
    "responses": responses_wire.to_wire,
    "responses-newest": lambda messages: responses_wire.to_wire(messages, NEWEST),
    "responses-no-tools": lambda messages: responses_wire.to_wire(messages, NO_TOOLS),
}
GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_what_is_sent_is_what_it_was(file):
    golden = json.loads(file.read_text("utf-8"))
    messages = [message_from_json(data) for data in golden.pop("messages")]
    assert golden == {form: FORMS[form](messages) for form in golden}


# Round trips

TEXT = st.text(min_size=1, max_size=20)
IDS = st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True)
NAMES = st.from_regex(r"[a-z_]{1,12}", fullmatch=True)
BYTES = st.binary(min_size=1, max_size=12)
ARGUMENTS = st.dictionaries(NAMES, st.integers() | TEXT, max_size=3).map(json.dumps)
CALLS = st.builds(ToolCall, IDS, NAMES, ARGUMENTS)
SEALED = st.builds(
    lambda text, seal, key: Reasoning(
        text, seal, "openai", {"id": key, "summary": [{"type": "summary_text", "text": text}]}
    ),
    TEXT,
    TEXT,
    IDS,
)
PICTURES = st.builds(Image, st.just("image/png"), BYTES, detail=st.sampled_from(["", "low"]))
LINKS = st.builds(Image, url=st.just("https://example.org/a.png"))
FILES = st.builds(File, st.just("application/pdf"), BYTES, name=NAMES)
KNOWN_FILES = st.builds(File, file_id=IDS, name=NAMES)


def _steps(draw, reasoning, shown):
    """One turn: a question, perhaps calls with their results, an answer."""
    media = st.one_of(PICTURES, LINKS, FILES, KNOWN_FILES)
    asked = draw(st.lists(media, max_size=2))
    yield Message("user", (Text(draw(TEXT)), *asked))
    calls = draw(st.lists(CALLS, max_size=3, unique_by=lambda call: call.id))
    if calls:
        thought = [draw(reasoning)] if draw(st.booleans()) else []
        said = [Text(draw(TEXT))] if draw(st.booleans()) else []
        yield Message("assistant", (*thought, *said, *calls))
        for call in calls:
            content = [Text(draw(TEXT)), *draw(st.lists(media if shown else st.nothing()))]
            yield Message("tool", (ToolResult(call.id, tuple(content)),))
    yield assistant(draw(TEXT))


@st.composite
def conversations(draw, *, reasoning, shown=False):
    head = [system(draw(TEXT)) for _ in range(draw(st.integers(0, 2)))]
    turns = [list(_steps(draw, reasoning, shown)) for _ in range(draw(st.integers(1, 2)))]
    return [*head, *(message for turn in turns for message in turn)]


def _plain(messages):
    return [(message.role, message.parts) for message in messages]


@given(conversations(reasoning=st.builds(Reasoning, TEXT, provider=st.just("deepseek"))))
def test_chat_messages_come_back_as_they_were(messages):
    dialect = Dialect("deepseek", reasoning="reasoning_content")
    wire = json.loads(json.dumps(chat_wire.to_wire(messages, dialect)))
    assert _plain(messages) == _plain(chat_wire.from_wire(wire, dialect))
    assert wire == chat_wire.to_wire(chat_wire.from_wire(wire, dialect), dialect)


@given(conversations(reasoning=SEALED, shown=True))
def test_responses_items_come_back_as_they_were(messages):
    wire = json.loads(json.dumps(responses_wire.to_wire(messages)))
    assert _plain(messages) == _plain(responses_wire.from_wire(wire))
    assert wire == responses_wire.to_wire(responses_wire.from_wire(wire))


# What is lost

ANYTHING = st.lists(
    st.one_of(
        st.text(max_size=9).map(system),
        st.text(max_size=9).map(user),
        st.text(max_size=9).map(assistant),
        st.builds(assistant, st.text(max_size=9), CALLS),
        st.builds(tool, st.text(max_size=50), st.text(max_size=9), is_error=st.booleans()),
        st.builds(lambda part: Message("user", (part,)), st.one_of(PICTURES, FILES)),
        st.just(Message("user", ())),
        st.just(Message("assistant", (Reasoning("hm", provider="anthropic"),))),
        st.just(Message("user", (Audio("audio/flac", b"x"), Unknown("hologram", {"a": 1})))),
        st.just(Message("tool", (ToolResult("c", (Text("see"), Image("image/png", b"p"))),))),
        st.builds(
            lambda text: Message("tool", (Text(text), ToolResult("c", (Text("7"),)))),
            st.text(max_size=9),
        ),
    ),
    max_size=8,
)


def _everything(messages):
    for message in messages:
        yield from (part.text for part in message.parts if isinstance(part, Text))
        yield from (result.text for result in message.results)
        yield from (call.name for call in message.calls)


def _sent(text):
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@pytest.mark.parametrize("form", list(FORMS))
@given(messages=ANYTHING)
def test_no_text_and_no_message_is_lost(form, messages):
    wire = FORMS[form](messages)
    encoded = json.dumps(wire, ensure_ascii=False)
    encoded.encode()
    for text in _everything(messages):
        assert json.dumps(_sent(text), ensure_ascii=False)[1:-1] in encoded
    if form.startswith("chat") and form != "chat-strict":
        assert len(wire) >= len(messages)


@pytest.mark.parametrize("form", list(FORMS))
@given(messages=ANYTHING)
def test_nothing_sent_is_empty(form, messages):
    for one in FORMS[form](messages):
        if one.get("role") != "tool" and one.get("type", "message") == "message":
            assert one["content"] or one.get("tool_calls")


@given(ANYTHING)
def test_strict_turns_alternate(messages):
    wire = chat_wire.to_wire(messages, STRICT)
    talk = wire[1:] if wire and wire[0]["role"] == "system" else wire
    roles = [one["role"] for one in talk]
    assert "system" not in roles
    assert roles[:1] != ["assistant"]
    for before, after in itertools.pairwise(talk):
        turn = (before["role"], after["role"])
        assert turn not in {("user", "user"), ("tool", "user")}
        assert turn != ("assistant", "assistant") or "tool_calls" in before


@given(ANYTHING, ANYTHING)
def test_what_was_sent_stays_the_beginning_of_what_is_sent_later(before, after):
    """Or the prompt cache would be of no use."""
    for codec in (chat_wire, responses_wire):
        earlier = codec.to_wire([*before, user("Q")])
        assert earlier == codec.to_wire([*before, user("Q"), *after])[: len(earlier)]


@given(conversations(reasoning=SEALED))
def test_an_order_openai_takes_stays_one(messages):
    assert not check_order(messages, "openai")
    for dialect in (OPENAI, MISTRAL, DEEPSEEK):
        sent = chat_wire.from_wire(chat_wire.to_wire(messages, dialect))
        assert not check_order(sent, "openai")


# Single rules


@given(st.text(max_size=80))
def test_an_id_the_provider_refuses_becomes_one_it_takes_everywhere(given_id):
    messages = [user("Go"), assistant("", ToolCall(given_id, "f")), tool(given_id, "ok")]
    for dialect, form in ((OPENAI, r"[A-Za-z0-9_.:-]{1,40}"), (MISTRAL, r"[A-Za-z0-9]{9}")):
        _, call, result = chat_wire.to_wire(messages, dialect)
        assert re.fullmatch(form, call["tool_calls"][0]["id"])
        assert call["tool_calls"][0]["id"] == result["tool_call_id"]


def test_an_id_the_provider_gave_is_sent_back():
    assert ["aB3dE5gH7", "call_abc"] == [
        chat_wire.to_wire([assistant("", ToolCall(known, "f"))], dialect)[0]["tool_calls"][0]["id"]
        for known, dialect in (("aB3dE5gH7", MISTRAL), ("call_abc", OPENAI))
    ]


@pytest.mark.parametrize("written", ['{"a": 1', "[1]", "null", "word"])
def test_arguments_that_are_no_object_are_wrapped_where_they_must_be_one(written):
    call = assistant("", ToolCall("c", "f", written))
    (sent,), (wrapped,) = chat_wire.to_wire([call]), chat_wire.to_wire([call], MISTRAL)
    assert written == sent["tool_calls"][0]["function"]["arguments"]
    told = json.loads(wrapped["tool_calls"][0]["function"]["arguments"])
    assert {"invalid_arguments": written} == told


def test_reasoning_of_another_provider_is_not_sent():
    thought = Reasoning("secret", "seal", "anthropic")
    message = Message("assistant", (thought, Text("Hi")))
    for form, codec in FORMS.items():
        assert "secret" not in json.dumps(codec([message])), form


def test_a_refusal_is_what_was_said():
    wire = [{"role": "assistant", "content": None, "refusal": "I will not."}]
    assert [{"role": "assistant", "content": "I will not."}] == chat_wire.to_wire(
        chat_wire.from_wire(wire)
    )


def test_a_tool_message_without_a_result_is_refused():
    for codec in (chat_wire, responses_wire):
        with pytest.raises(InvalidMessages, match="no result"):
            codec.to_wire([Message("tool", ())])


def test_what_is_no_item_is_refused_by_its_place():
    for wrong in ({"type": "function_call"}, {"role": "king", "content": "x"}, 5):
        with pytest.raises(InvalidMessages, match="item 1") as raised:
            responses_wire.from_wire([{"role": "user", "content": "x"}, wrong])
        assert 1 == raised.value.index


def test_items_of_other_tools_are_sent_back_as_they_came():
    items = [
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Found."}],
        },
    ]
    assert items == responses_wire.to_wire(responses_wire.from_wire(items))
