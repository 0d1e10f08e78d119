"""Stops asking a backend that is down."""

from __future__ import annotations

import threading
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from massgen_core.backends._wrapper import Timing, Wrapper
from massgen_core.errors import BackendError, CircuitOpen, RateLimited, Transient
from massgen_core.events import CircuitOpened

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from massgen_core.backends._protocol import Backend, Request
    from massgen_core.events import BackendEvent

_SOON: Final = 1.0  # seconds after which to look again while another request tries the backend


class Circuit:
    """Whether a backend may be asked; shared by all that ask the same endpoint.

    *Closed*: all may. *Open*: it failed too often in a row, nobody may for a while. *Half-open*:
    that while is over, one request tries; if it succeeds the circuit is closed, else open again.

    Args:
        failures: Failures in a row that open it.
        pause: Seconds it stays open.
        timing: Time.

    Examples:
        >>> circuit = Circuit(failures=1, pause=30)
        >>> circuit.failed(), circuit.state
        (True, 'open')
    """

    def __init__(
        self, *, failures: int = 10, pause: float = 30.0, timing: Timing | None = None
    ) -> None:
        self.most = failures
        self.pause = pause
        self.failures = 0
        self._clock = (timing or Timing()).clock
        self._lock = threading.Lock()
        self._opened: float | None = None
        self._trying = False

    @property
    def state(self) -> str:
        """``closed``, ``open`` or ``half-open``."""
        if self._opened is None:
            return "closed"
        return "open" if self._left() > 0 else "half-open"

    def enter(self) -> tuple[float, bool]:
        """Seconds after which to look again, 0 if the backend may be asked; and whether as a trial.

        Who is let in says in the end that it `failed`, `succeeded` or `gave_up`.
        """
        with self._lock:
            if self._opened is None:
                return 0.0, False
            if (left := self._left()) > 0:
                return left, False
            if self._trying:
                return _SOON, False
            self._trying = True
            return 0.0, True

    def failed(self, *, trial: bool = False) -> bool:
        """Counts a failure; whether it opened the circuit."""
        with self._lock:
            self.failures += 1
            if trial:
                self._trying = False
            tried = trial and self._opened is not None  # else an earlier request closed it
            if not tried and (self._opened is not None or self.failures < self.most):
                return False
            self._opened = self._clock.monotonic()
            return True

    def succeeded(self) -> None:
        """The backend works."""
        with self._lock:
            self.failures, self._opened, self._trying = 0, None, False

    def gave_up(self, *, trial: bool) -> None:
        """Nothing was learnt of the backend; another request may try it."""
        with self._lock:
            self._trying = self._trying and not trial

    def _left(self) -> float:
        opened = self._opened
        return 0.0 if opened is None else opened + self.pause - self._clock.monotonic()


class Guarded(Wrapper):
    """A backend that is not asked while its circuit is open: `CircuitOpen` is raised at once.

    Only faults of the provider (`Transient`) open it. An answer closes it, and so does a refusal:
    who refuses, works. `RateLimited` does neither.

    Args:
        inner: The backend.
        circuit: Shared by all that ask the same endpoint.
    """

    def __init__(self, inner: Backend, circuit: Circuit) -> None:
        super().__init__(inner)
        self._circuit = circuit

    async def stream(self, request: Request, /) -> AsyncGenerator[BackendEvent, None]:
        """The events of the wrapped backend, if it may be asked."""
        circuit = self._circuit
        wait, trial = circuit.enter()
        if wait:
            raise CircuitOpen(
                f"{self.name!r} failed {circuit.failures} times in a row; "
                f"it is not asked for {wait:.0f} s",
                retry_after=wait,
                backend=self.name,
                hint="Try again then, or name another model in agent.fallbacks.",
            )
        known = False
        try:
            async with aclosing(self.inner.stream(request)) as events:
                async for event in events:
                    yield event
            known = True
            circuit.succeeded()
        except Transient:
            known = True
            if circuit.failed(trial=trial):
                yield CircuitOpened(self.name, circuit.failures, circuit.pause)
            raise
        except RateLimited:  # it may be our own limit: nothing is learnt
            raise
        except BackendError:
            known = True
            circuit.succeeded()
            raise
        finally:
            if not known:
                circuit.gave_up(trial=trial)
