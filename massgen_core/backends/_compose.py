"""The one place that says in which order backends are wrapped."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from massgen_core._redact import looks_secret
from massgen_core.backends._breaker import Circuit, Guarded
from massgen_core.backends._limit import Limited, Limiter
from massgen_core.backends._retry import Retrying
from massgen_core.backends._turns import Turns
from massgen_core.backends._watch import Watched
from massgen_core.backends._wrapper import Timing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_core.backends._protocol import Backend

_PLACES: Final = frozenset(
    {"base_url", "url", "endpoint", "host", "azure_endpoint", "organization", "project", "region"}
)
"""Settings that say, with the secret ones, whose account is used and where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How patient a caller is with a backend; see the settings of the same names.

    Attributes:
        attempts: How often a request is sent at most; 1 never sends one again.
        most_wait: Seconds of the longest wait chosen by chance.
        deadline: Seconds after which no further attempt begins.
        idle: Seconds to wait for the next event; None for ever.
        call: Seconds to wait for all events of an answer together; None for ever.
        requests_per_minute: None for no limit, as for the next two.
        tokens_per_minute: Prompt and answer.
        requests_per_day: Counted in this process.
        failures: In a row, after which a backend is not asked for a while; 0 always asks.
        pause: Seconds of that while.
    """

    attempts: int = 5
    most_wait: float = 60.0
    deadline: float = 300.0
    idle: float | None = 300.0
    call: float | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    requests_per_day: int | None = None
    failures: int = 10
    pause: float = 30.0


@dataclass(slots=True)
class _Endpoint:
    limiter: Limiter
    circuit: Circuit | None


@dataclass(slots=True)
class Endpoints:
    """Limits and circuits that all who ask the same endpoint share.

    Attributes:
        timing: Time and chance, for all of them.

    Examples:
        >>> from massgen_core.testing import ScriptedBackend
        >>> Endpoints().wrap(ScriptedBackend(), Policy(), "scripted")  # doctest: +ELLIPSIS
        <Retrying <Guarded <Limited <Watched <massgen_core.testing._scripted...>>>>>
    """

    timing: Timing = field(default_factory=Timing)
    _turns: Turns = field(default_factory=Turns)
    _known: dict[str, _Endpoint] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wrap(self, backend: Backend, policy: Policy, endpoint: str) -> Backend:
        """The backend with patience: it retries, keeps to limits, and gives up on what is down.

        From the outside in: each attempt of a retry asks the circuit, then waits for its turn; the
        time it waits for the provider is watched.

        Args:
            backend: What the plugin made.
            policy: How patient.
            endpoint: Who is asked with which key, see `endpoint_of`. The first policy given for an
                endpoint says its limits.
        """
        shared = self._of(endpoint, policy)
        timing = self.timing
        wrapped: Backend = Watched(backend, idle=policy.idle, call=policy.call, turns=self._turns)
        wrapped = Limited(wrapped, shared.limiter, most=policy.deadline, timing=timing)
        if shared.circuit is not None:
            wrapped = Guarded(wrapped, shared.circuit)
        return Retrying(
            wrapped,
            attempts=policy.attempts,
            most=policy.most_wait,
            deadline=policy.deadline,
            timing=timing,
        )

    def _of(self, endpoint: str, policy: Policy) -> _Endpoint:
        with self._lock:
            if endpoint not in self._known:
                self._known[endpoint] = self._new(policy)
            return self._known[endpoint]

    def _new(self, policy: Policy) -> _Endpoint:
        limiter = Limiter(
            requests_per_minute=policy.requests_per_minute,
            tokens_per_minute=policy.tokens_per_minute,
            requests_per_day=policy.requests_per_day,
            timing=self.timing,
        )
        circuit = None
        if policy.failures:
            circuit = Circuit(failures=policy.failures, pause=policy.pause, timing=self.timing)
        return _Endpoint(limiter, circuit)


def endpoint_of(name: str, settings: Mapping[str, object]) -> str:
    """Which endpoint and account a backend with these settings asks; no secret can be read in it.

    Args:
        name: Registered name of the backend.
        settings: Its own settings. Only those that say where and with which key it asks count.

    Examples:
        >>> one = endpoint_of("openai", {"api_key": "a", "temperature": 0})
        >>> one == endpoint_of("openai", {"api_key": "a"}), one == endpoint_of("openai", {})
        (True, False)
    """
    said = {
        key: _plain(value)
        for key, value in settings.items()
        if value is not None and (key in _PLACES or looks_secret(key))
    }
    if not said:
        return name
    digest = hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()
    return f"{name}-{digest[:16]}"


def _plain(value: object) -> object:
    reveal = getattr(value, "get_secret_value", None)
    return value if reveal is None else reveal()
