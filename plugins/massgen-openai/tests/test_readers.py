import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_core.errors import Transient
from massgen_core.events import (
    Finished,
    ReasoningBlock,
    ReasoningDelta,
    TextDelta,
    ToolCalled,
    Usage,
)
from massgen_core.messages import Reasoning, ToolCall
from massgen_openai._chat_reader import ChatReader
from massgen_openai._errors import ProviderError
from massgen_openai._responses_reader import ResponsesReader
from massgen_openai._thinking import ThinkTags
from massgen_openai._usage import chat_usage, responses_usage


def _chunk(delta=None, reason=None, **more):
    choice = {"index": 0, "delta": delta or {}, "finish_reason": reason}
    return {"id": "c", "model": "m", "choices": [choice], **more}


def _read(*chunks, **options):
    reader = ChatReader("groq", **options)
    events = [event for chunk in chunks for event in reader.feed(chunk)]
    return [*events, *reader.end()]


def _respond(*events, **options):
    reader = ResponsesReader("openai", **options)
    found = [event for each in events for event in reader.feed(each)]
    return [*found, *reader.end()]


def _completed(**response):
    return {"type": "response.completed", "response": {"model": "m", **response}}


STOP = _chunk(reason="stop")


# Chat


def test_text_usage_and_reason():
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    assert [TextDelta("Hel"), TextDelta("lo"), Usage(9, 2), Finished("stop", "m")] == _read(
        _chunk({"role": "assistant", "content": ""}),
        _chunk({"content": "Hel"}),
        _chunk({"content": "lo"}),
        STOP,
        {"choices": [], "usage": usage},
    )


def test_parallel_calls_are_put_together_from_their_pieces():
    def piece(index, **fields):
        return {"index": index, **fields}

    events = _read(
        _chunk({"tool_calls": [piece(0, id="a", function={"name": "f", "arguments": ""})]}),
        _chunk({"tool_calls": [piece(0, function={"arguments": '{"x":'})]}),
        _chunk({"tool_calls": [piece(1, id="b", function={"name": "g", "arguments": "{}"})]}),
        _chunk({"tool_calls": [piece(0, function={"arguments": " 1}"})]}),
        _chunk(reason="tool_calls"),
    )
    assert [
        ToolCalled(ToolCall("a", "f", '{"x": 1}')),
        ToolCalled(ToolCall("b", "g", "{}")),
        Finished("tool_calls", "m"),
    ] == events


@pytest.mark.parametrize("index", [{"index": 0}, {}])
def test_calls_with_one_index_or_none_are_told_apart_by_their_ids(index):
    events = _read(
        _chunk({"tool_calls": [{**index, "id": "a", "function": {"name": "f", "arguments": "{"}}]}),
        _chunk({"tool_calls": [{**index, "function": {"arguments": "}"}}]}),
        _chunk({"tool_calls": [{**index, "id": "b", "function": {"name": "g"}}]}),
        STOP,
    )
    assert [
        ToolCalled(ToolCall("a", "f", "{}")),
        ToolCalled(ToolCall("b", "g", "{}")),
        Finished("tool_calls", "m"),
    ] == events


def test_a_call_without_id_gets_one():
    events = _read(_chunk({"tool_calls": [{"function": {"name": "f"}}]}), STOP)
    assert events[0].call.id.startswith("call_")


def test_a_call_cut_before_its_arguments_does_not_run_without_them():
    delta = {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "delete"}}]}
    assert (
        ToolCalled(ToolCall("a", "delete", "")) == _read(_chunk(delta), _chunk(reason="length"))[0]
    )


@pytest.mark.parametrize("index", [{"index": 0}, {}])
def test_calls_without_ids_are_told_apart_by_their_names(index):
    def piece(**function):
        return _chunk({"tool_calls": [{**index, "function": function}]})

    events = _read(
        piece(name="f", arguments='{"a":1}'),
        piece(name="g", arguments='{"b"'),
        piece(name="g", arguments=":2}"),
        piece(name="g", arguments="{}"),
        STOP,
    )
    assert [("f", '{"a":1}'), ("g", '{"b":2}'), ("g", "{}")] == [
        (one.call.name, one.call.arguments) for one in events[:-1]
    ]


def test_a_name_may_come_in_pieces_and_arguments_as_an_object():
    events = _read(
        _chunk({"tool_calls": [{"index": 0, "id": 7, "function": {"name": "get_"}}]}),
        _chunk({"tool_calls": [{"index": 0, "function": {"name": "weather"}}]}),
        _chunk({"tool_calls": [{"index": 0, "function": {"arguments": {"at": "x"}}}]}),
        STOP,
    )
    assert ToolCalled(ToolCall("7", "get_weather", '{"at": "x"}')) == events[0]


