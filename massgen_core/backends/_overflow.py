"""Telling from a provider's words why it refused a request, for backends without typed errors."""

from __future__ import annotations

import re
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeAlias

from massgen_core._redact import scrubbed
from massgen_core.backends import _refusals as known
from massgen_core.errors import ContextOverflow, MalformedHistory, QuotaExceeded, RateLimited

if TYPE_CHECKING:
    from collections.abc import Sequence

Refusal: TypeAlias = ContextOverflow | MalformedHistory | RateLimited | QuotaExceeded

_QUOTES: Final = str.maketrans(dict.fromkeys('`"\u2018\u2019\u201c\u201d', "'"))
_SEPARATORS: Final = re.compile(r"\D")
_UNRELATED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})


def classify_text(
    message: str,
    *,
    code: str | int | None = None,
    status: int | None = None,
    retry_after: float | None = None,
    backend: str = "",
) -> Refusal | None:
    """The typed error for what a provider said; None if it is about something else.

    A code is believed before the words, and words before a status. A limit on the answer
    (``max_tokens must be at most 8192``) is no overflow; an answer that does not fit beside the
    prompt is one: `ContextOverflow.used` is the prompt, `ContextOverflow.answer` the rest.

    Args:
        message: The provider's text, or the body of its answer; may be empty.
        code: The error's code or type, if it has one.
        status: HTTP status, if there was one.
        retry_after: Seconds from the header of that name; read from the text if omitted.
        backend: Registered name of the backend, for the error.

    Examples:
        >>> error = classify_text("prompt is too long: 213462 tokens > 200000 maximum", status=400)
        >>> type(error).__name__, error.used, error.limit
        ('ContextOverflow', 213462, 200000)
    """
    text = message.translate(_QUOTES)
    kind = _kind(text, str(code or "").lower(), status)
    shown = scrubbed(message) or f"HTTP status {status}"
    match kind:
        case "overflow":
            limit, used, answer = _sizes(text)
            return ContextOverflow(
                shown, limit=limit, used=used, answer=answer, backend=backend, status=status
            )
        case "malformed":
            return MalformedHistory(shown, backend=backend, status=status)
        case "rate":
            wait = _seconds(text) if retry_after is None else retry_after
            return RateLimited(shown, retry_after=wait, backend=backend, status=status)
        case "quota":
            return QuotaExceeded(shown, backend=backend, status=status)
        case _:
            return None


def _kind(text: str, code: str, status: int | None) -> str:
    """``overflow``, ``malformed``, ``rate``, ``quota``; empty for anything else."""
    for kind, codes in (
        ("overflow", known.OVERFLOW_CODES),
        ("quota", known.QUOTA_CODES),
        ("rate", known.RATE_CODES),
    ):
        if code in codes:
            return kind
    if _found(known.MALFORMED, text):
        return "malformed"
    return _busy(text, status) or _too_long(text, status)


def _busy(text: str, status: int | None) -> str:
    if _found(known.RATE, text):
        return "rate"
    if status == HTTPStatus.PAYMENT_REQUIRED or _found(known.QUOTA, text):
        return "quota"
    return "rate" if status == HTTPStatus.TOO_MANY_REQUESTS else ""


def _too_long(text: str, status: int | None) -> str:
    above_500 = status is not None and status > HTTPStatus.INTERNAL_SERVER_ERROR
    if status in _UNRELATED or above_500 or _found(known.PASSING, text):
        return ""
    too_long = status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or _found(known.OVERFLOW, text)
    return "overflow" if too_long else ""


def _found(signs: Sequence[known.Sign], text: str) -> bool:
    return _compiled(tuple(signs)).search(text) is not None


@lru_cache
def _compiled(signs: tuple[known.Sign, ...]) -> re.Pattern[str]:
    return known.any_of(signs)


def _sizes(text: str) -> tuple[int | None, int | None, int | None]:
    """Limit, prompt and answer in tokens, as far as they are named."""
    limit, used = _number(known.LIMITS, text), _number(known.USED, text)
    return limit, used, _number(known.ANSWERS, text)


def _number(patterns: Sequence[str], text: str) -> int | None:
    for pattern in patterns:
        if match := re.search(pattern, text, re.IGNORECASE):
            found = match["n"] if "n" in match.re.groupindex else match[1]
            return int(_SEPARATORS.sub("", found)) or None
    return None


def _seconds(text: str) -> float | None:
    for pattern in known.WAITS:
        if match := re.search(pattern, text, re.IGNORECASE):
            named = {key: float(value) for key, value in match.groupdict().items() if value}
            return named.get("m", 0) * 60 + named.get("s", 0) + named.get("ms", 0) / 1000
    return None
