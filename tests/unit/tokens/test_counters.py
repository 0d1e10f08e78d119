"""What messages, calls, results and tools count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_core.errors import InvalidArgument
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
    system,
    tool,
    user,
)
from massgen_core.tokens import (
    Count,
    ModelCatalogue,
    counter_for,
    encoding,
    estimating_counter,
    tiktoken_counter,
)

COUNTER = tiktoken_counter("o200k_base")
WEATHER = ToolSpec(
    "get_weather",
    "Get the current weather in a given location",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


def length(text):
    return len(encoding("o200k_base").encode_ordinary(text))


def test_a_text_message_is_its_text_and_the_documented_frame_of_four():
    assert Count(2 + 4, exact=True) == COUNTER.count(user("hello world"))


def test_a_call_counts_its_name_and_its_arguments():
    call = ToolCall("call_1", "read_file", '{"path": "docs/theme.md"}')
    expected = 3 + length("read_file") + length('{"path": "docs/theme.md"}')
    assert Count(expected, exact=False) == COUNTER.count(call)


def test_a_result_counts_its_call_id_and_its_content():
    message = tool("call_abc123", "12 files found")
    expected = 4 + 3 + length("call_abc123") + length("12 files found")
    assert Count(expected, exact=False) == COUNTER.count(message)


def test_parallel_calls_add_up():
    calls = [ToolCall(f"c{n}", "search", f'{{"q": "topic {n}"}}') for n in range(30)]
    message = assistant("Looking.", *calls)
    alone = sum(COUNTER.count(call).tokens for call in calls)
    assert 4 + length("Looking.") + alone == COUNTER.count(message).tokens


@given(st.lists(st.text(max_size=30), max_size=4), st.text(max_size=40))
def test_a_message_is_never_below_the_least_formula(texts, arguments):
    call = ToolCall("id", "name", arguments)
    message = Message("assistant", (*map(Text, texts), call))
    least = 3 + sum(map(length, texts)) + length("name") + length(arguments) + 3
    assert COUNTER.count(message).tokens >= least


def test_a_message_is_its_frame_and_the_sum_of_its_parts():
    parts = (
        Text("a"),
        Image("image/png", url="https://example.org/a.png"),
        Audio("audio/wav", seconds=2.0),
        File("text/plain", b"some text", name="a.txt"),
        ToolCall("c", "f"),
        ToolResult("c", (Text("b"), Image("image/png", width=10, height=10))),
        Reasoning("because"),
        Unknown("video", {"url": "https://example.org/a.mp4"}),
    )
    alone = sum(COUNTER.count(part).tokens for part in parts)
    assert Count(4 + alone, exact=False) == COUNTER.count(Message("user", parts))


def test_tools_count_their_schema_as_json():
    tokens = COUNTER.count([WEATHER]).tokens
    assert tokens > length('{"type": "object", "properties": {"city": {"type": "string"}}}') + 8
    assert tokens < 100
    assert Count(0, exact=True) == COUNTER.count([])


def test_each_further_tool_adds_the_same():
    one, two, three = (COUNTER.count([WEATHER] * n).tokens for n in (1, 2, 3))
    assert three - two == two - one > 0


def test_claude_adds_its_tool_prompt_once():
    claude = counter_for(ModelCatalogue.shipped().get("claude-sonnet-4-5"))
    assert 346 - 9 == claude.count([WEATHER]).tokens - COUNTER.count([WEATHER]).tokens


def test_bytes_of_a_picture_are_never_counted_as_text():
    small = Image("image/png", b"\x89PNG" + b"x" * 10)
    large = Image("image/png", b"\x89PNG" + b"x" * 1_000_000)
    assert COUNTER.count(small) == COUNTER.count(large)


def test_base64_in_an_unknown_part_is_not_counted_as_text():
    part = Unknown("video", {"source": {"data": "QUJD" * 100_000}})
    assert COUNTER.count(part).tokens < 4_000


def test_sealed_reasoning_counts_for_what_it_hides():
    hidden = Reasoning("short", signature="A" * 4_000, provider="anthropic")
    assert Count(1_000, exact=False) == COUNTER.count(hidden)
    assert COUNTER.count(Reasoning("a b c d")).tokens == length("a b c d")


def test_the_name_says_tokenizer_and_unusual_image_formula():
    names = [
        counter_for(ModelCatalogue.shipped().get(name)).name
        for name in ("gpt-4o", "gpt-4", "claude-sonnet-4-5", "SmolLM2-135M-Instruct")
    ]
    assert [
        "o200k_base",
        "cl100k_base+none",
        "o200k_base+patches:28:1568:1568",
        "o200k_base+none",
    ] == names


def test_counts_are_exact_only_with_the_models_own_tokenizer():
    catalogue = ModelCatalogue.shipped()
    assert counter_for(catalogue.get("gpt-5")).count(user("hi")).exact
    assert not counter_for(catalogue.get("claude-opus-5-5")).count(user("hi")).exact
    assert not estimating_counter().count(user("hi")).exact


def test_a_model_without_a_tokenizer_is_estimated():
    catalogue = ModelCatalogue.shipped().with_overrides({"mine": {"window": 4096}})
    counter = counter_for(catalogue.get("mine"))
    assert "estimate-1" == counter.name
    assert counter.count(system("You are helpful.")).tokens > length("You are helpful.") + 3


def test_an_encoding_that_is_not_shipped_is_refused():
    with pytest.raises(InvalidArgument, match="r50k_base"):
        tiktoken_counter("r50k_base")