@pytest.mark.parametrize("function", [{"name": 7}, {"name": "f", "arguments": 7}])
def test_a_call_that_is_no_text_makes_no_sense(function):
    with pytest.raises(TypeError):
        _read(_chunk({"tool_calls": [{"index": 0, "function": function}]}), STOP)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_is_a_block_before_what_follows_it(field):
    assert [
        ReasoningDelta("Let me "),
        ReasoningDelta("see."),
        ReasoningBlock(Reasoning("Let me see.", provider="groq")),
        TextDelta("4"),
        Finished("stop", "m"),
    ] == _read(
        _chunk({field: "Let me ", "content": None}),
        _chunk({field: "see."}),
        _chunk({"content": "4"}),
        STOP,
    )


def test_details_of_reasoning_are_put_together_by_index():
    def detail(**fields):
        return _chunk({"reasoning_details": [{"type": "reasoning.text", "index": 0, **fields}]})

    block = _read(detail(text="Let "), detail(text="me"), detail(signature="seal"), STOP)[0]
    whole = {"type": "reasoning.text", "index": 0, "text": "Let me", "signature": "seal"}
    assert {"reasoning_details": [whole]} == block.reasoning.data


def test_typed_pieces_of_content_are_read():
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    assert [
        ReasoningDelta("hm"),
        ReasoningBlock(Reasoning("hm", provider="groq")),
        TextDelta("Yes."),
        Finished("stop", "m"),
    ] == _read(_chunk({"content": [thinking, {"type": "text", "text": "Yes."}]}), STOP)


def test_a_refusal_is_text():
    assert TextDelta("No.") == _read(_chunk({"refusal": "No."}), STOP)[0]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("model_length", "length"),
        ("content_filter", "content_filter"),
        ("sensitive", "content_filter"),
        ("function_call", "tool_calls"),
        ("a new word", "error"),
    ],
)
def test_words_for_the_end_are_understood(word, reason):
    assert [Finished(reason, "m")] == _read(_chunk(reason=word))


@pytest.mark.parametrize(
    "word", ["abort", "error", "insufficient_system_resource", "network_error", None]
)
def test_an_answer_that_is_none_is_transient(word):
    with pytest.raises(Transient):
        _read(_chunk({"content": "Hel"}), _chunk(reason=word))


@given(
    st.text(st.characters(exclude_characters="<"), max_size=20),
    st.text(max_size=20).map(lambda text: text.lstrip()),
    st.data(),
)
def test_think_tags_are_found_however_the_text_is_cut(thought, answer, data):
    whole = f"\n<think>{thought}</think>\n\n{answer}"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    pieces = [whole[i:j] for i, j in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    tags = ThinkTags()
    found = [said for piece in pieces for said in tags.feed(piece)] + tags.end()
    assert thought == "".join(text for kind, text in found if kind == "reasoning")
    assert answer == "".join(text for kind, text in found if kind == "text")


@given(st.lists(st.text(max_size=9), max_size=6))
def test_a_text_without_think_tags_is_text(pieces):
    whole = "".join(pieces)
    if not whole.lstrip().startswith("<think>"):
        tags = ThinkTags()
        found = [said for piece in pieces for said in tags.feed(piece)] + tags.end()
        assert whole == "".join(text for _, text in found)
        assert {kind for kind, _ in found} <= {"text"}


def test_think_tags_make_a_block():
    assert [
        ReasoningDelta("hm"),
        ReasoningBlock(Reasoning("hm", provider="groq")),
        TextDelta("Yes."),
        Finished("stop", "m"),
    ] == _read(_chunk({"content": "<think>hm</think>Yes."}), STOP, think_tags=True)


# Usage


@pytest.mark.parametrize(
    ("counted", "expected"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 2}, Usage(9, 2)),
        (
            {  # OpenAI: reasoning is a part of the completion
                "prompt_tokens": 9,
                "completion_tokens": 7,
                "total_tokens": 16,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 5},
            },
            Usage(9, 7, 4, 5),
        ),
        (
            {  # xAI: it is counted beside it
                "prompt_tokens": 9,
                "completion_tokens": 2,
                "total_tokens": 16,
                "completion_tokens_details": {"reasoning_tokens": 5},
            },
            Usage(9, 7, 0, 5),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 2, "prompt_cache_hit_tokens": 3},
            Usage(9, 2, 3),
        ),
        (
            {  # OpenRouter
                "prompt_tokens": 9,
                "completion_tokens": 2,
                "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 5},
            },
            Usage(9, 2, 3, cache_write=5),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": None, "prompt_tokens_details": None},
            Usage(9, 0),
        ),
    ],
)
def test_usage_is_counted_one_way(counted, expected):
    assert expected == chat_usage(counted)


def test_usage_of_a_response():
    counted = {
        "input_tokens": 9,
        "output_tokens": 7,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
        "output_tokens_details": {"reasoning_tokens": 5},
    }
    assert Usage(9, 7, 4, 5, cache_write=3) == responses_usage(counted)


