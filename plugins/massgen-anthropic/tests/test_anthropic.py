import asyncio
import json
import logging
import subprocess
import sys
import traceback
from contextlib import aclosing

import httpx2
import pytest
from pydantic import ValidationError

from massgen_anthropic import AnthropicBackend, AnthropicSettings
from massgen_core.agents import Agent
from massgen_core.backends import Request, retry_after
from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.errors import (
    AuthFailed,
    ContentFiltered,
    ContextOverflow,
    Fatal,
    InvalidRequest,
    InvalidSetting,
    MalformedHistory,
    QuotaExceeded,
    RateLimited,
    Transient,
    UnknownModel,
)
from massgen_core.events import (
    ContextFitted,
    Finished,
    ReasoningBlock,
    ReasoningDelta,
    TextDelta,
    ToolCalled,
    TurnFinished,
    Usage,
)
from massgen_core.messages import Message, Reasoning, ToolCall, ToolSpec, assistant, tool, user
from massgen_core.plugin import PluginContext, PluginHost
from massgen_core.sessions import SessionStore
from massgen_core.testing import FAULTS, mock_provider
from massgen_core.tokens import ModelCatalogue

MODEL = "claude-sonnet-5-5"
SECRET = "sk-ant-very-secret"  # noqa: S105 - of nobody
START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": "claude-sonnet-5-5-20261001",
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 10,
            "cache_creation_input_tokens": 20,
            "cache_read_input_tokens": 30,
            "output_tokens": 1,
        },
    },
}
STOP = {"type": "message_stop"}


def block(index, start, *deltas):
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *[{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas],
        {"type": "content_block_stop", "index": index},
    ]


def text(index, *pieces):
    deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
    return block(index, {"type": "text", "text": ""}, *deltas)


def end(reason, **usage):
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [{"type": "message_delta", "delta": delta, "usage": {"output_tokens": 7, **usage}}, STOP]


def backend_for(url, ctx=None, **settings):
    return AnthropicBackend(AnthropicSettings(base_url=url, api_key=SECRET, **settings), ctx)


def context(**models):
    return PluginContext(SYSTEM_CLOCK, None, ModelCatalogue.shipped().with_overrides(models))


async def _all(backend, request):
    try:
        return [event async for event in backend.stream(request)]
    finally:
        await backend.aclose()


def ask(url, *messages, ctx=None, tools=(), most=100, heat=None, model=MODEL, **settings):
    request = Request(model, messages or (user("Hi"),), tools, most, heat)
    return asyncio.run(_all(backend_for(url, ctx, **settings), request))


def test_thinking_text_and_calls_become_events(server):
    server.says(
        START,
        {"type": "ping"},
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "Let me "},
            {"type": "thinking_delta", "thinking": "see."},
            {"type": "signature_delta", "signature": "sig=="},
        ),
        *block(1, {"type": "redacted_thinking", "data": "opaque=="}),
        *text(2, "I ", "look."),
        *block(
            3,
            {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}},
            {"type": "input_json_delta", "partial_json": ""},
            {"type": "input_json_delta", "partial_json": '{"at": '},
            {"type": "input_json_delta", "partial_json": '"x"}'},
        ),
        *block(4, {"type": "tool_use", "id": "toolu_2", "name": "stop", "input": {}}),
        *end("tool_use", output_tokens_details={"thinking_tokens": 4}),
    )
    assert [
        ReasoningDelta("Let me "),
        ReasoningDelta("see."),
        ReasoningBlock(Reasoning("Let me see.", "sig==", "anthropic", {"model": MODEL})),
        ReasoningBlock(
            Reasoning(provider="anthropic", data={"redacted": "opaque==", "model": MODEL})
        ),
        TextDelta("I "),
        TextDelta("look."),
        ToolCalled(ToolCall("toolu_1", "look", '{"at": "x"}')),
        ToolCalled(ToolCall("toolu_2", "stop", "{}")),
        Usage(prompt=60, completion=7, cached=30, reasoning=4, cache_write=20),
        Finished("tool_calls", "claude-sonnet-5-5-20261001"),
    ] == ask(server.url)


