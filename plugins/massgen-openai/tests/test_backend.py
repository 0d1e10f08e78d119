import asyncio
import json
import logging
import subprocess
import sys
import traceback
from contextlib import aclosing

import pytest
from pydantic import ValidationError

from massgen_core.agents import Agent
from massgen_core.backends import Request
from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.errors import (
    BackendError,
    ContextOverflow,
    Fatal,
    InvalidRequest,
    InvalidSetting,
    RateLimited,
    Transient,
    UnknownModel,
)
from massgen_core.events import ContextFitted, Finished, TextDelta, ToolFinished, Usage
from massgen_core.messages import Image, Message, Text, ToolSpec, system, user
from massgen_core.plugin import PluginContext, PluginHost
from massgen_core.sessions import SessionStore
from massgen_core.testing import FAULTS, mock_provider
from massgen_core.tokens import ModelCatalogue
from massgen_openai import OpenAIBackend, OpenAISettings, providers
from massgen_openai._body import Asked
from massgen_openai.providers import provider

KEY = "sk-test-abcdefgh1234"
APIS = ("chat", "responses")
MODEL = {"window": 4000, "max_output": 1000, "images": True}
LOOK = ToolSpec("look", "Looks.", {"type": "object", "properties": {}})
CHAT = [
    {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}], "model": "m"}
]
RESPONSE = [
    {"type": "response.output_text.delta", "delta": "Hi"},
    {"type": "response.completed", "response": {"model": "m", "status": "completed"}},
]


def _context(**models):
    found = ModelCatalogue.shipped().with_overrides({"m": MODEL, "kimi-k3": MODEL, **models})
    return PluginContext(SYSTEM_CLOCK, None, found)


def _backend(url, *, row="openai", environ=None, ctx=None, **settings):
    given = OpenAISettings(**{"base_url": url, "api_key": KEY, **settings})
    return OpenAIBackend(given, ctx or _context(), provider=provider(row), environ=environ or {})


def _run(backend, use):
    async def main():
        try:
            return await use(backend)
        finally:
            await backend.aclose()

    return asyncio.run(main())


async def _all(backend, *messages, model="m", **request):
    asked = Request(model, messages or (user("Hi"),), **request)
    return [event async for event in backend.stream(asked)]


def _ask(backend, *messages, **request):
    return _run(backend, lambda each: _all(each, *messages, **request))


@pytest.fixture(scope="module", name="mock")
def _mock():
    with mock_provider(window=1000, pace=0) as served:
        yield served


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch):
    for row in providers.ROWS:
        monkeypatch.delenv(row.key_env, raising=False)


# Faults


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    "fault",
    [f for f in FAULTS.values() if "openai" in f.wires and f.name != "stall"],
    ids=lambda f: f.name,
)
def test_each_fault_is_the_error_it_should_be(mock, fault, api):
    mock.reset()
    mock.inject(fault, **({"after_chunks": 8} if fault.late else {}))
    seen = []

    async def use(backend):
        async for event in backend.stream(Request("m", (user("Count from 1 to 300."),))):
            seen.append(event)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(BackendError) as raised:
        _run(_backend(mock.openai, api=api), use)
    assert isinstance(raised.value, fault.expected)
    assert "openai" == raised.value.backend
    assert raised.value.__cause__ is not None or fault.late or fault.own
    assert fault.late == any(isinstance(event, TextDelta) for event in seen)
    assert not any(isinstance(event, Finished) for event in seen)


@pytest.mark.parametrize("api", APIS)
def test_a_dead_connection_is_given_up_even_if_nobody_watches_it(mock, api, monkeypatch):
    monkeypatch.setattr("massgen_openai._client._SILENCE", 0.3)
    mock.reset()
    mock.inject("stall")
    with pytest.raises(Transient, match="for too long"):
        _ask(_backend(mock.openai, api=api))


@pytest.mark.parametrize("api", APIS)
def test_the_time_to_wait_is_kept(mock, api):
    mock.reset()
    mock.inject("rate_limit", retry_after=3)
    with pytest.raises(RateLimited) as raised:
        _ask(_backend(mock.openai, api=api))
    assert (3.0, 429) == (raised.value.retry_after, raised.value.status)


