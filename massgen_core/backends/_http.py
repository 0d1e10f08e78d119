"""The typed error of an HTTP answer, for backends that speak HTTP themselves."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from massgen_core._redact import scrubbed
from massgen_core.backends._headers import retry_after
from massgen_core.backends._overflow import classify_text
from massgen_core.errors import AuthFailed, BackendError, Fatal, InvalidRequest, Transient

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping

_PASSING: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, 425})
_REST: Final = 1.0  # seconds in which a server should end what it has said the end of
_STATUSES: Final = range(400, 600)
_MOST: Final = 500  # characters of a body that is no JSON


def classify_http(
    status: int,
    body: str,
    headers: Mapping[str, str] | None = None,
    *,
    backend: str = "",
    secrets: Iterable[str] = (),
) -> BackendError:
    """The typed error of an answer with an error status, or of an error inside a stream.

    The code in the body is believed before the words, the words before the status; see
    `classify_text`.

    Args:
        status: The HTTP status; of an error inside a stream, whose status is none, the one that the
            body names.
        body: Text of the answer: JSON as OpenAI, Anthropic or Google write it, or anything.
        headers: Of the answer; ``retry-after`` is looked for.
        backend: Registered name of the backend, for the error.
        secrets: What the words may not show, e.g. the key; what looks like one is never shown.

    Examples:
        >>> body = '{"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded"}}'
        >>> error = classify_http(429, body, {"retry-after": "2"})
        >>> type(error).__name__, error.retry_after
        ('RateLimited', 2.0)
    """
    message, code, named = _said(body)
    if status < HTTPStatus.BAD_REQUEST:
        status = named or status
    message = scrubbed(message or f"HTTP status {status}", secrets)
    refusal = classify_text(
        message,
        code=code,
        status=status,
        retry_after=retry_after(
            {name.lower(): value for name, value in (headers or {}).items()}, now=time.time()
        ),
        backend=backend,
    )
    if refusal is not None:
        return refusal
    cls: type[BackendError] = Fatal
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        cls = AuthFailed
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _PASSING:
        cls = Transient
    elif status >= HTTPStatus.BAD_REQUEST:
        cls = InvalidRequest
    return cls(message, backend=backend, status=status)


async def sse_json(chunks: AsyncIterable[bytes]) -> AsyncGenerator[dict[str, Any], None]:
    r"""The JSON objects in a stream of server-sent events, as they are complete.

    Only CR LF and LF end a line, so that a text may hold any other line break of Unicode. What is
    no JSON object is left out if it is the word ``[DONE]``. After the WHATWG HTML standard, section
    9.2.

    Raises:
        JSONDecodeError: A piece of data is no JSON object.

    Examples:
        >>> import asyncio
        >>> async def pieces():
        ...     for piece in (b'data: {"a"', b": 1}", b"\n\ndata: [DONE]", b"\n\n"):
        ...         yield piece
        >>> async def main():
        ...     return [one async for one in sse_json(pieces())]
        >>> asyncio.run(main())
        [{'a': 1}]
    """
    begun, data = list[bytes](), list[bytes]()
    async for chunk in chunks:
        begun.append(chunk)
        if b"\n" not in chunk:
            continue
        *lines, rest = b"".join(begun).split(b"\n")
        begun = [rest]
        for line in (one.removesuffix(b"\r") for one in lines):
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
            elif not line and data:
                said, data = b"\n".join(data), []
                if said != b"[DONE]":
                    yield _object(said)


async def read_rest(chunks: AsyncIterable[object], *failures: type[Exception]) -> None:
    """Reads what is left of an answer that is complete, so that its connection can be used again.

    Args:
        chunks: The rest; no more of it is waited for than a second.
        failures: What may be raised meanwhile, for it takes nothing from the answer.
    """
    with suppress(TimeoutError, *failures):
        async with asyncio.timeout(_REST):
            async for _ in chunks:
                pass


def _object(said: bytes) -> dict[str, Any]:
    found = json.loads(said)
    if not isinstance(found, dict):
        raise json.JSONDecodeError("expected an object", said.decode("utf-8", "replace"), 0)
    return found


def _said(body: str) -> tuple[str, str, int]:
    """The message, the code or type, and the HTTP status that an error body names, 0 for none."""
    try:
        found: Any = json.loads(body)
    except ValueError:
        return " ".join(body[:_MOST].split()), "", 0
    if isinstance(found, list) and found:  # Google sends a list of one where it would stream
        found = found[0]
    inner = found.get("error", found) if isinstance(found, dict) else found
    if not isinstance(inner, dict):
        return str(inner)[:_MOST], "", 0
    numbers = [each for each in (inner.get("code"), inner.get("status")) if type(each) is int]
    named = next((each for each in numbers if each in _STATUSES), 0)
    code = inner.get("code") if isinstance(inner.get("code"), str) else inner.get("type")
    return str(inner.get("message") or ""), str(code or ""), named