def test_counts_of_the_end_replace_those_of_the_start(server):
    server.says(START, *text(0, "Hi"), *end("end_turn", input_tokens=5, cache_read_input_tokens=0))
    [usage] = [event for event in ask(server.url) if isinstance(event, Usage)]
    assert Usage(prompt=25, completion=7, cached=0, cache_write=20) == usage


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("something_new", "error"),
    ],
)
def test_stop_reasons_are_translated(server, reason, expected):
    server.says(START, *text(0, "Hi"), *end(reason))
    assert expected == ask(server.url)[-1].reason


def test_a_refusal_before_the_first_word_is_filtered_content(server):
    details = {"type": "refusal", "category": "bio", "explanation": "It could do harm."}
    delta = {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details}
    server.says(START, {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 0}})
    with pytest.raises(ContentFiltered, match="It could do harm"):
        ask(server.url)


def test_a_stream_without_an_end_is_transient_after_its_text(server):
    server.says(START, *text(0, "Half of"))
    seen = []

    async def main():
        backend = backend_for(server.url)
        try:
            async for event in backend.stream(Request(MODEL, (user("Hi"),))):
                seen.append(event)  # noqa: PERF401 - what came before the error counts
        finally:
            await backend.aclose()

    with pytest.raises(Transient, match="broke off"):
        asyncio.run(main())
    assert [TextDelta("Half of")] == seen


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "content_block_delta", "index": 9, "delta": {"type": "text_delta", "text": "x"}},
        {"type": "content_block_delta", "index": 0},
        {"type": "content_block_start", "index": 0},
        {"type": "message_start", "message": None},
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "tool_use", "id": 7, "name": "look", "input": {}},
        },
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "tool_use", "name": "look", "input": {}},
        },
    ],
)
def test_events_without_their_fields_are_transient(server, odd):
    server.says(START, odd, *end("end_turn"))
    with pytest.raises(Transient, match="no event"):
        ask(server.url)


def test_a_text_that_is_none_is_transient(server):
    odd = {"type": "text_delta", "text": 7}
    server.says(START, *block(0, {"type": "text", "text": ""}, odd), *end("end_turn"))
    with pytest.raises(Transient, match="no event"):
        ask(server.url)


@pytest.mark.parametrize(("reason", "arguments"), [("max_tokens", ""), ("tool_use", "{}")])
def test_a_call_that_was_cut_before_its_arguments_does_not_run_without_them(
    server, reason, arguments
):
    first = block(0, {"type": "tool_use", "id": "t1", "name": "look", "input": {}})
    last = block(1, {"type": "tool_use", "id": "t2", "name": "delete", "input": {}})
    server.says(START, *first, *last, *end(reason))
    calls = [event.call for event in ask(server.url) if isinstance(event, ToolCalled)]
    assert [ToolCall("t1", "look", "{}"), ToolCall("t2", "delete", arguments)] == calls


@pytest.mark.parametrize("counted", [{"input_tokens": "42"}, {}, []])
def test_a_count_that_is_no_number_is_typed(server, counted):
    server.says(counted)
    backend = backend_for(server.url)

    async def main():
        try:
            await backend.count_tokens(Request(MODEL, (user("Hi"),)))
        finally:
            await backend.aclose()

    with pytest.raises(Fatal, match="no number"):
        asyncio.run(main())


