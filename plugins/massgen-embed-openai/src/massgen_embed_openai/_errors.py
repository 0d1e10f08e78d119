"""Typed errors for what servers say; the key is in none of them."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from massgen_core.backends import classify_text, retry_after
from massgen_core.errors import AuthFailed, BackendError, Fatal, InvalidRequest, Transient

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME: Final = "openai_embeddings"
_SHOWN: Final = 500  # characters of a server's text
_PASSING: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY})


def refused(status: int, headers: Mapping[str, str], body: bytes, *, now: float) -> BackendError:
    """The typed error of an answer that holds no vectors.

    Args:
        status: HTTP status.
        headers: The answer's headers, names in lower case or found in any case.
        body: What came with it.
        now: Seconds since the epoch, to understand a date in ``Retry-After``.
    """
    text, code = _said(body)
    if status == HTTPStatus.OK and code.isdecimal():
        status = int(code)  # a gateway passes on what another server said
    text = f"HTTP {status}: {text}" if text else f"HTTP {status}"
    about: dict[str, Any] = {"backend": NAME, "status": status}
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        hint = "Set embedder.api_key, or embedder.api_key_env to the variable that holds the key."
        return AuthFailed(text, hint=hint, **about)
    wait = retry_after(headers, now=now)
    if refusal := classify_text(text, code=code, retry_after=wait, **about):
        return refusal
    if status == HTTPStatus.NOT_FOUND:
        return InvalidRequest(text, hint="Check embedder.base_url and embedder.model.", **about)
    if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Transient(text, **about)
    if status >= HTTPStatus.BAD_REQUEST:
        return InvalidRequest(text, **about)
    hint = "Check embedder.base_url: it must name the server itself."
    return Fatal(text, hint=hint, **about)


def _said(body: bytes) -> tuple[str, str]:
    """The text and the code of an error, as far as the body has them."""
    text = body.decode("utf-8", "replace")
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError):
        return text[:_SHOWN], ""
    error = payload.get("error", payload) if isinstance(payload, dict) else payload
    if not isinstance(error, dict):
        return str(error)[:_SHOWN], ""
    said = error.get("message") or error.get("detail") or error
    return str(said)[:_SHOWN], str(error.get("code") or error.get("type") or "")