@pytest.mark.parametrize("api", APIS)
def test_it_answers_after_a_fault(mock, api):
    mock.reset()
    mock.inject("disconnect")

    async def use(backend):
        with pytest.raises(Transient):
            await _all(backend)
        return await _all(backend)

    assert isinstance(_run(_backend(mock.openai, api=api), use)[-1], Finished)


def test_the_sdk_retries_nothing(mock):
    mock.reset()
    mock.inject("server_error", times=3)
    with pytest.raises(Transient):
        _ask(_backend(mock.openai, api="chat"))
    assert 1 == len(mock.requests())


def test_many_streams_with_faults_end_in_a_result_or_a_typed_error(mock):
    mock.reset()
    for fault in ("disconnect", "truncate", "malformed", "unavailable", "rate_limit"):
        mock.inject(fault, times=8)

    async def one(backend):
        try:
            return (await _all(backend))[-1]
        except BackendError as error:
            return error

    async def use(backend):
        ended = await asyncio.gather(*[one(backend) for _ in range(200)])
        others = asyncio.all_tasks() - {asyncio.current_task()}
        return ended, (await asyncio.wait(others, timeout=1))[1] if others else set()

    ended, left = _run(_backend(mock.openai, api="chat"), use)
    assert set() == left
    assert all(isinstance(one, Finished | Transient | RateLimited) for one in ended)
    assert sum(isinstance(one, Finished) for one in ended) == 160


def test_closing_ends_running_streams(mock):
    mock.reset()
    mock.inject("stall")

    async def use(backend):
        stream = backend.stream(Request("m", (user("Hi"),)))
        await anext(stream)
        async with asyncio.timeout(10), aclosing(stream):
            await backend.aclose()
            with pytest.raises(Transient):
                _ = [event async for event in stream]
        with pytest.raises(Fatal, match="closed"):
            await _all(backend)

    _run(_backend(mock.openai, api="chat"), use)


@pytest.mark.parametrize("chunk", [{"choices": 5}, {"choices": [{"delta": {"content": 5}}]}, [], 7])
def test_a_chunk_that_makes_no_sense_is_transient(canned, chunk):
    canned.says([chunk])
    with pytest.raises(Transient):
        _ask(_backend(canned.url))


# What is asked


@pytest.mark.parametrize(
    ("row", "model", "expected"),
    [
        ("openai", "gpt-4o", {"max_completion_tokens": 5, "temperature": 0.5}),
        ("openai", "gpt-5.5", {"max_completion_tokens": 5}),
        ("groq", "m", {"max_completion_tokens": 5, "temperature": 0.5}),
        ("moonshot", "kimi-k3", {"max_completion_tokens": 5}),
        ("mistral", "m", {"max_tokens": 5, "temperature": 0.5}),
        ("vllm", "m", {"max_tokens": 5, "temperature": 0.5}),
    ],
)
def test_the_body_of_a_chat_request_is_the_providers(canned, row, model, expected):
    canned.says(CHAT)
    _ask(
        _backend(canned.url, row=row, api="chat"),
        system("S"),
        user("Hi"),
        model=model,
        max_output=5,
        temperature=0.5,
    )
    [asked] = canned.asked
    role = "developer" if model == "gpt-5.5" else "system"
    messages = [{"role": role, "content": "S"}, {"role": "user", "content": "Hi"}]
    usage = {} if row == "mistral" else {"stream_options": {"include_usage": True}}
    assert {"model": model, "stream": True, "messages": messages, **usage, **expected} == asked.body
    assert "/chat/completions" == asked.path


def test_the_body_of_a_response_keeps_nothing_at_the_provider(canned):
    canned.says(RESPONSE)
    settings = {"api": "responses", "reasoning_effort": "low", "reasoning_summary": "auto"}
    backend = _backend(canned.url, parallel_tools=False, **settings)
    _ask(backend, model="gpt-5.5", max_output=50, tools=(LOOK,))
    [asked] = canned.asked
    assert "/responses" == asked.path
    assert {
        "model": "gpt-5.5",
        "stream": True,
        "store": False,
        "input": [
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "Hi"}],
            }
        ],
        "max_output_tokens": 50,
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "low", "summary": "auto"},
        "tools": [
            {
                "type": "function",
                "strict": False,
                "name": "look",
                "description": "Looks.",
                "parameters": {"type": "object", "properties": {}},
            }
        ],
        "parallel_tool_calls": False,
    } == asked.body


