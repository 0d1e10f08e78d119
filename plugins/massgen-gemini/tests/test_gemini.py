import asyncio
import base64
import json
import logging
import subprocess
import sys
import traceback
from contextlib import aclosing

import httpx2
import pytest
from pydantic import ValidationError

from massgen_core.agents import Agent
from massgen_core.backends import Request
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
from massgen_core.messages import Reasoning, ToolCall, ToolSpec, system, user
from massgen_core.plugin import PluginContext, PluginHost
from massgen_core.sessions import SessionStore
from massgen_core.testing import FAULTS, mock_provider
from massgen_core.tokens import ModelCatalogue
from massgen_gemini import GeminiBackend, GeminiSettings

MODEL = "gemini-3.8-flash"
SECRET = "AIza-very-secret"  # noqa: S105 - of nobody
SEAL = base64.b64encode(b"\x00\xffseal").decode()
USAGE = {
    "promptTokenCount": 60,
    "cachedContentTokenCount": 30,
    "candidatesTokenCount": 7,
    "thoughtsTokenCount": 4,
    "totalTokenCount": 71,
}


def chunk(*parts, finish=None, usage=None, **more):
    candidate = {"index": 0}
    if parts:
        candidate["content"] = {"role": "model", "parts": list(parts)}
    if finish:
        candidate["finishReason"] = finish
    out = {"candidates": [candidate], "modelVersion": "gemini-3.8-flash-001", **more}
    return {**out, "usageMetadata": usage} if usage else out


def backend_for(url, ctx=None, **settings):
    return GeminiBackend(GeminiSettings(base_url=url, api_key=SECRET, **settings), ctx)


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


def test_thoughts_text_and_calls_become_events(server):
    server.says(
        chunk({"text": "Let me ", "thought": True}, usage={"promptTokenCount": 60}),
        chunk({"text": "see.", "thought": True}),
        chunk({"text": "I "}),
        chunk({"text": "look.\u2028"}),
        chunk(
            {
                "functionCall": {"id": "1", "name": "look", "args": {"at": "ü"}},
                "thoughtSignature": SEAL,
            },
            {"functionCall": {"id": "2", "name": "stop"}},
        ),
        chunk({"text": "", "thoughtSignature": SEAL}, finish="STOP", usage=USAGE),
    )
    assert [
        ReasoningDelta("Let me "),
        ReasoningDelta("see."),
        ReasoningBlock(Reasoning("Let me see.", provider="gemini")),
        TextDelta("I "),
        TextDelta("look.\u2028"),
        ReasoningBlock(Reasoning("", SEAL, "gemini", {"on": "call"})),
        ToolCalled(ToolCall("1", "look", '{"at": "ü"}')),
        ToolCalled(ToolCall("2", "stop", "{}")),
        ReasoningBlock(Reasoning("", SEAL, "gemini", {"on": "text"})),
        Usage(prompt=60, completion=11, cached=30, reasoning=4),
        Finished("tool_calls", "gemini-3.8-flash-001"),
    ] == ask(server.url)


def test_what_is_no_text_is_named(server):
    server.says(
        chunk({"inlineData": {"mimeType": "image/png", "data": "aGk="}}),
        chunk({"executableCode": {"language": "PYTHON", "code": "print(7)"}}),
        chunk({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "7"}}, finish="STOP"),
    )
    texts = [event.text for event in ask(server.url) if isinstance(event, TextDelta)]
    assert ["[image/png, not shown]", "[code: print(7)]", "[result: 7]"] == texts


def test_calls_without_ids_get_different_ones(server):
    call = {"functionCall": {"name": "look", "args": {}}}
    server.says(chunk(call, call, finish="STOP"))
    ids = [event.call.id for event in ask(server.url) if isinstance(event, ToolCalled)]
    assert 2 == len(set(ids))
    assert all(ids)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "error"),
    ],
)
def test_finish_reasons_are_translated(server, reason, expected):
    server.says(chunk({"text": "Hi"}, finish=reason))
    assert expected == ask(server.url)[-1].reason