def test_an_answer_is_complete_at_its_end_though_the_server_goes_on(monkeypatch):
    monkeypatch.setattr("massgen_core.backends._http._REST", 0.05)
    said = [START, *text(0, "Hi"), *end("end_turn")]
    body = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in said)
    head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write((head + body).encode())
        await reader.read(1 << 20)
        await reader.read(1)  # until the client closes
        writer.close()

    async def main():
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as http:
            url = f"http://127.0.0.1:{http.sockets[0].getsockname()[1]}"
            asking = _all(backend_for(url), Request(MODEL, (user("Hi"),)))
            return await asyncio.wait_for(asking, 20)

    assert Finished("stop", "claude-sonnet-5-5-20261001") == asyncio.run(main())[-1]


def test_events_of_an_unknown_type_are_passed_over(server):
    server.says(START, {"type": "news"}, *text(0, "Hi"), *end("end_turn"))
    assert "stop" == ask(server.url)[-1].reason


ERRORS = [
    (401, "authentication_error", "invalid x-api-key", AuthFailed),
    (403, "permission_error", "not allowed", AuthFailed),
    (402, "billing_error", "pay first", QuotaExceeded),
    (400, "invalid_request_error", "Your credit balance is too low to access it", QuotaExceeded),
    (404, "not_found_error", "model: claude-x", InvalidRequest),
    (413, "request_too_large", "Request exceeds the maximum size", ContextOverflow),
    (429, "rate_limit_error", "too many", RateLimited),
    (500, "api_error", "Internal server error", Transient),
    (504, "timeout_error", "timed out", Transient),
    (529, "overloaded_error", "Overloaded", Transient),
    (400, "invalid_request_error", "max_tokens: must be at least 1", InvalidRequest),
    (400, "invalid_request_error", "Output blocked by content filtering policy", ContentFiltered),
    (
        400,
        "invalid_request_error",
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: a.",
        MalformedHistory,
    ),
    (
        400,
        "invalid_request_error",
        "messages.1.content.0: Invalid `signature` in `thinking` block",
        MalformedHistory,
    ),
    (418, "brand_new_error", "no idea", InvalidRequest),
]


@pytest.mark.parametrize(("status", "kind", "message", "expected"), ERRORS)
def test_errors_get_their_type(server, status, kind, message, expected):
    server.fails(status, kind, message)
    with pytest.raises(expected) as raised:
        ask(server.url)
    assert (expected, "anthropic", status) == (
        type(raised.value), raised.value.backend, raised.value.status
    )  # fmt: skip
    assert raised.value.__cause__ is not None


def test_numbers_of_an_overflow_are_read(server):
    server.fails(400, "invalid_request_error", "prompt is too long: 213462 tokens > 200000 maximum")
    with pytest.raises(ContextOverflow) as raised:
        ask(server.url)
    assert (200000, 213462, None) == (raised.value.limit, raised.value.used, raised.value.answer)
    server.fails(
        400,
        "invalid_request_error",
        "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease "
        "input length or `max_tokens` and try again",
    )
    with pytest.raises(ContextOverflow) as raised:
        ask(server.url)
    assert (200000, 188240, 21333) == (raised.value.limit, raised.value.used, raised.value.answer)


def test_a_rate_limit_says_how_long_to_wait(server):
    server.fails(429, "rate_limit_error", "too many", retry_after="17")
    with pytest.raises(RateLimited) as raised:
        ask(server.url)
    assert 17.0 == raised.value.retry_after


def test_dates_to_wait_for_are_understood():
    assert 30.0 == retry_after({"retry-after": "Thu, 01 Jan 1970 00:01:00 GMT"}, now=30.0)
    assert 0.25 == retry_after({"retry-after-ms": "250", "retry-after": "9"}, now=0)
    assert None is retry_after({"retry-after": "soon"}, now=0)


def test_an_error_inside_a_stream_gets_its_type(server):
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    server.says(START, *text(0, "Hi"), error)
    with pytest.raises(Transient, match="Overloaded"):
        ask(server.url)