@pytest.mark.parametrize(
    ("model", "says", "expected"),
    [
        ("mine", {"reasoning": True}, {"role": "developer", "heat": None}),
        ("mine", {}, {"role": "system", "heat": 0.5}),
        ("gpt-5-mine", {}, {"role": "developer", "heat": None}),
        ("gpt-5-mine", {"reasoning": False}, {"role": "system", "heat": 0.5}),
    ],
)
def test_what_the_settings_say_of_reasoning_goes_before_the_name(canned, model, says, expected):
    canned.says(CHAT)
    ctx = _context(**{model: MODEL | says})
    _ask(
        _backend(canned.url, row="openai", api="chat", ctx=ctx),
        system("S"),
        user("Hi"),
        model=model,
        temperature=0.5,
    )
    body = canned.asked[0].body
    assert expected == {"role": body["messages"][0]["role"], "heat": body.get("temperature")}


def test_a_dated_name_that_says_it_does_not_reason_is_believed():
    caps = asyncio.run(OpenAIBackend(provider=provider("xai")).caps("grok-4.20-0309-non-reasoning"))
    assert not caps.reasoning


def test_sealed_reasoning_is_asked_only_of_models_that_reason(canned):
    canned.says(RESPONSE)
    _ask(_backend(canned.url, api="responses"), model="gpt-4o")
    assert "include" not in canned.asked[0].body


def test_temperature_extra_fields_and_headers_come_from_the_settings(canned):
    canned.says(CHAT)
    backend = _backend(
        canned.url,
        row="openrouter",
        temperature=0.25,
        extra_body={"provider": {"sort": "price"}},
        headers={"X-Title": "massgen"},
    )
    _ask(backend)
    [asked] = canned.asked
    assert (0.25, {"sort": "price"}) == (asked.body["temperature"], asked.body["provider"])
    assert "massgen" == asked.headers["x-title"]


def test_strict_turns_can_be_asked_for(canned):
    canned.says(CHAT)
    _ask(_backend(canned.url, row="vllm", strict_turns=True), user("Hi"), user("there"))
    assert [{"role": "user", "content": "Hi\n\nthere"}] == canned.asked[0].body["messages"]


def test_a_picture_is_named_where_the_model_takes_none(canned):
    canned.says(CHAT)
    message = Message("user", (Text("See"), Image("image/png", b"p")))
    backend = OpenAIBackend(
        OpenAISettings(base_url=canned.url), _context(blind={"window": 900}), environ={}
    )
    _ask(backend, message, model="blind")
    said = canned.asked[0].body["messages"][0]["content"]
    assert "See\n[image image/png, not shown]" == said


def test_the_providers_own_api_is_for_its_own_address():
    backends = [
        OpenAIBackend(OpenAISettings(**settings), provider=provider("xai"))
        for settings in ({}, {"base_url": "http://h/v1"}, {"api": "chat"})
    ]
    assert ["responses", "chat", "chat"] == [backend.api for backend in backends]


# Keys and addresses


def _sent_key(canned, **settings):
    canned.says(CHAT)
    _ask(_backend(canned.url, **settings))
    return canned.asked[-1].headers.get("authorization")


def test_a_key_comes_from_the_settings_or_the_variable_they_name(canned):
    assert f"Bearer {KEY}" == _sent_key(canned)
    named = {"api_key": None, "api_key_env": "MINE", "environ": {"MINE": "other-key"}}
    assert "Bearer other-key" == _sent_key(canned, **named)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        ({"error": {"message": "Slow down.", "code": "rate_limit_exceeded"}}, RateLimited, "Slow"),
        ({"error": "out of memory"}, BackendError, "out of memory"),
        ({"choices": [{"message": {"content": "Hi"}}]}, InvalidRequest, "in one piece"),
        ([], InvalidRequest, "in one piece"),
        (b"{", BackendError, "."),
    ],
)
def test_a_server_that_does_not_stream_is_told_as_such(canned, api, answer, kind, said):
    text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    canned.says(text, content_type="application/json; charset=utf-8")
    with pytest.raises(kind, match=said):
        _ask(_backend(canned.url, api=api))


def test_a_providers_key_goes_to_no_other_server(canned):
    environ = {"OPENAI_API_KEY": KEY}
    assert _sent_key(canned, api_key=None, environ=environ) is None


