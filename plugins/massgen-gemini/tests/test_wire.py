import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

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
from massgen_gemini._parts import ON_CALL, ON_TEXT, UNSIGNED
from massgen_gemini._wire import EMPTY, from_wire, to_wire, tools_to_wire

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
SEAL = Reasoning("", "c2VhbA==", "gemini", ON_CALL)


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_the_wire_is_as_written_down(file):
    case = json.loads(file.read_text())
    messages = [message_from_json(each) for each in case["messages"]]
    assert case["wire"] == to_wire(messages, model="gemini-3.8-flash")


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_what_is_read_from_the_wire_says_the_same(file):
    wire = json.loads(file.read_text())["wire"]
    assert wire == to_wire(from_wire(wire), model="gemini-3.8-flash")


def test_leading_system_messages_are_parts_and_later_ones_stay_where_they_were_said():
    wire = to_wire([system("One."), system("Two."), user("Hi"), system("Three."), user("Go")])
    assert [{"text": "One."}, {"text": "Two."}] == wire["systemInstruction"]["parts"]
    [content] = wire["contents"]
    assert ["Hi", "[instruction]\nThree.", "Go"] == [part["text"] for part in content["parts"]]


def test_responses_are_one_content_in_the_order_of_the_calls():
    calls = ToolCall("a", "add", '{"x": 1}'), ToolCall("b", "read")
    said = [user("Go"), assistant("Both.", *calls), tool("b", "no"), system("Hm"), tool("a", "5")]
    parts = to_wire(said)["contents"][2]["parts"]
    assert ["a", "b"] == [part["functionResponse"]["id"] for part in parts[:2]]
    assert ["add", "read"] == [part["functionResponse"]["name"] for part in parts[:2]]
    assert {"text": "[instruction]\nHm"} == parts[2]


def test_errors_are_told_as_errors():
    said = [user("Go"), assistant("", ToolCall("a", "f")), tool("a", "no such file", is_error=True)]
    response = to_wire(said)["contents"][2]["parts"][0]["functionResponse"]["response"]
    assert {"error": "no such file"} == response


def test_a_signature_goes_back_in_the_part_it_came_with():
    calls = ToolCall("a", "f"), ToolCall("b", "g")
    said = Message("assistant", (Reasoning("Hm", provider="gemini"), SEAL, *calls))
    parts = to_wire([user("Go"), said, tool("a", "1"), tool("b", "2")])["contents"][1]["parts"]
    assert ["c2VhbA==", None] == [part.get("thoughtSignature") for part in parts]
    end = Message("assistant", (Text("Done."), Reasoning("", "eA==", "gemini", ON_TEXT)))
    parts = to_wire([user("Go"), end, user("And?")])["contents"][1]["parts"]
    assert [{"text": "Done."}, {"text": "", "thoughtSignature": "eA=="}] == parts


def test_calls_of_another_model_in_the_running_loop_get_the_stand_in():
    foreign = Reasoning("Hm", "sig", "anthropic")
    calls = ToolCall("a", "f"), ToolCall("b", "g")
    loop = [user("Go"), Message("assistant", (foreign, *calls)), tool("a", "1"), tool("b", "2")]
    parts = to_wire(loop, model="gemini-3.8-flash")["contents"][1]["parts"]
    assert [UNSIGNED, None] == [part.get("thoughtSignature") for part in parts]
    assert not [
        p
        for p in to_wire(loop, model="gemini-2.5-pro")["contents"][1]["parts"]
        if "thoughtSignature" in p
    ]
    after = to_wire([*loop, assistant("Done."), user("And?")], model="gemini-3.8-flash")
    assert not [part for part in after["contents"][1]["parts"] if "thoughtSignature" in part]


def test_pictures_of_a_tool_are_in_its_response_or_beside_it():
    shown = ToolResult("a", (Text("Here"), Image("image/png", b"x")), "f")
    loop = [user("Go"), assistant("", ToolCall("a", "f")), Message("tool", (shown,))]
    [part] = to_wire(loop, model="gemini-3.8-flash")["contents"][2]["parts"]
    assert "image/png" == part["functionResponse"]["parts"][0]["inlineData"]["mimeType"]
    response, picture = to_wire(loop, model="gemini-2.5-pro")["contents"][2]["parts"]
    assert "parts" not in response["functionResponse"]
    assert "image/png" == picture["inlineData"]["mimeType"]


def test_a_message_of_which_nothing_is_left_says_so():
    wire = to_wire([user(" "), Message("assistant", (Reasoning("x"),)), user("Hi")])
    assert [EMPTY, EMPTY, "Hi"] == [content["parts"][0]["text"] for content in wire["contents"]]


def test_what_the_api_cannot_take_is_named():
    parts = (File("application/zip", b"x", name="a.zip"), Image("", b"x"), Unknown("hologram"))
    texts = [part["text"] for part in to_wire([Message("user", parts)])["contents"][0]["parts"]]
    assert ["[file application/zip a.zip, not shown]", "[image, not shown]",
            "[hologram, not shown]"] == texts  # fmt: skip


def test_addresses_get_the_type_the_api_demands():
    parts = Image(url="https://h/a.png"), Image(url="https://h/a"), File(file_id="files/x")
    sent = to_wire([Message("user", parts)])["contents"][0]["parts"]
    assert ["image/png", "image/jpeg", "application/pdf"] == [
        part["fileData"]["mimeType"] for part in sent
    ]