def test_blocked_prompts_and_answers_are_filtered_content(server):
    server.says({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}})
    with pytest.raises(ContentFiltered, match="PROHIBITED_CONTENT"):
        ask(server.url)
    server.says(chunk(finish="SAFETY"))
    with pytest.raises(ContentFiltered, match="SAFETY"):
        ask(server.url)


def test_a_stream_without_an_end_is_transient(server):
    server.says(chunk({"text": "Half of"}))
    with pytest.raises(Transient, match="broke off"):
        ask(server.url)


@pytest.mark.parametrize("odd", [{"candidates": 5}, {"candidates": [{"content": "x"}]}])
def test_chunks_of_another_form_are_transient(server, odd):
    server.says(odd, chunk({"text": "Hi"}, finish="STOP"))
    with pytest.raises(Transient, match="no chunk"):
        ask(server.url)


def info(reason):
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}


def retry(delay):
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


def quota(name):
    violation = {"quotaId": name, "quotaMetric": "generate_content_free_tier_requests"}
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}


QUOTA = "You exceeded your current quota, please check your plan and billing details."
DAY = quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier")
MINUTE = quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier")
ORDER = "Please ensure that function call turn comes immediately after a user turn"
ERRORS = [
    (400, "INVALID_ARGUMENT", "API key not valid.", [info("API_KEY_INVALID")], AuthFailed),
    (401, "UNAUTHENTICATED", "no credentials", [], AuthFailed),
    (403, "PERMISSION_DENIED", "not allowed", [], AuthFailed),
    (404, "NOT_FOUND", "models/x is not found", [], InvalidRequest),
    (413, "RESOURCE_EXHAUSTED", "too large", [], ContextOverflow),
    (400, "INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes.", [],
     ContextOverflow),
    (400, "INVALID_ARGUMENT", ORDER, [], MalformedHistory),
    (400, "INVALID_ARGUMENT", "Unknown name x", [], InvalidRequest),
    (400, "FAILED_PRECONDITION", "User location is not supported", [], InvalidRequest),
    (429, "RESOURCE_EXHAUSTED", QUOTA, [DAY, retry("17s")], QuotaExceeded),
    (429, "RESOURCE_EXHAUSTED", QUOTA, [MINUTE, retry("17s")], RateLimited),
    (429, "RESOURCE_EXHAUSTED", QUOTA, [], QuotaExceeded),
    (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted", [], RateLimited),
    (499, "CANCELLED", "cancelled", [], Transient),
    (500, "INTERNAL", "An internal error has occurred", [], Transient),
    (503, "UNAVAILABLE", "The model is overloaded", [], Transient),
    (504, "DEADLINE_EXCEEDED", "too slow", [], Transient),
    (501, "UNIMPLEMENTED", "not here", [], InvalidRequest),
    (520, "BRAND_NEW", "no idea", [], Transient),
]  # fmt: skip


@pytest.mark.parametrize(("code", "status", "message", "details", "expected"), ERRORS)
def test_errors_get_their_type(server, code, status, message, details, expected):
    server.fails(code, status, message, *details)
    with pytest.raises(expected) as raised:
        ask(server.url)
    assert (expected, "gemini", code) == (
        type(raised.value), raised.value.backend, raised.value.status
    )  # fmt: skip
    assert message in raised.value.message
    assert raised.value.__cause__ is not None


def test_numbers_of_an_overflow_are_read(server):
    words = (
        "The input token count (1250000) exceeds the maximum number of tokens allowed (1048576)."
    )
    server.fails(400, "INVALID_ARGUMENT", words)
    with pytest.raises(ContextOverflow) as raised:
        ask(server.url)
    assert (1048576, 1250000) == (raised.value.limit, raised.value.used)


def test_a_rate_limit_says_how_long_to_wait(server):
    server.fails(429, "RESOURCE_EXHAUSTED", QUOTA, MINUTE, retry("17.5s"))
    with pytest.raises(RateLimited) as raised:
        ask(server.url)
    assert 17.5 == raised.value.retry_after
    server.fails(429, "RESOURCE_EXHAUSTED", "slow down", retry_after="3")
    with pytest.raises(RateLimited) as raised:
        ask(server.url)
    assert 3.0 == raised.value.retry_after


def test_an_error_inside_a_stream_gets_its_type(server):
    error = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}
    server.says(chunk({"text": "Hi"}), error)
    with pytest.raises(Transient, match="overloaded"):
        ask(server.url)


