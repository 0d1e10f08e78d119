import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from massgen_anthropic._blocks import NATIVE, wire_id
from massgen_anthropic._cache import MOST, marked
from massgen_anthropic._wire import EMPTY, from_wire, to_wire, tools_to_wire
from massgen_core.messages import (
    Audio,
    File,
    Image,
    Message,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
    Unknown,
    assistant,
    check_order,
    message_from_json,
    repair_order,
    system,
    tool,
    user,
)

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
SEALED = Reasoning("Let me see.", "sig==", "anthropic", {"model": "m1"})


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_the_wire_is_as_written_down(file):
    case = json.loads(file.read_text())
    messages = [message_from_json(each) for each in case["messages"]]
    assert case["wire"] == to_wire(messages, model="m1")


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_what_is_read_from_the_wire_says_the_same(file):
    wire = json.loads(file.read_text())["wire"]
    assert wire == to_wire(from_wire(wire), keep="all")


def test_leading_system_messages_are_blocks_and_later_ones_stay_where_they_were_said():
    wire = to_wire([system("One."), system("Two."), user("Hi"), system("Three."), user("Go")])
    assert ["One.", "Two."] == [block["text"] for block in wire["system"]]
    [turn] = wire["messages"]
    assert ["Hi", "[instruction]\nThree.", "Go"] == [block["text"] for block in turn["content"]]


def test_results_of_parallel_calls_are_one_turn_and_come_first():
    calls = ToolCall("a", "add", '{"x": 1}'), ToolCall("b", "read")
    wire = to_wire(
        [user("Go"), assistant("Both.", *calls), tool("a", "5"), system("Hm"), tool("b", "no")]
    )
    kinds = [block["type"] for block in wire["messages"][2]["content"]]
    assert ["tool_result", "tool_result", "text"] == kinds
    assert 3 == len(wire["messages"])


def test_thinking_goes_back_while_its_tool_loop_runs():
    loop = [user("Go"), Message("assistant", (SEALED, ToolCall("a", "f"))), tool("a", "5")]
    kinds = [block["type"] for block in to_wire(loop, model="m1")["messages"][1]["content"]]
    assert ["thinking", "tool_use"] == kinds
    after = [*loop, assistant("Done."), user("And?")]
    kinds = [block["type"] for block in to_wire(after, model="m1")["messages"][1]["content"]]
    assert ["tool_use"] == kinds
    kept = to_wire(after, model="m1", keep="all")["messages"][1]["content"]
    assert "thinking" == kept[0]["type"]


def test_thinking_of_another_model_or_provider_or_without_a_seal_is_not_sent():
    for foreign in (
        Reasoning("x", "sig", "gemini"),
        Reasoning("x", "", "anthropic"),
        Reasoning("x", "sig", "anthropic", {"model": "m2"}),
    ):
        loop = [user("Go"), Message("assistant", (foreign, ToolCall("a", "f"))), tool("a", "5")]
        kinds = [block["type"] for block in to_wire(loop, model="m1")["messages"][1]["content"]]
        assert ["tool_use"] == kinds


def test_a_message_of_which_nothing_is_left_says_so():
    wire = to_wire([user(" "), Message("assistant", (Reasoning("x"),)), user("Hi")])
    texts = [turn["content"][0]["text"] for turn in wire["messages"]]
    assert [EMPTY, EMPTY, "Hi"] == texts


def test_what_the_api_cannot_take_is_named():
    parts = (
        Audio("audio/wav", b"x"),
        File("application/zip", b"x", name="a.zip"),
        Image("image/tiff", b"x"),
        Unknown("hologram"),
    )
    texts = [block["text"] for block in to_wire([Message("user", parts)])["messages"][0]["content"]]
    assert [
        "[audio audio/wav, not shown]",
        "[file application/zip a.zip, not shown]",
        "[image image/tiff, not shown]",
        "[hologram, not shown]",
    ] == texts