@pytest.mark.parametrize(
    "place",
    [
        lambda usage: {"choices": [], "usage": usage},
        lambda usage: {"choices": [], "x_groq": {"usage": usage}},
        lambda usage: {
            "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": usage}]
        },
    ],
)
def test_usage_is_found_where_providers_put_it(place):
    usage = {"prompt_tokens": 9, "completion_tokens": 2}
    assert Usage(9, 2) in _read(STOP, place(usage))


# Responses


def test_a_response_with_sealed_reasoning_text_and_calls():
    thought = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "Look."}],
        "encrypted_content": "gAAAA",
    }
    call = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "look",
        "arguments": "{}",
        "status": "completed",
    }
    events = _respond(
        {"type": "response.created", "response": {}},
        {"type": "response.reasoning_summary_text.delta", "delta": "Look."},
        {"type": "response.output_item.done", "item": thought},
        {"type": "response.output_text.delta", "delta": "I look."},
        {"type": "response.output_item.done", "item": {"type": "message", "content": []}},
        {"type": "response.output_item.done", "item": call},
        _completed(status="completed", usage={"input_tokens": 9, "output_tokens": 7}),
    )
    kept = {key: thought[key] for key in ("id", "summary")}
    assert [
        ReasoningDelta("Look."),
        ReasoningBlock(Reasoning("Look.", "gAAAA", "openai", kept)),
        TextDelta("I look."),
        ToolCalled(ToolCall("call_1", "look", "{}")),
        Usage(9, 7),
        Finished("tool_calls", "m"),
    ] == events


def test_a_text_that_came_in_no_pieces_is_there():
    def item(*content):
        return {
            "type": "response.output_item.done",
            "item": {"type": "message", "content": content},
        }

    events = _respond(
        {"type": "response.output_text.delta", "delta": "In pieces."},
        item({"type": "output_text", "text": "In pieces."}),
        item({"type": "output_text", "text": "At once. "}, {"type": "refusal", "refusal": "No."}),
        _completed(status="completed"),
    )
    assert [TextDelta("In pieces."), TextDelta("At once. No."), Finished("stop", "m")] == events


@pytest.mark.parametrize(("status", "arguments"), [("incomplete", ""), ("completed", "{}")])
def test_a_call_of_a_response_that_was_cut_has_no_arguments(status, arguments):
    item = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "", "status": status}
    events = _respond({"type": "response.output_item.done", "item": item}, _completed())
    assert ToolCalled(ToolCall("c", "f", arguments)) == events[0]


@pytest.mark.parametrize("call_id", [None, 7])
def test_a_call_of_a_response_without_an_id_makes_no_sense(call_id):
    item = {"type": "function_call", "call_id": call_id, "name": "f", "arguments": "{}"}
    with pytest.raises(TypeError):
        _respond({"type": "response.output_item.done", "item": item}, _completed())


@pytest.mark.parametrize(
    ("why", "reason"),
    [("max_output_tokens", "length"), ("content_filter", "content_filter"), ("new", "error")],
)
def test_an_incomplete_response_says_why(why, reason):
    response = {"status": "incomplete", "incomplete_details": {"reason": why}, "model": "m"}
    assert [Finished(reason, "m")] == _respond(
        {"type": "response.incomplete", "response": response}
    )


@pytest.mark.parametrize(("most", "window"), [(7, None), (None, 16)])
def test_an_answer_that_used_all_room_was_cut(most, window):
    done = _completed(status="completed", usage={"input_tokens": 9, "output_tokens": 7})
    assert Finished("length", "m") == _respond(done, most=most, window=window)[-1]
    assert Finished("stop", "m") == _respond(done, most=8, window=17)[-1]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "code": "server_error", "message": "Sorry."},
        {"type": "error", "error": {"code": "server_error", "message": "Sorry."}},
        {
            "type": "response.failed",
            "response": {"error": {"code": "server_error", "message": "Sorry."}},
        },
    ],
)
def test_a_failed_response_raises_what_the_provider_said(event):
    with pytest.raises(ProviderError, match="Sorry") as raised:
        _respond(event)
    assert "server_error" == raised.value.payload["code"]


def test_a_response_without_end_broke_off():
    with pytest.raises(Transient):
        _respond({"type": "response.output_text.delta", "delta": "Hel"})


def test_events_nobody_knows_are_passed_over():
    assert [Finished("stop", "m")] == _respond({"type": "response.sparkle"}, _completed())


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=4))
def test_odd_values_in_known_places_give_text_or_an_error_the_backend_knows(value):
    texts = [
        {"type": "response.output_text.delta", "delta": value},
        _chunk({"content": value}),
        _chunk({"reasoning": value}),
        {"choices": value},
        {"type": value},
        value,
    ]
    for feed in (ChatReader("groq").feed, ResponsesReader("openai").feed):
        for chunk in texts:
            try:
                events = feed(chunk)
            except (AttributeError, IndexError, KeyError, TypeError):
                continue
            assert all(isinstance(event.text, str) for event in events if hasattr(event, "text"))