@pytest.mark.parametrize("arguments", ['{"x": NaN}', "[1]", "{", "[" * 100_000])
def test_arguments_that_are_no_object_are_kept_in_one(arguments):
    wire = to_wire([user("Go"), assistant("", ToolCall("a", "f", arguments)), tool("a", "5")])
    assert {"invalid_json": arguments} == wire["contents"][1]["parts"][0]["functionCall"]["args"]
    assert arguments == from_wire(wire)[1].calls[0].arguments


def test_tools_are_declared():
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    [declared] = tools_to_wire([ToolSpec("f", "Does it.", schema), ToolSpec("g")])
    assert [
        {"name": "f", "description": "Does it.", "parametersJsonSchema": schema},
        {"name": "g"},
    ] == declared["functionDeclarations"]


SAID = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SAID, inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
CALLS = st.lists(
    st.builds(ToolCall, SAID, SAID, st.dictionaries(SAID, JSON, max_size=3).map(json.dumps)),
    min_size=1,
    max_size=4,
    unique_by=lambda call: call.id,
)
PICTURES = st.builds(Image, st.sampled_from(["image/png", "image/jpeg"]), st.binary(min_size=1))
SOUNDS = st.builds(Audio, st.just("audio/wav"), st.binary(min_size=1))
FILES = st.builds(File, st.just("application/pdf"), st.binary(min_size=1))
TOLD = st.lists(st.builds(Text, SAID) | PICTURES | SOUNDS | FILES, min_size=1, max_size=3)
SEALS = st.binary(min_size=1).map(lambda seal: Reasoning("", seal.hex(), "gemini", ON_CALL))


@st.composite
def _loops(draw):
    """A user's message, calls with all their results in their order, and an answer."""
    calls = draw(CALLS)
    sealed = draw(st.lists(SEALS, max_size=1))
    said = draw(st.lists(st.builds(Text, SAID), max_size=1))
    results = []
    for call in calls:
        shown = (Text(draw(SAID)), *draw(st.lists(PICTURES, max_size=1)))
        result = ToolResult(call.id, shown, call.name, draw(st.booleans()))
        results.append(Message("tool", (result,)))
    return [
        Message("user", tuple(draw(TOLD))),
        Message("assistant", (*said, *sealed, *calls)),
        *results,
        Message("assistant", (Text(draw(SAID)),)),
    ]


CONVERSATIONS = st.tuples(
    st.lists(SAID.map(system), max_size=3), st.lists(_loops(), max_size=3), TOLD
).map(lambda c: [*c[0], *[m for loop in c[1] for m in loop], Message("user", tuple(c[2]))])


def _plain(messages):
    """What is said, by whom: of neighbours together, arguments by what they mean."""
    return [
        (
            message.role,
            [
                (part.id, part.name, json.loads(part.arguments))
                if isinstance(part, ToolCall)
                else (part.call_id, part.content, part.is_error)
                if isinstance(part, ToolResult)
                else part
                for part in message.parts
            ],
        )
        for message in messages
    ]


@given(CONVERSATIONS)
def test_conversations_survive_the_way_there_and_back(messages):
    wire = to_wire(messages)
    assert _plain(messages) == _plain(from_wire(json.loads(json.dumps(wire))))


ANY_PARTS = st.lists(
    st.builds(Text, st.text())
    | PICTURES
    | FILES
    | st.builds(Unknown, st.text())
    | st.builds(Reasoning, st.text(), st.text(), st.sampled_from(["anthropic", "gemini"]))
    | st.builds(ToolCall, st.text(), st.text(), st.text()),
    max_size=4,
).map(tuple)
RESULTS = st.builds(
    ToolResult, st.text(), st.lists(st.builds(Text, st.text()) | PICTURES, max_size=2).map(tuple)
)
ANYTHING = st.lists(
    st.builds(Message, st.sampled_from(["system", "user", "assistant"]), ANY_PARTS)
    | st.builds(Message, st.just("tool"), RESULTS.map(lambda result: (result,))),
    min_size=1,
    max_size=8,
)


@given(ANYTHING, st.sampled_from(["gemini-2.5-pro", "gemini-3.8-flash"]))
def test_no_text_is_lost_and_roles_alternate(messages, model):
    wire = to_wire(messages, model=model)
    roles = [content["role"] for content in wire["contents"]]
    assert all(one != other for one, other in pairwise(roles))
    assert all(content["parts"] for content in wire["contents"])
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
    repaired = repair_order(messages, "gemini")
    assume(not check_order(repaired, "gemini"))  # nothing may be left of them
    ids = [call.id for message in repaired for call in message.calls]
    assume(
        len(ids)
        == len(
            {
                to_wire([assistant("", ToolCall(i, "f"))])["contents"][0]["parts"][0][
                    "functionCall"
                ]["id"]
                for i in ids
            }
        )
    )
    assert () == check_order(from_wire(to_wire(repaired)), "gemini")


@given(CONVERSATIONS, SAID)
def test_what_was_sent_stays_the_beginning_of_what_is_sent_later(messages, more):
    """Or the prompt cache would be of no use."""
    earlier = to_wire(messages)
    later = to_wire([*messages, assistant("A"), user(more)])
    assert earlier["contents"] == later["contents"][: len(earlier["contents"])]
    assert earlier.get("systemInstruction") == later.get("systemInstruction")