def test_a_picture_in_the_instructions_is_named():
    head = Message("system", (Text("Look:"), Image("image/png", b"x")))
    wire = to_wire([head, user("Hi"), head])
    named = "[image image/png, not shown]"
    assert ["Look:", named] == [block["text"] for block in wire["system"]]
    assert f"[instruction]\n{named}" == wire["messages"][0]["content"][-1]["text"]


def test_a_picture_in_an_answer_is_named():
    wire = to_wire([user("Draw"), Message("assistant", (Text("So:"), Image("image/png", b"x")))])
    texts = [block["text"] for block in wire["messages"][1]["content"]]
    assert ["So:", "[image image/png, not shown]"] == texts


@pytest.mark.parametrize("arguments", ['{"x": NaN}', "[1]", "{", "7", "[" * 100_000])
def test_arguments_that_are_no_object_are_kept_in_one(arguments):
    wire = to_wire([user("Go"), assistant("", ToolCall("a", "f", arguments)), tool("a", "5")])
    assert {"invalid_json": arguments} == wire["messages"][1]["content"][0]["input"]
    assert arguments == from_wire(wire)[1].calls[0].arguments


def test_a_foreign_call_id_becomes_one_the_api_takes():
    wire = to_wire([user("Go"), assistant("", ToolCall("a.b:1", "f")), tool("a.b:1", "5")])
    call, result = wire["messages"][1]["content"][0], wire["messages"][2]["content"][0]
    assert call["id"] == result["tool_use_id"]
    assert call["id"].replace("-", "").replace("_", "").isalnum()
    assert wire_id("a.b:1") != wire_id("a_b:1")


def test_tools_are_described():
    spec = ToolSpec("f", "Does it.", {"properties": {"x": {"type": "integer"}}})
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    assert [{"name": "f", "description": "Does it.", "input_schema": schema}] == tools_to_wire(
        [spec]
    )


def _marks(body):
    lists = [body.get("tools", []), body.get("system", [])]
    lists += [turn["content"] for turn in body["messages"]]
    return [block for blocks in lists for block in blocks if "cache_control" in block]


def test_the_marks_are_behind_tools_system_and_the_last_two_user_turns():
    history = [system("S"), system("T"), user("1"), assistant("2"), user("3"), assistant("4")]
    body = {"tools": tools_to_wire([ToolSpec("f"), ToolSpec("g")])}
    body |= to_wire([*history, user("5"), user("6")])
    marks = _marks(marked(body, "1h"))
    assert ["g", "T", "3", "6"] == [block.get("name") or block["text"] for block in marks]
    assert {"type": "ephemeral", "ttl": "1h"} == marks[0]["cache_control"]
    assert [] == _marks(body)


TEXTS = st.text(min_size=1)
SAID = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SAID, inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
IDS = st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True)
CALLS = st.lists(
    st.builds(ToolCall, IDS, IDS, st.dictionaries(SAID, JSON, max_size=3).map(json.dumps)),
    min_size=1,
    max_size=4,
    unique_by=lambda call: call.id,
)
PICTURES = st.builds(Image, st.sampled_from(["image/png", "image/jpeg"]), st.binary(min_size=1))
FILES = st.builds(File, st.just("application/pdf"), st.binary(min_size=1), name=SAID)
TOLD = st.lists(st.builds(Text, SAID) | PICTURES | FILES, min_size=1, max_size=3).map(tuple)
SEALS = st.builds(Reasoning, SAID, SAID, st.just("anthropic"), st.just({}))
REDACTED = SAID.map(lambda data: Reasoning(provider="anthropic", data={"redacted": data}))


@st.composite
def _loops(draw):
    """A user's message, calls with all their results, and an answer."""
    calls = draw(CALLS)
    thought = draw(st.lists(SEALS | REDACTED, max_size=2))
    said = draw(st.lists(st.builds(Text, SAID), max_size=1))
    results = [
        Message("tool", (ToolResult(c.id, draw(TOLD), c.name, draw(st.booleans())),))
        for c in draw(st.permutations(calls))
    ]
    return [
        Message("user", draw(TOLD)),
        Message("assistant", (*thought, *said, *calls)),
        *results,
        Message("assistant", (Text(draw(SAID)),)),
    ]


