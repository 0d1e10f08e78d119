"""A provider of OpenAI's, Anthropic's and Gemini's wire formats on loopback, with faults on demand.

It is llmock in a process of its own, made stricter: see `massgen_core.testing._mock_server`.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

from massgen_core.errors import (
    AuthFailed,
    BackendError,
    ContextOverflow,
    Fatal,
    InvalidRequest,
    PackageMissing,
    QuotaExceeded,
    RateLimited,
    Transient,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Wire: TypeAlias = Literal["openai", "anthropic", "gemini"]
RETRY_AFTER: Final = 7
"""Seconds the fault ``rate_limit`` asks to wait."""
_PATHS: Final = {"openai": "/v1", "anthropic": "/anthropic", "gemini": "/gemini"}
_PATIENCE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which a provider fails, and what a backend must make of it.

    Attributes:
        name: How tests and tables call it.
        expected: The error a backend raises.
        behavior: What llmock is told; empty if it does not know this fault.
        own: The kind of fault that is added to llmock; empty if it knows it.
        late: Whether text comes before it.
        wires: The wire formats that know it.
    """

    name: str
    expected: tuple[type[BackendError], ...]
    behavior: Mapping[str, Any] | None = None
    own: str = ""
    late: bool = False
    wires: tuple[Wire, ...] = ("openai", "anthropic", "gemini")


def _fails(name: str, status: int, *expected: type[BackendError], **more: Any) -> Fault:
    wires = more.pop("wires", ("openai", "anthropic", "gemini"))
    return Fault(name, expected, {"type": "fail", "status": status, **more}, wires=wires)


def _breaks(name: str, after: int = 4) -> Fault:
    return Fault(
        name,
        (Transient,),
        {"type": "stream_fault", "kind": name, "after_chunks": after, "stall_seconds": 60},
        late=True,
    )


FAULTS: Final[Mapping[str, Fault]] = {
    fault.name: fault
    for fault in (
        _fails("rate_limit", 429, RateLimited, retry_after=RETRY_AFTER),
        _fails(
            "quota",
            429,
            QuotaExceeded,
            code="insufficient_quota",
            message="You exceeded your current quota, please check your plan and billing details.",
            wires=("openai",),
        ),
        _fails("unauthorized", 401, AuthFailed),
        _fails("forbidden", 403, AuthFailed),
        _fails("bad_request", 400, InvalidRequest, message="temperature must be at most 2"),
        _fails("not_found", 404, InvalidRequest),
        _fails("too_large", 413, ContextOverflow),
        _fails("server_error", 500, Transient),
        _fails("bad_gateway", 502, Transient),
        _fails("unavailable", 503, Transient),
        _fails("timeout", 504, Transient),
        _fails("overloaded", 529, Transient, wires=("anthropic",)),
        _fails("not_implemented", 501, Fatal, InvalidRequest, Transient),
        _breaks("disconnect"),
        _breaks("truncate"),
        _breaks("malformed"),
        _breaks("stall"),
        Fault("error_event", (Transient,), own="error_event", late=True),
        Fault("html", (Transient,), own="html"),
        Fault("empty", (Transient,), own="empty"),
        Fault("reset", (Transient,), own="reset"),
    )
}
"""Every fault there is, by name. A stalled stream is ended by `massgen_core.backends.Watched`."""


class MockProvider:
    """A running mock provider.

    Four characters of a prompt, and a word of an answer, are a token. Messages out of order and
    prompts above the window are refused in the provider's words; an answer ends at the tokens asked
    for. An offered tool is called once for each name (``Paris``) in the prompt; then there is text.

    Attributes:
        url: Its root.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def base(self, wire: str) -> str:
        """The base URL for a provider's SDK: one of `Wire`, or another that llmock speaks."""
        return self.url + _PATHS.get(wire, f"/{wire}/v1")

    @property
    def openai(self) -> str:
        """Base URL of the chat and Responses APIs."""
        return self.base("openai")

    @property
    def anthropic(self) -> str:
        """Base URL of the Messages API."""
        return self.base("anthropic")

    @property
    def gemini(self) -> str:
        """Base URL of the generateContent API."""
        return self.base("gemini")

    def inject(self, fault: str | Fault, *, times: int | None = 1, **changes: Any) -> None:
        """Makes the next requests fail.

        Args:
            fault: One of `FAULTS`.
            times: How many requests; None for all from now on (not for faults that are our own).
            changes: Fields of the behaviour, e.g. ``retry_after=1`` or ``after_chunks=2``.
        """
        known = FAULTS[fault] if isinstance(fault, str) else fault
        if known.own:
            one = {"kind": known.own, "after_chunks": 4, **changes}
            self._call("POST", "/_mock/faults", {"faults": [one] * (times or 1)})
        else:
            self.behave({**(known.behavior or {}), "times": times, **changes})

    def behave(self, *behaviors: Mapping[str, Any]) -> None:
        """Queues behaviours of llmock, e.g. ``{"type": "reply", "text": "Yes."}``."""
        self._call("POST", "/_llmock/scenario", {"behaviors": list(behaviors)})

    def requests(self) -> Sequence[Mapping[str, Any]]:
        """What was asked so far, oldest first: ``path``, ``body``, ``status``, ``fault``."""
        found: Sequence[Mapping[str, Any]] = self._call("GET", "/_llmock/requests")["requests"]
        return found

    def reset(self) -> None:
        """Forgets requests and faults."""
        self._call("POST", "/_llmock/reset")
        self._call("POST", "/_mock/faults", {"faults": [], "reset": True})

    def _call(self, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=_PATIENCE)
        try:
            connection.request(method, path, json.dumps(body or {}))
            response = connection.getresponse()
            found = response.read()
        finally:
            connection.close()
        if response.status >= http.client.BAD_REQUEST:
            raise ValueError(f"the mock provider refused {body!r}: {found.decode()}")
        return json.loads(found)


@contextmanager
def mock_provider(
    *,
    window: int | None = None,
    faults: Sequence[str | Fault] = (),
    pace: float = 1.0,
    strict: bool = True,
    requests_per_minute: int | None = None,
) -> Iterator[MockProvider]:
    """A provider in a process of its own, for as long as the block runs.

    Args:
        window: Tokens a prompt may have, at four characters a token.
        faults: What the first requests meet, one each.
        pace: How slow it is: at 1 a prompt takes up to 0.3 s and a word of a long answer 5 ms; at 0
            nothing takes time.
        strict: Whether messages out of order are refused.
        requests_per_minute: A real quota for each API key.

    Raises:
        PackageMissing: llmock is not installed.

    Examples:
        >>> with mock_provider(window=1000) as provider:
        ...     provider.inject("rate_limit", retry_after=1)
        ...     provider.openai.startswith("http://127.0.0.1:")
        True
    """
    if find_spec("llmock") is None:
        raise PackageMissing(
            "the mock provider needs llmock", package="llmock", hint="pip install llmock"
        )
    options = {"window": window, "pace": pace, "strict": strict, "rpm": requests_per_minute}
    command = [sys.executable, "-m", "massgen_core.testing._mock_server", json.dumps(options)]
    with subprocess.Popen(  # noqa: S603 - our own interpreter and program
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        if not url:
            raise RuntimeError("the mock provider did not start; its words are on standard error")
        provider = MockProvider(url)
        for fault in faults:
            provider.inject(fault)
        yield provider
