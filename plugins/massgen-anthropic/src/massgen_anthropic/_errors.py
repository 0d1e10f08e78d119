"""Typed errors for what the Messages API and the HTTP client report; the key is in none of them.

Types of errors: Anthropic's documentation, "Errors".
"""

from __future__ import annotations

import json
import time
from http import HTTPStatus
from typing import Any, Final

import anthropic
import httpx2

from massgen_anthropic._blocks import PROVIDER
from massgen_core.backends import classify_text, retry_after, scrub, scrubbed
from massgen_core.errors import (
    AuthFailed,
    BackendError,
    ContentFiltered,
    ContextOverflow,
    Fatal,
    InvalidRequest,
    QuotaExceeded,
    RateLimited,
    Transient,
)

_SHOWN: Final = 500  # characters of a server's text
_OVERLOADED: Final = 529
_OF_STATUS: Final[dict[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.PAYMENT_REQUIRED: "billing_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.NOT_FOUND: "not_found_error",
    HTTPStatus.REQUEST_TIMEOUT: "timeout_error",
    HTTPStatus.CONFLICT: "api_error",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "request_too_large",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
    _OVERLOADED: "overloaded_error",
}
"""The type of an error that names none: a proxy's, say."""
_OF_KIND: Final[dict[str, type[BackendError]]] = {
    "api_error": Transient,
    "authentication_error": AuthFailed,
    "billing_error": QuotaExceeded,
    "gateway_timeout_error": Transient,
    "not_found_error": InvalidRequest,
    "overloaded_error": Transient,
    "permission_error": AuthFailed,
    "request_too_large": ContextOverflow,
    "timeout_error": Transient,
}
"""What a type says by itself; ``invalid_request_error`` needs the words."""
_KEY_HINT: Final = "Set backend.api_key, or backend.api_key_env to the variable with the key."
_HINTS: Final = {
    "authentication_error": _KEY_HINT,
    "permission_error": _KEY_HINT,
    "not_found_error": "Check model and backend.base_url.",
}
_FILTERED: Final = ("content filtering policy", "usage policy")


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
        case anthropic.APIStatusError():
            return _of_status(error, secrets)
        case anthropic.APITimeoutError() | httpx2.TimeoutException():
            return Transient("the server did not answer in time", backend=PROVIDER)
        case anthropic.APIConnectionError() | httpx2.TransportError() | httpx2.StreamError():
            cause = error.__cause__ or error
            what = scrubbed(str(cause), secrets) or type(cause).__name__
            return Transient(f"the connection to the server broke: {what}", backend=PROVIDER)
        case json.JSONDecodeError() | UnicodeDecodeError():
            return malformed(error)
        case _:
            text = scrubbed(f"{type(error).__name__}: {error}", secrets)
            return Fatal(text, backend=PROVIDER)


def malformed(error: Exception) -> Transient:
    """The error of a stream that holds something else than events."""
    return Transient(
        f"the server sent something that is no event: {type(error).__name__}", backend=PROVIDER
    )


def _of_status(error: anthropic.APIStatusError, secrets: tuple[str, ...]) -> BackendError:
    text = scrubbed(str(error.api_message or error.message), secrets)[:_SHOWN]
    status = None if error.status_code == HTTPStatus.OK else error.status_code
    about: dict[str, Any] = {"backend": PROVIDER, "status": status}
    kind = str(error.type or _OF_STATUS.get(error.status_code, ""))
    if kind == "rate_limit_error":
        wait = retry_after(error.response.headers, now=time.time())
        return RateLimited(text, retry_after=wait, **about)
    if (known := _OF_KIND.get(kind)) is not None:
        return known(text, hint=_HINTS.get(kind, ""), **about)
    return _by_text(text, kind, about)


def _by_text(text: str, kind: str, about: dict[str, Any]) -> BackendError:
    """An invalid request, of which only the words say in what way; or an unknown type."""
    if refusal := classify_text(text, code=kind, **about):
        return refusal
    if any(words in text.lower() for words in _FILTERED):
        return ContentFiltered(text, **about)
    status = about["status"]
    if status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Transient(text, **about)
    if kind == "invalid_request_error" or status is not None:
        return InvalidRequest(text, **about)
    return Fatal(text, **about)
