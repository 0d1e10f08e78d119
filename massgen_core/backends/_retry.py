"""Sends requests again that failed for a passing reason."""

from __future__ import annotations

import copy
from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from massgen_core.backends._wrapper import Timing, Wrapper
from massgen_core.errors import CircuitOpen, ContextOverflow, RateLimited, Transient
from massgen_core.events import CircuitOpened, Waiting

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from massgen_core.backends._protocol import Backend, Request
    from massgen_core.errors import BackendError
    from massgen_core.events import BackendEvent

_FIRST: Final = 1.0
"""Seconds; the longest wait doubles from here with each attempt."""
_SPREAD: Final = 0.1
"""Share of a wait the provider asked for that is added by chance, so that not all come at once."""
_REMEMBERED: Final = 8


class Retrying(Wrapper):
    """A backend that sends a request again after a fault that is likely to pass.

    What is sent again: a request that failed with `Transient` or `RateLimited` before anything of
    the answer came. The wait is chosen by chance between nothing and a limit that doubles ("full
    jitter", https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), or is what
    the provider asked for and a little more. Each wait is told by a `Waiting` event.

    A request that was too long once is not sent again at all.

    Args:
        inner: The backend.
        attempts: How often a request is sent at most.
        most: Seconds of the longest wait that is chosen by chance.
        deadline: Seconds from the first attempt after which none begins; a wait that would end
            later is not begun.
        timing: Time and chance.

    Examples:
        >>> import asyncio
        >>> from massgen_core.backends import Request
        >>> from massgen_core.messages import user
        >>> from massgen_core.testing import ScriptedBackend
        >>> busy = RateLimited("slow down", retry_after=0.01)
        >>> backend = Retrying(ScriptedBackend([busy, "Hello."]))
        >>> async def ask():
        ...     async for event in backend.stream(Request("scripted", (user("Hi"),))):
        ...         print(event.kind)
        >>> asyncio.run(ask())
        backend.waiting
        backend.text_delta
        backend.usage
        backend.finished
    """

    def __init__(
        self,
        inner: Backend,
        *,
        attempts: int = 5,
        most: float = 60.0,
        deadline: float = 300.0,
        timing: Timing | None = None,
    ) -> None:
        super().__init__(inner)
        self._attempts = attempts
        self._most = most
        self._deadline = deadline
        self._timing = timing or Timing()
        self._refused: deque[tuple[Request, ContextOverflow]] = deque(maxlen=_REMEMBERED)

    async def stream(self, request: Request, /) -> AsyncGenerator[BackendEvent, None]:
        """The events of the attempt that brings the first one."""
        self._check_is_new(request)
        now = self._timing.clock.monotonic
        end, attempt, begun = now() + self._deadline, 0, False
        while True:
            attempt += 1
            try:
                async with aclosing(self.inner.stream(request)) as events:
                    async for event in events:
                        begun = begun or not isinstance(event, Waiting | CircuitOpened)
                        yield event
            except ContextOverflow as exc:
                self._refused.append((request, exc))
                raise
            except (Transient, RateLimited) as exc:
                wait = self._wait(exc, attempt)
                if (
                    begun
                    or isinstance(exc, CircuitOpen)
                    or not self._may(attempt, now() + wait, end)
                ):
                    self._note(exc, attempt)
                    raise
                failure: BackendError = exc
            else:
                return
            limited = isinstance(failure, RateLimited)
            yield Waiting(
                self.name, wait, "rate_limit" if limited else "fault", attempt, failure.message
            )
            await self._timing.sleep(wait)

    def _may(self, attempt: int, then: float, end: float) -> bool:
        return attempt < self._attempts and then <= end

    def _wait(self, failure: BackendError, attempt: int) -> float:
        """Seconds until the next attempt."""
        asked = failure.retry_after if isinstance(failure, RateLimited) else None
        chance = self._timing.random()
        if asked is not None:
            return max(0.0, asked) * (1 + _SPREAD * chance)
        return chance * min(self._most, _FIRST * 2.0 ** (attempt - 1))

    def _check_is_new(self, request: Request) -> None:
        for refused, error in self._refused:
            if refused == request:
                again = copy.copy(error).with_traceback(None)
                again.__notes__ = list(getattr(error, "__notes__", ()))  # the copy shares them
                again.add_note("the same request was refused before; it was not sent again")
                raise again

    def _note(self, error: BackendError, attempts: int) -> None:
        """Says why it was given up."""
        if attempts > 1:
            error.add_note(f"gave up after {attempts} attempts")
        asked = error.retry_after if isinstance(error, RateLimited) else None
        if asked is not None and asked > self._deadline:
            error.add_note(
                f"the provider asks to wait {asked:,.0f} s, "
                f"longer than backend.retry.deadline, {self._deadline:,.0f} s"
            )
