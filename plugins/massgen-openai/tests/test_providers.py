import asyncio
import importlib.metadata
import json
import re

import httpx2
import openai
import pytest

from massgen_core.backends import Request, retry_after
from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.errors import (
    AuthFailed,
    ContentFiltered,
    ContextOverflow,
    Fatal,
    InvalidRequest,
    MalformedHistory,
    QuotaExceeded,
    RateLimited,
    Transient,
)
from massgen_core.events import Finished, TextDelta
from massgen_core.messages import user
from massgen_core.plugin import PluginContext, PluginHost
from massgen_core.plugin._known import KNOWN
from massgen_core.testing import mock_provider
from massgen_core.tokens import ModelCatalogue
from massgen_openai import OpenAISettings, Provider, providers
from massgen_openai._errors import ProviderError, classified
from massgen_openai.dialect import Dialect
from massgen_openai.providers import provider

NOW = 1_800_000_000.0


def _context(**models):
    return PluginContext(SYSTEM_CLOCK, None, ModelCatalogue.shipped().with_overrides(models))


# Rows


def test_adding_a_provider_is_adding_a_row(monkeypatch):
    """Nothing but a row: it is found, listed, made from settings, and answers in its dialect."""
    with mock_provider(window=500) as mock:
        row = Provider(
            name="acme",
            title="Acme",
            base_url=mock.openai,
            key_env="ACME_API_KEY",
            source="this test",
            dialect=Dialect("acme", turns="strict"),
            max_field="max_completion_tokens",
            errors={"503": "quota"},
        )
        monkeypatch.setattr(providers, "ROWS", (*providers.ROWS, row))
        monkeypatch.setenv("ACME_API_KEY", "acme-key")
        host = PluginHost(allow=["massgen-openai"])
        assert "Acme" in host.get("backend", "acme").provides.summary
        ctx = _context(**{"acme-1": {"window": 500}})
        backend = host.create("backend", "acme", {"temperature": 0.5}, ctx)
        request = Request("acme-1", (user("Say"), user("hello.")), max_output=8)
        events = asyncio.run(_used(backend, request))
        mock.inject("unavailable")
        with pytest.raises(QuotaExceeded):
            asyncio.run(_used(host.create("backend", "acme", None, ctx), request))
        sent = mock.requests()[0]["body"]
    assert any(isinstance(event, TextDelta) for event in events)
    assert isinstance(events[-1], Finished)
    assert [{"role": "user", "content": "Say\n\nhello."}] == sent["messages"]
    assert (8, 0.5) == (sent["max_completion_tokens"], sent["temperature"])


async def _used(backend, request):
    try:
        return [event async for event in backend.stream(request)]
    finally:
        await backend.aclose()


@pytest.mark.parametrize("row", providers.ROWS, ids=lambda row: row.name)
def test_a_row_is_complete(row):
    assert row.name == row.dialect.name
    assert row.source.startswith("https://")
    assert row.title
    if row.base_url:
        OpenAISettings(base_url=row.base_url)
        assert row.key_env or row.base_url.startswith("http://localhost:")
    assert re.fullmatch(r"([A-Z_]+_API_KEY)?", row.key_env)
    assert all(code == code.lower() for code in row.errors)


def test_names_are_unique():
    names = [row.name for row in providers.ROWS]
    assert sorted(set(names)) == sorted(names)


# Errors