ODD_CHUNKS = [
    {"type": "content_block_delta"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 5}},
    {"type": "content_block_start", "index": 0, "content_block": 5},
    {"type": "message_start"},
    {"type": "message_start", "message": 5},
    {"type": "message_delta", "delta": None},
    {"type": "message_delta", "delta": {"stop_reason": ["x"]}, "usage": 7},
]
ODD_ERRORS = [
    *(b"[]", b'"x"', b"5", b"null", b"", b"<html>", b"\xff\xfe", b'{"error": "text"}'),
    b'{"error": {"message": {"a": 1}}}',
    b'{"error": {"message": 5, "type": [1], "code": {"a": 1}, "status": [1], "details": 5}}',
    b'{"error": {"details": [{"retryDelay": [], "violations": 5, "reason": []}, 5]}}',
    b'{"error": {"details": [{"violations": [5]}]}}',
    b'{"message": {"a": 1}}',
]
"""What a gateway may say in place of the provider's error object."""


@pytest.mark.parametrize("status", [400, 429, 500])
@pytest.mark.parametrize("body", ODD_ERRORS)
def test_an_error_object_of_another_form_is_typed_by_its_status(server, status, body):
    server.answers.append((status, {"content-type": "application/json"}, body))
    with pytest.raises({400: InvalidRequest, 429: RateLimited, 500: Transient}[status]) as raised:
        ask(server.url)
    assert raised.value.message


@pytest.mark.parametrize("chunk", ODD_CHUNKS)
def test_a_stream_of_something_else_is_transient(server, chunk):
    server.says(chunk)
    with pytest.raises(Transient):
        ask(server.url)


def test_no_error_and_no_log_shows_the_key(server, caplog):
    caplog.set_level(logging.DEBUG)
    server.fails(401, "authentication_error", f"the key {SECRET} is wrong")
    with pytest.raises(AuthFailed) as raised:
        ask(server.url)
    backend = backend_for(server.url)
    shown = [str(raised.value), repr(backend._settings), caplog.text, repr(vars(raised.value))]
    shown += ["".join(traceback.format_exception(raised.value))]
    shown += [repr(vars(raised.value.__cause__)), repr(raised.value.__cause__.args)]
    assert not [line for line in shown if SECRET in line]
    assert SECRET not in str(backend.classify(ValueError(f"bad {SECRET}")))


def test_the_key_of_anthropic_goes_to_no_other_server(server):
    server.says(START, *text(0, "Hi"), *end("end_turn"))

    async def main():
        settings = AnthropicSettings(base_url=server.url)
        backend = AnthropicBackend(settings, environ={"ANTHROPIC_API_KEY": SECRET})
        return await _all(backend, Request(MODEL, (user("Hi"),)))

    asyncio.run(main())
    assert SECRET not in json.dumps(server.asked[0][1])


@pytest.mark.parametrize("key", ["", "clé", "a\nb"])
def test_a_key_that_is_missing_or_cannot_be_sent_is_a_settings_error(key, monkeypatch):
    made = []
    monkeypatch.setattr(httpx2, "AsyncClient", lambda **settings: made.append(settings))
    backend = AnthropicBackend(environ={"ANTHROPIC_API_KEY": key})
    with pytest.raises(InvalidSetting) as raised:
        asyncio.run(_all(backend, Request(MODEL, (user("Hi"),))))
    assert "backend.api_key" == raised.value.path
    assert [] == made  # nobody would close it


def _sent(server, *messages, **given):
    server.says(START, *text(0, "Hi"), *end("end_turn"))
    ask(server.url, *messages, **given)
    _, headers, body = server.asked[-1]
    return headers, body


def test_a_request_has_what_the_api_requires(server):
    _, body = _sent(server, cache="off", most=None, tools=(ToolSpec("f"),))
    assert {
        "model": MODEL,
        "max_tokens": ModelCatalogue.shipped().get(MODEL).max_output,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        "tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}],
        "stream": True,
    } == body