ODD_CHUNKS = [
    *([], 7, "x", None, {"candidates": 5}, {"candidates": [5]}, {"error": 5}, {"error": "x"}),
    {"candidates": [{"content": 5}]},
    {"candidates": [{"content": {"parts": [5]}}]},
    {"candidates": [{"content": {"parts": [{"functionCall": {"args": 5}}]}}]},
    {"candidates": [{"finishReason": ["x"]}]},
    {"error": {"code": "x"}},
    {"usageMetadata": {"promptTokenCount": "many"}},
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
    server.fails(400, "INVALID_ARGUMENT", f"the key {SECRET} is wrong", info("API_KEY_INVALID"))
    with pytest.raises(AuthFailed) as raised:
        ask(server.url)
    backend = backend_for(server.url)
    shown = [str(raised.value), repr(backend._settings), caplog.text, repr(vars(raised.value))]
    shown += ["".join(traceback.format_exception(raised.value))]
    shown += [repr(vars(raised.value.__cause__)), repr(raised.value.__cause__.args)]
    assert not [line for line in shown if SECRET in line]
    assert SECRET not in str(backend.classify(RuntimeError(f"bad {SECRET}")))


def test_the_key_of_google_goes_to_no_other_server(server, monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", SECRET)
    monkeypatch.setenv("GOOGLE_API_KEY", SECRET)
    server.says(chunk({"text": "Hi"}, finish="STOP"))
    backend = GeminiBackend(GeminiSettings(base_url=server.url))
    asyncio.run(_all(backend, Request(MODEL, (user("Hi"),))))
    assert SECRET not in json.dumps(server.asked[0][:2])


def test_the_key_is_read_from_either_variable():
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY"):
        backend = GeminiBackend(environ={name: SECRET})
        assert SECRET not in str(backend.classify(RuntimeError(SECRET)))


@pytest.mark.parametrize("key", ["", "clé", "a\nb"])
def test_a_key_that_is_missing_or_cannot_be_sent_is_a_settings_error(key):
    backend = GeminiBackend(environ={"GEMINI_API_KEY": key})
    with pytest.raises(InvalidSetting) as raised:
        asyncio.run(_all(backend, Request(MODEL, (user("Hi"),))))
    assert "backend.api_key" == raised.value.path


def _sent(server, *messages, **given):
    server.says(chunk({"text": "Hi"}, finish="STOP"))
    ask(server.url, *messages, **given)
    return server.asked[-1]


def test_a_request_is_what_the_api_documents(server):
    spec = ToolSpec("f", parameters={"type": "object"})
    path, headers, body = _sent(server, system("S"), user("Hi"), tools=(spec,), heat=0.5)
    assert f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse" == path
    assert SECRET == {name.lower(): value for name, value in headers.items()}["x-goog-api-key"]
    assert not [name for name in headers if "massgen" in name.lower()]
    assert {
        "systemInstruction": {"parts": [{"text": "S"}]},
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "tools": [
            {"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}
        ],
        "generationConfig": {"maxOutputTokens": 100, "temperature": 0.5},
    } == body


def test_thinking_is_asked_for(server):
    _, _, body = _sent(server, thinking="low", show_thoughts=True)
    expected = {"thinkingLevel": "low", "includeThoughts": True}
    assert expected == body["generationConfig"]["thinkingConfig"]
    _, _, body = _sent(server, thinking=0)
    assert {"thinkingBudget": 0} == body["generationConfig"]["thinkingConfig"]


def test_tokens_are_counted_of_the_whole_prompt(server):
    server.tells({"totalTokens": 42})

    async def main():
        backend = backend_for(server.url)
        request = Request(MODEL, (system("S"), user("Hi")), (ToolSpec("f"),), 100, 0.0)
        try:
            return await backend.count_tokens(request)
        finally:
            await backend.aclose()

    assert 42 == asyncio.run(main())
    path, _, body = server.asked[0]
    assert f"/v1beta/models/{MODEL}:countTokens" == path
    assert [] == body["contents"]
    whole = body["generateContentRequest"]
    assert {"model", "contents", "systemInstruction", "tools"} == whole.keys()
    assert f"models/{MODEL}" == whole["model"]


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
    backend = GeminiBackend()
    for error in (httpx2.ReadError("x"), httpx2.ReadTimeout("x"), httpx2.RemoteProtocolError("x")):
        assert Transient is type(backend.classify(error))


def test_settings_are_checked():
    for wrong in ({"thinking": -2}, {"thinking": "much"}, {"base_url": "ftp://x"}, {"port": 1},
                  {"base_url": "https://u:p@h"}, {"connect_timeout": 0}):  # fmt: skip
        with pytest.raises(ValidationError):
            GeminiSettings(**wrong)


def test_the_host_makes_it_from_settings():
    backend = PluginHost().create("backend", "gemini", {"show_thoughts": True}, context())
    caps = asyncio.run(backend.caps(MODEL))
    assert (True, True, True, "gemini") == (caps.tools, caps.images, caps.reasoning, caps.rules)


def test_discovery_imports_nothing_heavy():
    code = (
        "import sys, massgen_gemini.plugin as p; p.massgen_backend();"
        "print({'google', 'httpx2', 'pydantic', 'massgen_gemini.backend'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "set()" == done.stdout.strip()


@pytest.fixture(scope="module")
def provider():
    with mock_provider(window=500, pace=0) as started:
        yield started


FOR_US = [n for n, f in FAULTS.items() if "gemini" in f.wires and n != "stall"]


@pytest.mark.parametrize("name", FOR_US)
def test_faults_of_a_provider_become_their_type(provider, name):
    provider.reset()
    provider.inject(name)
    seen = []

    async def main():
        backend = backend_for(provider.gemini)
        try:
            request = Request("gemini-mock", (user("Count from 1 to 300"),), (), 100)
            async for event in backend.stream(request):
                seen.append(event)  # noqa: PERF401 - what came before the error counts
        finally:
            await backend.aclose()

    with pytest.raises(FAULTS[name].expected) as raised:
        asyncio.run(main())
    assert FAULTS[name].late is any(isinstance(event, TextDelta) for event in seen)
    assert name != "rate_limit" or raised.value.retry_after == 7
    assert len(provider.requests()) <= 1  # nobody asks again behind our back


def test_a_dead_connection_is_given_up_even_if_nobody_watches_it(provider, monkeypatch):
    monkeypatch.setattr("massgen_gemini._client._SILENCE", 0.3)
    provider.reset()
    provider.inject("stall")
    with pytest.raises(Transient, match="in time"):
        ask(provider.gemini, model="gemini-mock")


def test_closing_ends_running_streams():
    async def main():
        with mock_provider() as slow:
            backend = backend_for(slow.gemini)
            request = Request("gemini-mock", (user("Count from 1 to 300"),), (), 250)
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
        ctx = context(**{"gemini-mock": {"window": 500, "max_output": 64}})
        backend = backend_for(provider.gemini, ctx)
        agent = Agent(
            backend, model="gemini-mock", info=ctx.models.get("gemini-mock"), tools=[weather]
        )
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