def _status_error(status, body, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = httpx2.Request("POST", "http://127.0.0.1/v1")
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = httpx2.Response(status, content=content, headers=names, request=request)
    return openai.APIStatusError("Error", response=answer, body=None)


ERRORS = [
    # provider, status, body, expected; bodies as the providers' pages and users show them
    (
        "openai",
        401,
        {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}},
        AuthFailed,
    ),
    ("openai", 403, {"error": {"message": "Country not supported"}}, AuthFailed),
    ("openai", 404, {"error": {"message": "no model", "code": "model_not_found"}}, InvalidRequest),
    (
        "openai",
        429,
        {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}},
        QuotaExceeded,
    ),
    (
        "openai",
        429,
        {
            "error": {
                "message": "Rate limit reached",
                "type": "tokens",
                "code": "rate_limit_exceeded",
            }
        },
        RateLimited,
    ),
    (
        "openai",
        400,
        {
            "error": {
                "message": "Your input exceeds the context window",
                "code": "context_length_exceeded",
            }
        },
        ContextOverflow,
    ),
    (
        "openai",
        400,
        {
            "error": {
                "message": "The encrypted content gA== could not be verified.",
                "code": "invalid_encrypted_content",
            }
        },
        MalformedHistory,
    ),
    (
        "openai",
        400,
        {"error": {"message": "flagged", "code": "invalid_prompt"}},
        ContentFiltered,
    ),
    (
        "azure_openai",
        400,
        {
            "error": {
                "message": "The response was filtered",
                "code": "content_filter",
                "innererror": {"code": "ResponsibleAIPolicyViolation"},
            }
        },
        ContentFiltered,
    ),
    (
        "azure_openai",
        404,
        {"error": {"code": "DeploymentNotFound", "message": "?"}},
        InvalidRequest,
    ),
    (
        "xai",
        400,
        {
            "code": "Client specified an invalid argument",
            "error": "This model's maximum prompt length is 131072 but the request contains "
            "531812 tokens.",
        },
        ContextOverflow,
    ),
    ("groq", 498, {"error": {"message": "busy", "code": "capacity_exceeded"}}, Transient),
    (
        "groq",
        413,
        {
            "error": {
                "message": "Request too large for model, TPM limit",
                "code": "rate_limit_exceeded",
            }
        },
        RateLimited,
    ),
    ("openrouter", 402, {"error": {"message": "Insufficient credits", "code": 402}}, QuotaExceeded),
    ("openrouter", 403, {"error": {"message": "Input was flagged", "code": 403}}, ContentFiltered),
    ("openrouter", 502, {"error": {"message": "model is down", "code": 502}}, Transient),
    (
        "moonshot",
        429,
        {"error": {"message": "busy", "type": "engine_overloaded_error"}},
        Transient,
    ),
    (
        "moonshot",
        429,
        {"error": {"message": "suspended", "type": "exceeded_current_quota_error"}},
        QuotaExceeded,
    ),
    (
        "moonshot",
        400,
        {"error": {"message": "high risk", "type": "content_filter"}},
        ContentFiltered,
    ),
    (
        "moonshot",
        400,
        {
            "error": {
                "message": "Your request exceeded model token limit: 262144 (requested: 269030)"
            }
        },
        ContextOverflow,
    ),
    ("qwen", 400, {"error": {"message": "?", "code": "data_inspection_failed"}}, ContentFiltered),
    ("qwen", 400, {"error": {"message": "Access denied", "code": "Arrearage"}}, QuotaExceeded),
    ("zai", 429, {"error": {"message": "Balance exhausted", "code": "1113"}}, QuotaExceeded),
    ("zai", 429, {"error": {"message": "Concurrency", "code": "1302"}}, RateLimited),
    ("zai", 400, {"error": {"message": "Sensitive", "code": "1301"}}, ContentFiltered),
    ("zai", 400, {"error": {"message": "Prompt too long", "code": "1261"}}, ContextOverflow),
    ("deepseek", 402, {"error": {"message": "Insufficient Balance"}}, QuotaExceeded),
    (
        "mistral",
        400,
        {
            "object": "error",
            "message": "Prompt contains 65673 tokens ... too large for model with "
            "32768 maximum context length",
            "type": "invalid_request_error",
            "code": "3051",
        },
        ContextOverflow,
    ),
    (
        "mistral",
        422,
        {"object": "error", "message": {"detail": [{"msg": "Extra inputs are not permitted"}]}},
        InvalidRequest,
    ),
    (
        "mistral",
        400,
        {"object": "error", "message": "Unexpected role 'user' after role 'tool'", "code": None},
        MalformedHistory,
    ),
    ("vllm", 400, {"detail": "bad"}, InvalidRequest),
    ("vllm", 500, b"<html>oops</html>", Transient),
    ("vllm", 501, b"", Fatal),
    ("vllm", 418, [1], InvalidRequest),
]


@pytest.mark.parametrize(("row", "status", "body", "expected"), ERRORS)
def test_errors_get_their_type_by_code_first(row, status, body, expected):
    error = classified(_status_error(status, body), provider(row), now=NOW)
    assert expected is type(error)
    assert (row, status) == (error.backend, error.status)


def test_numbers_of_an_overflow_are_read():
    error = classified(_status_error(*ERRORS[10][1:3]), provider("xai"), now=NOW)
    assert (131072, 531812) == (error.limit, error.used)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"code": 429, "message": "Provider returned error"}, RateLimited),
        ({"code": "server_error", "message": "Sorry"}, Transient),
        ({"code": "rate_limit_exceeded", "message": "slow"}, RateLimited),
        ({"code": 400, "message": "context_length_exceeded"}, ContextOverflow),
        ({"code": "bio_policy", "message": "no"}, ContentFiltered),
        ({"message": "who knows"}, Transient),
        ({}, Transient),
    ],
)
def test_an_error_inside_a_stream_gets_its_type(payload, expected):
    assert expected is type(classified(ProviderError(payload), provider("openrouter"), now=NOW))


def test_what_the_provider_behind_a_gateway_said_is_shown():
    metadata = {"raw": "prompt is too long: 210000 tokens > 200000 maximum"}
    payload = {"code": 400, "message": "Provider returned error", "metadata": metadata}
    error = classified(ProviderError(payload), provider("openrouter"), now=NOW)
    assert (ContextOverflow, 200000, 210000) == (type(error), error.limit, error.used)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Fri, 15 Jan 2027 08:00:10 GMT"}, 10.0),
        ({"retry-after": "Fri, 15 Jan 2027 07:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
    ],
)
def test_the_time_to_wait_is_read(headers, seconds):
    assert seconds == retry_after(headers, now=NOW)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (httpx2.ReadError("gone"), Transient),
        (json.JSONDecodeError("?", "", 0), Transient),
        (UnicodeDecodeError("utf-8", b"", 0, 1, "?"), Transient),
        (KeyError("x"), Fatal),
    ],
)
def test_what_is_no_answer_gets_a_type(error, expected):
    assert expected is type(classified(error, provider("openai"), now=NOW))


# What is written about them


def test_the_readme_has_each_row():
    readme = importlib.metadata.metadata("massgen-openai").json["description"]
    for row in providers.ROWS:
        line = re.search(rf"^\| \[`{row.name}`\].*$", readme, re.MULTILINE)[0]
        assert row.title in line
        assert f"| {row.api} |" in line
        assert (f"`{row.key_env}`" if row.key_env else "none") in line
    assert len(providers.ROWS) == len(re.findall(r"^\| \[`", readme, re.MULTILINE))


def test_the_core_knows_what_to_install_for_each_name():
    known = {name for (kind, name), dist in KNOWN.items() if dist == "massgen-openai"}
    assert {row.name for row in providers.ROWS} == known