def test_thinking_and_effort_are_asked_for(server):
    _, body = _sent(server, thinking="adaptive", effort="high", heat=0.5)
    assert {"type": "adaptive"} == body["thinking"]
    assert {"effort": "high"} == body["output_config"]
    assert "temperature" not in body


def test_a_budget_of_thinking_leaves_room_for_the_answer(server):
    _, body = _sent(server, thinking=5000, most=3000)
    assert {"type": "enabled", "budget_tokens": 2999} == body["thinking"]
    _, body = _sent(server, thinking=5000, most=1000)
    assert {"type": "disabled"} == body["thinking"]


def test_a_loop_that_another_model_began_goes_on_without_thinking(server):
    loop = user("Go"), assistant("", ToolCall("a", "f")), tool("a", "5")
    _, body = _sent(server, *loop, thinking=2000, most=3000)
    assert {"type": "disabled"} == body["thinking"]
    thought = Reasoning("So.", "sig", "anthropic", {"model": MODEL})
    loop = user("Go"), Message("assistant", (thought, ToolCall("a", "f"))), tool("a", "5")
    _, body = _sent(server, *loop, thinking=2000, most=3000)
    assert "enabled" == body["thinking"]["type"]


@pytest.mark.parametrize(
    ("model", "sent"),
    [
        ("claude-sonnet-4-6", True),
        ("claude-haiku-4-5-20251001", True),
        ("claude-opus-4-7", False),
        ("claude-opus-4-8-20260528", False),
        ("claude-sonnet-5-5", False),
    ],
)
def test_a_temperature_goes_to_models_that_take_one(server, model, sent):
    _, body = _sent(server, model=model, heat=0.0)
    assert sent is ("temperature" in body)


def test_context_editing_is_asked_for_with_its_beta(server):
    headers, body = _sent(server, clear_tool_results_at=50_000, keep_tool_results=2, betas=("x-1",))
    assert "context-management-2025-06-27,x-1" == headers["anthropic-beta"]
    [edit] = body["context_management"]["edits"]
    assert ("clear_tool_uses_20250919", 50_000, 2) == (
        edit["type"], edit["trigger"]["value"], edit["keep"]["value"]
    )  # fmt: skip


def test_tokens_are_counted_of_the_same_prompt(server):
    server.says({"input_tokens": 42})

    async def main():
        backend = backend_for(server.url)
        request = Request(MODEL, (user("Hi"),), (ToolSpec("f"),), 100, 0.0)
        try:
            return await backend.count_tokens(request)
        finally:
            await backend.aclose()

    assert 42 == asyncio.run(main())
    path, _, body = server.asked[0]
    assert "/v1/messages/count_tokens" == path.partition("?")[0]
    assert {"model", "messages", "tools"} == body.keys()


def test_a_request_that_cannot_be_asked_is_refused_before():
    backend = backend_for("http://127.0.0.1:9", context(blunt={"window": 100, "tools": False}))
    for request in (Request(MODEL, ()), Request("blunt", (user("Hi"),), (ToolSpec("f"),))):
        with pytest.raises(InvalidRequest):
            asyncio.run(_all(backend, request))
    with pytest.raises(UnknownModel):
        asyncio.run(backend.caps("no-such-model"))


def test_nobody_there_is_transient():
    with pytest.raises(Transient, match="connection"):
        ask("http://127.0.0.1:9")


def test_broken_transports_are_transient():
    backend = AnthropicBackend()
    for error in (httpx2.ReadError("x"), httpx2.ReadTimeout("x"), httpx2.RemoteProtocolError("x")):
        assert Transient is type(backend.classify(error))


def test_settings_are_checked():
    for wrong in ({"thinking": 1000}, {"base_url": "ftp://x"}, {"cache": "2h"}, {"port": 1},
                  {"base_url": "https://u:p@h"}, {"connect_timeout": 0}):  # fmt: skip
        with pytest.raises(ValidationError):
            AnthropicSettings(**wrong)