def test_the_sdk_takes_nothing_from_the_environment_for_others(canned, monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-secret")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment")
    canned.says(CHAT)
    _ask(_backend(canned.url, row="groq", api_key=None))
    assert not any(
        "secret" in value or "sk-" in value for value in canned.asked[0].headers.values()
    )


def test_a_missing_key_says_which_variable_to_set():
    backend = OpenAIBackend(OpenAISettings(), provider=provider("groq"), environ={})
    with pytest.raises(InvalidSetting, match="GROQ_API_KEY") as raised:
        _ask(backend, model="gpt-oss-20b")
    assert "backend.api_key" == raised.value.path


def test_a_key_no_header_can_hold_is_refused(canned):
    with pytest.raises(InvalidSetting, match="no header can hold"):
        _ask(_backend(canned.url, api_key="sk-“quoted”"))


def test_a_server_of_ones_own_needs_no_key(canned):
    assert _sent_key(canned, row="vllm", api_key=None) is None


def test_no_secret_is_in_errors_logs_or_representations(canned, caplog):
    caplog.set_level(logging.DEBUG)
    header = "header-secret-99"
    canned.says({"error": {"message": f"Incorrect key {KEY}, {header}", "code": "x"}}, status=401)
    backend = _backend(canned.url, headers={"X-Pass": header})
    with pytest.raises(BackendError) as raised:
        _ask(backend)
    shown = "".join(traceback.format_exception(raised.value))
    shown += caplog.text + repr(backend) + repr(backend._settings) + repr(raised.value.__cause__)
    assert "**********" in shown
    assert KEY not in shown
    assert header not in shown


def test_a_redirect_is_not_followed(canned):
    canned.says(b"", status=307, location=f"{canned.url}/elsewhere")
    with pytest.raises(BackendError):
        _ask(_backend(canned.url))
    assert 1 == len(canned.asked)


@pytest.mark.parametrize(
    "url", ["h/v1", "ftp://h", "https://", "https://u:pass@h", "https://h?k=p"]
)
def test_an_address_that_cannot_be_used_is_refused_without_being_shown(url):
    with pytest.raises(ValidationError, match="expected a URL") as raised:
        OpenAISettings(base_url=url)
    assert "pass" not in str(raised.value)


# Azure


@pytest.mark.parametrize(
    ("api", "version", "path"),
    [
        ("chat", "2026-05-01", "/openai/deployments/d/chat/completions?api-version=2026-05-01"),
        ("responses", "2026-05-01", "/openai/responses?api-version=2026-05-01"),
        ("chat", None, "/openai/v1/chat/completions"),
        ("responses", None, "/openai/v1/responses"),
    ],
)
def test_azure_is_asked_at_its_endpoint(canned, api, version, path):
    canned.says(CHAT if api == "chat" else RESPONSE)
    settings = OpenAISettings(
        base_url=canned.url, api_version=version, deployment="d", api=api, api_key=KEY
    )
    backend = OpenAIBackend(settings, _context(), provider=provider("azure_openai"), environ={})
    assert isinstance(_ask(backend, model="gpt-4o")[-1], Finished)
    [asked] = canned.asked
    assert (path, "d") == (asked.path, asked.body["model"])
    key = asked.headers.get("api-key") or asked.headers.get("authorization").split()[1]
    assert KEY == key


def test_azure_without_an_endpoint_says_what_to_set(canned):
    row = provider("azure_openai")
    settings = OpenAISettings(api_key=KEY, api="chat")
    with pytest.raises(InvalidSetting, match="Azure") as raised:
        _ask(OpenAIBackend(settings, provider=row, environ={}), model="gpt-4o")
    assert "backend.base_url" == raised.value.path
    canned.says(CHAT)
    environ = {"AZURE_OPENAI_ENDPOINT": f"{canned.url}/"}
    assert _ask(OpenAIBackend(settings, provider=row, environ=environ), model="gpt-4o")


# Models and tools


def test_a_model_nobody_knows_is_refused():
    with pytest.raises(UnknownModel, match="gpt-99"):
        asyncio.run(OpenAIBackend().caps("gpt-99"))