CONVERSATIONS = st.tuples(
    st.lists(SAID.map(system), max_size=3), st.lists(_loops(), max_size=3), TOLD
).map(lambda c: [*c[0], *[m for loop in c[1] for m in loop], Message("user", c[2])])


def _plain(messages):
    """What is said, by whom; arguments by what they mean."""
    return [
        (
            message.role,
            [
                (part.id, part.name, json.loads(part.arguments))
                if isinstance(part, ToolCall)
                else part
                for part in message.parts
            ],
        )
        for message in messages
    ]


@given(CONVERSATIONS)
def test_conversations_survive_the_way_there_and_back(messages):
    wire = to_wire(messages, keep="all")
    assert _plain(messages) == _plain(from_wire(json.loads(json.dumps(wire))))


ANY_PARTS = st.lists(
    st.builds(Text, st.text())
    | PICTURES
    | FILES
    | st.builds(Audio, st.just("audio/wav"), st.binary())
    | st.builds(Unknown, st.text())
    | st.builds(Reasoning, st.text(), st.text(), st.sampled_from(["anthropic", "openai"]))
    | st.builds(ToolCall, TEXTS, TEXTS, st.text()),
    max_size=4,
).map(tuple)
RESULTS = st.builds(
    ToolResult, TEXTS, st.lists(st.builds(Text, st.text()) | PICTURES, max_size=2).map(tuple)
)
ANYTHING = st.lists(
    st.builds(Message, st.sampled_from(["system", "user", "assistant"]), ANY_PARTS)
    | st.builds(Message, st.just("tool"), RESULTS.map(lambda result: (result,))),
    min_size=1,
    max_size=8,
)


@given(ANYTHING)
def test_no_text_is_lost_and_roles_alternate(messages):
    wire = to_wire(messages)
    roles = [turn["role"] for turn in wire["messages"]]
    assert all(one != other for one, other in pairwise(roles))
    assert all(turn["content"] for turn in wire["messages"])
    sent = json.dumps(wire, ensure_ascii=False)
    sent.encode()
    for message in messages:
        said = [*message.parts, *[part for result in message.results for part in result.content]]
        for part in said:
            if isinstance(part, Text) and part.text.strip():
                whole = part.text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
                assert json.dumps(whole, ensure_ascii=False)[1:-1] in sent


@given(ANYTHING)
def test_what_is_put_in_order_is_in_order_on_the_wire(messages):
    repaired = repair_order(messages, "anthropic")
    assume(not check_order(repaired, "anthropic"))  # nothing may be left of them
    wire = to_wire(repaired, keep="all")
    assert () == check_order(from_wire(wire), "anthropic")


@given(ANYTHING)
def test_marks_are_at_most_four_and_on_blocks_that_may_have_one(messages):
    body = {"tools": tools_to_wire([ToolSpec("f")]), **to_wire(messages, keep="all")}
    marks = _marks(marked(body, "5m"))
    assert len(marks) <= MOST
    assert not {"thinking", "redacted_thinking"} & {block.get("type") for block in marks}


@given(CONVERSATIONS, SAID)
def test_what_was_sent_stays_the_beginning_of_what_is_sent_later(messages, more):
    """Or the prompt cache would be of no use."""
    earlier = to_wire(messages, keep="all")
    later = to_wire([*messages, assistant("A"), user(more)], keep="all")
    assert earlier["messages"] == later["messages"][: len(earlier["messages"])]
    assert earlier.get("system") == later.get("system")


@pytest.mark.parametrize("kind", sorted(NATIVE))
def test_blocks_the_model_has_no_part_for_come_back_as_they_were(kind):
    block = {"type": kind, "id": "x", "content": [{"a": 1}]}
    wire = {"messages": [{"role": "assistant", "content": [block]}]}
    assert wire == to_wire(from_wire(wire))