def test_the_host_makes_it_from_settings():
    backend = PluginHost().create("backend", "anthropic", {"thinking": "adaptive"}, context())
    caps = asyncio.run(backend.caps(MODEL))
    assert (True, True, True, "anthropic") == (caps.tools, caps.images, caps.reasoning, caps.rules)


def test_discovery_imports_nothing_heavy():
    code = (
        "import sys, massgen_anthropic.plugin as p; p.massgen_backend();"
        "print({'anthropic', 'httpx2', 'pydantic', 'massgen_anthropic.backend'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "set()" == done.stdout.strip()


@pytest.fixture(scope="module")
def provider():
    with mock_provider(window=500, pace=0) as started:
        yield started


FOR_US = [n for n, f in FAULTS.items() if "anthropic" in f.wires and n != "stall"]


@pytest.mark.parametrize("name", FOR_US)
def test_faults_of_a_provider_become_their_type(provider, name):
    provider.reset()
    provider.inject(name)
    ctx, seen = context(**{"claude-mock": {"window": 500}}), []

    async def main():
        backend = backend_for(provider.anthropic, ctx)
        try:
            request = Request("claude-mock", (user("Count from 1 to 300"),), (), 100)
            async for event in backend.stream(request):
                seen.append(event)  # noqa: PERF401 - what came before the error counts
        finally:
            await backend.aclose()

    with pytest.raises(FAULTS[name].expected) as raised:
        asyncio.run(main())
    assert FAULTS[name].late is any(isinstance(event, TextDelta) for event in seen)
    assert name != "rate_limit" or raised.value.retry_after == 7


def test_a_dead_connection_is_given_up_even_if_nobody_watches_it(provider, monkeypatch):
    monkeypatch.setattr("massgen_anthropic._client._SILENCE", 0.3)
    provider.reset()
    provider.inject("stall")
    with pytest.raises(Transient, match="in time"):
        ask(
            provider.anthropic, ctx=context(**{"claude-mock": {"window": 500}}), model="claude-mock"
        )


def test_closing_ends_running_streams():
    async def main():
        with mock_provider() as slow:
            ctx = context(**{"claude-mock": {"window": 5000}})
            backend = backend_for(slow.anthropic, ctx)
            request = Request("claude-mock", (user("Count from 1 to 300"),), (), 250)
            stream = backend.stream(request)
            await anext(stream)
            async with asyncio.timeout(10), aclosing(stream):
                await backend.aclose()
                with pytest.raises(Transient):
                    _ = [event async for event in stream]
            with pytest.raises(Fatal, match="closed"):
                await _all(backend, request)

    asyncio.run(main())


def test_an_agent_uses_tools_and_outgrows_the_window(provider, tmp_path):
    provider.reset()

    def weather(city: str) -> str:
        """The weather in a city."""
        return f"Sunny in {city}. " * 20

    async def main():
        ctx = context(**{"claude-mock": {"window": 500, "max_output": 64}})
        backend = backend_for(provider.anthropic, ctx)
        info = ctx.models.get("claude-mock")
        agent = Agent(backend, model="claude-mock", info=info, tools=[weather])
        events = []
        async with SessionStore.open(tmp_path) as store, store.create("s") as session:
            for city in ("Paris", "Rome", "Oslo", "Bonn"):
                question = f"What is the weather in {city} and in Lyon? Use the tool."
                events += [event async for event in agent.run(session, question)]
        await backend.aclose()
        return events

    events = asyncio.run(main())
    assert 4 == sum(isinstance(event, TurnFinished) for event in events)
    assert {"Paris", "Lyon"} <= {
        json.loads(event.call.arguments)["city"] for event in events
        if isinstance(event, ToolCalled)
    }  # fmt: skip
    assert any(isinstance(event, ContextFitted) for event in events)
    assert not [each for each in provider.requests() if each["status"] != 200]
