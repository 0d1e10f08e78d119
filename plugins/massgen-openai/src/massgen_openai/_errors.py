"""Typed errors for what providers report: by exception type and code first, by their words last."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import httpx2
import openai

from massgen_core.backends import classify_text, retry_after, scrub, scrubbed
from massgen_core.errors import (
    AuthFailed,
    BackendError,
    ContentFiltered,
    ContextOverflow,
    Fatal,
    InvalidRequest,
    MalformedHistory,
    QuotaExceeded,
    RateLimited,
    Transient,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_openai._provider import ErrorKind, Provider

_SHOWN: Final = 2000  # characters of a provider's text
_COMMON: Final[Mapping[str, ErrorKind]] = {
    "account_deactivated": "auth",
    "invalid_api_key": "auth",
    "authentication_error": "auth",
    "permission_error": "auth",
    "bio_policy": "filtered",
    "content_filter": "filtered",
    "content_policy_violation": "filtered",
    "invalid_prompt": "filtered",
    "misalignment_policy_violation": "filtered",
    "moderation_blocked": "filtered",
    "model_not_found": "invalid",
    "overloaded_error": "transient",
    "server_error": "transient",
    "server_overloaded": "transient",
    "service_unavailable": "transient",
    "vector_store_timeout": "transient",
}
"""Codes and types that mean the same wherever they are used (OpenAI's API reference, mostly)."""
_PASSING: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY})


_BROKEN: Final = (
    openai.APIConnectionError,
    httpx2.HTTPError,
    httpx2.StreamError,
    json.JSONDecodeError,
    UnicodeDecodeError,
)


class ProviderError(Exception):
    """An error object in the middle of a stream."""

    def __init__(self, payload: Mapping[str, Any]) -> None:
        super().__init__(str(payload.get("message") or payload))
        self.payload = payload


def classified(
    error: BaseException, provider: Provider, *, now: float, secrets: tuple[str, ...] = ()
) -> BackendError:
    """The typed error of any exception; no secret is left in it, nor in the exception.

    Args:
        error: What the SDK, the HTTP client or a reader raised.
        provider: Whose codes to know.
        now: Seconds since the epoch, to understand a date in ``Retry-After``.
        secrets: Texts that must not be shown.
    """
    found = _typed(error, provider, now, secrets)
    scrub(error, secrets)
    return found


def _typed(
    error: BaseException, provider: Provider, now: float, secrets: tuple[str, ...]
) -> BackendError:
    match error:
        case BackendError():
            return error
        case openai.APIStatusError():
            wait = retry_after(error.response.headers, now=now)
            return _refused(_body(error), error.status_code, wait, provider, secrets)
        case _ if isinstance(error, _BROKEN):
            text = f"{provider.title} {_what_broke(error)}"
            return Transient(scrubbed(text, secrets), backend=provider.name)
        case openai.APIError() | ProviderError():
            return _refused(_payload(error), None, None, provider, secrets)
        case _:
            text = scrubbed(f"{type(error).__name__}: {error}", secrets)
            return Fatal(text, backend=provider.name)


def _refused(
    body: Mapping[str, Any],
    status: int | None,
    wait: float | None,
    provider: Provider,
    secrets: tuple[str, ...],
) -> BackendError:
    text = scrubbed(_said(body), secrets)
    codes = [str(body[key]).lower() for key in ("code", "type") if body.get(key)]
    if status is None and codes and codes[0].isdecimal():
        number = int(codes[0])
        status = number if number in {*HTTPStatus} else None
    kind = _known([*codes, str(status)], provider.errors) or _known(codes, _COMMON)
    if kind is None:
        for code in codes or [""]:
            if found := classify_text(
                text, code=code, status=status, retry_after=wait, backend=provider.name
            ):
                return found
        kind = _by_status(status)
    return _error(kind, text or f"HTTP status {status}", status, wait, provider)


def _known(codes: list[str], table: Mapping[str, ErrorKind]) -> ErrorKind | None:
    return next((table[code] for code in codes if code in table), None)


def _by_status(status: int | None) -> ErrorKind:
    if status is None or status in _PASSING:
        return "transient"  # an error inside a stream that no table knows
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return "auth"
    if status == HTTPStatus.NOT_IMPLEMENTED:
        return "fatal"
    return "transient" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid"


def _error(
    kind: ErrorKind, text: str, status: int | None, wait: float | None, provider: Provider
) -> BackendError:
    about: dict[str, Any] = {"backend": provider.name, "status": status}
    match kind:
        case "overflow":
            code = "context_length_exceeded"
            found = classify_text(text, code=code, status=status, backend=provider.name)
            return found or ContextOverflow(text, **about)
        case "rate":
            return RateLimited(text, retry_after=wait, **about)
        case "auth":
            where = f"Set {provider.key_env}, " if provider.key_env else "Set "
            hint = f"{where}backend.api_key, or backend.api_key_env to the variable that holds it."
            return AuthFailed(text, hint=hint, **about)
        case "malformed":
            return MalformedHistory(f"sealed reasoning was refused: {text}", **about)
        case "invalid" if status == HTTPStatus.NOT_FOUND:
            hint = "Check backend.model and the address of the server."
            return InvalidRequest(text, hint=hint, **about)
        case _:
            return _PLAIN[kind](text, **about)


_PLAIN: Final[Mapping[str, type[BackendError]]] = {
    "quota": QuotaExceeded,
    "invalid": InvalidRequest,
    "filtered": ContentFiltered,
    "transient": Transient,
    "fatal": Fatal,
}


def _body(error: openai.APIStatusError) -> Mapping[str, Any]:
    """The error object of an answer: OpenAI nests it, Mistral does not, xAI puts a text there."""
    try:
        whole = json.loads(error.response.content)
    except (ValueError, RecursionError):
        return {"message": error.response.text}
    if not isinstance(whole, dict):
        return {"message": str(whole)}
    inner = whole.get("error")
    if isinstance(inner, dict):
        return inner
    return {**whole, "message": inner} if isinstance(inner, str) else whole


def _said(body: Mapping[str, Any]) -> str:
    said = body.get("message") or body.get("detail") or body.get("msg") or ""
    text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
    metadata = body.get("metadata")
    if isinstance(metadata, dict) and isinstance(raw := metadata.get("raw"), str):
        text = f"{text}: {raw}"  # OpenRouter: what the provider behind it said
    return text.strip()[:_SHOWN]


def _payload(error: openai.APIError | ProviderError) -> Mapping[str, Any]:
    if isinstance(error, ProviderError):
        return error.payload
    return error.body if isinstance(error.body, dict) else {"message": error.message}


def _what_broke(error: BaseException) -> str:
    if isinstance(error, openai.APITimeoutError):
        return "said nothing for too long"
    if isinstance(error, ValueError):
        return "sent a broken chunk"
    inner = error.__cause__ or error
    return f"cannot be reached, or broke off: {str(inner) or type(inner).__name__}"
