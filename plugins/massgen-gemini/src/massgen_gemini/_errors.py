"""Typed errors for what the generateContent API and the HTTP client report, never with the key.

Statuses: google.rpc.Code; details: google.rpc.ErrorInfo, RetryInfo and QuotaFailure.
"""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Any, Final

import httpx2
from google.genai import errors
from pydantic import ValidationError

from massgen_core.backends import classify_text, retry_after, scrub, scrubbed
from massgen_core.errors import (
    AuthFailed,
    BackendError,
    ContextOverflow,
    Fatal,
    InvalidRequest,
    QuotaExceeded,
    RateLimited,
    Transient,
)
from massgen_gemini._parts import PROVIDER

_SHOWN: Final = 500  # characters of a server's text
_KEY_HINT: Final = "Set backend.api_key, or backend.api_key_env to the variable with the key."
_OF_STATUS: Final[dict[str, tuple[type[BackendError], str]]] = {
    "ABORTED": (Transient, ""),
    "CANCELLED": (Transient, ""),
    "DEADLINE_EXCEEDED": (Transient, ""),
    "INTERNAL": (Transient, ""),
    "NOT_FOUND": (InvalidRequest, "Check model and backend.base_url."),
    "PERMISSION_DENIED": (AuthFailed, _KEY_HINT),
    "UNAUTHENTICATED": (AuthFailed, _KEY_HINT),
    "UNAVAILABLE": (Transient, ""),
    "UNIMPLEMENTED": (InvalidRequest, ""),
    "UNKNOWN": (Transient, ""),
}
"""What a status says by itself; INVALID_ARGUMENT needs the words."""


def classified(error: BaseException, secrets: tuple[str, ...] = ()) -> BackendError:
    """The typed error of any exception; no secret is left in it, nor in the exception.

    Args:
        error: What was raised.
        secrets: Texts that must not be shown.
    """
    found = _typed(error, secrets)
    scrub(error, secrets)
    return found


def _typed(error: BaseException, secrets: tuple[str, ...]) -> BackendError:
    match error:
        case BackendError():
            return error
        case errors.APIError():
            return _of_api(error, secrets)
        case httpx2.TimeoutException():
            return Transient("the server did not answer in time", backend=PROVIDER)
        case httpx2.TransportError() | httpx2.StreamError():
            what = scrubbed(str(error), secrets) or type(error).__name__
            return Transient(f"the connection to the server broke: {what}", backend=PROVIDER)
        case errors.UnknownApiResponseError() | ValidationError() | UnicodeDecodeError():
            return malformed(error)
        case _:
            text = scrubbed(f"{type(error).__name__}: {error}", secrets)
            return Fatal(text, backend=PROVIDER)


def malformed(error: BaseException) -> Transient:
    """The error of a stream that holds something else than chunks."""
    return Transient(
        f"the server sent something that is no chunk: {type(error).__name__}", backend=PROVIDER
    )


def _of_api(error: errors.APIError, secrets: tuple[str, ...]) -> BackendError:
    text = scrubbed(str(error.message or error), secrets)[:_SHOWN]
    code = int(error.code) if str(error.code).isdecimal() else None
    about: dict[str, Any] = {"backend": PROVIDER, "status": code}
    details = _details(error)
    if any(each.get("reason") in ("API_KEY_INVALID", "API_KEY_EXPIRED") for each in details):
        return AuthFailed(text, hint=_KEY_HINT, **about)
    if code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return ContextOverflow(text, **about)
    status = str(error.status or "")
    if status == "RESOURCE_EXHAUSTED" or code == HTTPStatus.TOO_MANY_REQUESTS:
        return _exhausted(error, details, text, about)
    if (known := _OF_STATUS.get(status)) is not None:
        kind, hint = known
        return kind(text, hint=hint, **about)
    return _by_text(text, about)


def _exhausted(
    error: errors.APIError, details: list[dict[str, Any]], text: str, about: dict[str, Any]
) -> BackendError:
    """A quota a minute passes by waiting, one a day does not; the details say which it is."""
    quotas = [quota for each in details for quota in _objects(each.get("violations"))]
    named = [f"{quota.get('quotaId')} {quota.get('quotaMetric')}".lower() for quota in quotas]
    if any("perday" in name or "per_day" in name for name in named):
        return QuotaExceeded(text, **about)
    wait = next((_seconds(each["retryDelay"]) for each in details if "retryDelay" in each), None)
    if wait is None:
        wait = retry_after(getattr(error.response, "headers", {}), now=time.time())
    if named or wait is not None:
        return RateLimited(text, retry_after=wait, **about)
    return classify_text(text, **about) or RateLimited(text, **about)


def _by_text(text: str, about: dict[str, Any]) -> BackendError:
    """An invalid request, of which only the words say in what way; or a status nobody knows."""
    if refusal := classify_text(text, **about):
        return refusal
    code = about["status"]
    if code is not None and code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Transient(text, **about)
    if code is not None and code >= HTTPStatus.BAD_REQUEST:
        return InvalidRequest(text, **about)
    return Fatal(text, **about)


def _details(error: errors.APIError) -> list[dict[str, Any]]:
    body = error.details
    inner = body.get("error", body) if isinstance(body, dict) else {}
    return _objects(inner.get("details")) if isinstance(inner, dict) else []


def _objects(value: object) -> list[dict[str, Any]]:
    """The JSON objects of a list; a gateway may send anything in its place."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _seconds(text: str) -> float | None:
    try:
        return max(0.0, float(str(text).removesuffix("s")))
    except ValueError:
        return None