def test_tools_are_refused_for_a_model_that_takes_none(canned):
    backend = OpenAIBackend(
        OpenAISettings(base_url=canned.url), _context(dull={"window": 900, "tools": False})
    )
    with pytest.raises(InvalidRequest, match="look"):
        _ask(backend, model="dull", tools=(LOOK,))
    with pytest.raises(InvalidRequest, match="at least one message"):
        _run(backend, lambda each: _all_of(each, Request("m", ())))


async def _all_of(backend, request):
    return [event async for event in backend.stream(request)]


@pytest.mark.parametrize(
    ("model", "reasons"),
    [
        ("gpt-4o", False),
        ("gpt-4.1-mini", False),
        ("gpt-5", True),
        ("gpt-5-chat-latest", False),
        ("gpt-5.1-chat-latest", False),
        ("gpt-5.6-sol", True),
        ("gpt-6.2-astra", True),
        ("o3-pro", True),
        ("openai/o4-mini", True),
    ],
)
def test_models_that_reason_are_known_by_name(model, reasons):
    assert reasons == provider("openai").model_reasons(model)


# The whole way


@pytest.mark.parametrize("api", APIS)
def test_an_agent_uses_tools_and_outgrows_the_window_unseen(mock, tmp_path, api):
    mock.reset()
    called = []

    def weather(city: str) -> str:
        """The weather in a city."""
        called.append(city)
        return "18 C, " + "clear sky. " * 60

    async def use(backend):
        info = ctx.models.get("small")
        agent = Agent(backend, model="small", info=info, tools=[weather], output_reserve=100)
        events = []
        async with SessionStore.open(tmp_path) as store, store.create("s") as session:
            for city in ("Paris", "Rome", "Oslo", "Bern", "Wien", "Kyoto", "Lima", "Baku"):
                text = f"What is the weather in {city}?"
                events += [event async for event in agent.run(session, text)]
        return events

    settings = OpenAISettings(base_url=mock.openai, api_key=KEY, api=api)
    ctx = _context(small={"window": 1000})
    backend = OpenAIBackend(settings, ctx, environ={})
    events = _run(backend, use)
    assert "Paris" in called
    assert not any(event.is_error for event in events if isinstance(event, ToolFinished))
    assert any(isinstance(event, ContextFitted) for event in events)
    assert max(event.prompt for event in events if isinstance(event, Usage)) <= 1000


def test_an_overflow_has_the_numbers_the_provider_named(mock):
    mock.reset()
    with pytest.raises(ContextOverflow) as raised:
        _ask(_backend(mock.openai, api="responses"), user("word " * 2000))
    assert 1000 == raised.value.limit
    assert raised.value.used > 1000


# Registration


def test_discovery_imports_nothing_heavy():
    code = (
        "import sys, massgen_openai.plugin as p; p.massgen_backend();"
        "print({'openai', 'httpx2', 'pydantic', 'massgen_openai.backend'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "set()" == done.stdout.strip()


def test_every_row_can_be_selected_by_its_name():
    host = PluginHost(allow=["massgen-openai"])
    names = [row.name for row in providers.ROWS]
    assert set(names) <= set(host.names("backend"))
    for name in names:
        assert name == host.create("backend", name, {}, _context()).name


def test_asking_is_pure():
    row = provider("groq")
    request = Request("m", (user("Hi"),))
    caps = asyncio.run(OpenAIBackend(ctx=_context(), provider=row).caps("m"))
    asked = Asked(row, OpenAISettings(), "chat", request, caps)
    assert asked.body() == asked.body()


def test_a_response_is_complete_at_its_end_though_the_server_goes_on(monkeypatch):
    monkeypatch.setattr("massgen_core.backends._http._REST", 0.05)
    said = [
        {"type": "response.output_text.delta", "delta": "Hi"},
        {"type": "response.completed", "response": {"model": "m", "status": "completed"}},
    ]
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in said)
    head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write((head + body).encode())
        while await reader.read(1 << 16):  # until the client closes
            pass
        writer.close()

    async def main():
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as http:
            url = f"http://127.0.0.1:{http.sockets[0].getsockname()[1]}"
            backend = _backend(url, api="responses")
            try:
                return await asyncio.wait_for(_all(backend, user("Hi")), 20)
            finally:
                await backend.aclose()

    assert [TextDelta("Hi"), Finished("stop", "m")] == asyncio.run(main())
