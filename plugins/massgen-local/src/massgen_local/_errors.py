"""Typed errors for what llama-server and the HTTP client report."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import httpx

from massgen_core.backends import classify_text
from massgen_core.errors import (
    AuthFailed,
    BackendError,
    Fatal,
    InvalidRequest,
    Transient,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME: Final = "local"


class ServerError(Exception):
    """An error object that llama-server sent, as an answer of its own or inside a stream."""

    def __init__(self, payload: Mapping[str, Any], status: int | None = None) -> None:
        super().__init__(str(payload.get("message") or payload))
        self.payload = payload
        self.status = status


def server_error(body: bytes, status: int) -> ServerError:
    """The error of an answer with an error status."""
    try:
        payload = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        payload = None
    if not isinstance(payload, dict):
        payload = {"message": body.decode("utf-8", "replace")[:500]}
    return ServerError(payload, status)


def classified(error: BaseException) -> BackendError:
    """The typed error of any exception."""
    match error:
        case BackendError():
            return error
        case ServerError():
            return _of_server(error)
        case httpx.TransportError():
            what = str(error) or type(error).__name__
            return Transient(f"the connection to the local server broke: {what}", backend=_NAME)
        case _:
            return Fatal(f"{type(error).__name__}: {error}", backend=_NAME)


def _of_server(error: ServerError) -> BackendError:
    text, payload = str(error), error.payload
    code = payload.get("code")
    status = code if isinstance(code, int) else error.status
    if refusal := classify_text(text, code=payload.get("type"), status=status, backend=_NAME):
        return refusal
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return AuthFailed(text, backend=_NAME, status=status)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return Transient(text, backend=_NAME, status=status)
    if status is not None and HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return InvalidRequest(text, backend=_NAME, status=status)
    return Fatal(text, backend=_NAME, status=status)
