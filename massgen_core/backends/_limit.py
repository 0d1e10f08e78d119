"""Keeps to the limits of an account, for all who share it."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import aclosing
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from massgen_core.backends._wrapper import Timing, Wrapper
from massgen_core.errors import RateLimited
from massgen_core.events import Usage, Waiting
from massgen_core.messages import Reasoning, Text, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from massgen_core.backends._protocol import Backend, Request
    from massgen_core.events import BackendEvent
    from massgen_core.messages import Part

_MINUTE: Final = 60.0
_DAY: Final = 86_400.0
_LETTERS: Final = 4  # a token, roughly; what the provider counts corrects it
_LOOK: Final = 1.0  # seconds after which a waiting request looks again: one before it may be gone
_SOON: Final = 0.01  # seconds: whoever is before it is about to go
_WORTH_TELLING: Final = 1.0  # seconds of a wait that people are told of


@dataclass(slots=True)
class _Bucket:
    """So many units, refilled steadily; may be overdrawn by what was counted too low.

    Attributes:
        what: Its name, for people.
        size: Units when it is full.
        rate: Units a second.
        left: Units at `at`.
        at: When that was, seconds.
    """

    what: str
    size: float
    rate: float
    left: float
    at: float

    def refill(self, now: float) -> None:
        self.left = min(self.size, self.left + (now - self.at) * self.rate)
        self.at = now

    def wait(self, units: float) -> float:
        """Seconds until there were as many, if what comes in is taken on the way."""
        return max(0.0, units - self.left) / self.rate


@dataclass(frozen=True, slots=True)
class Ticket:
    """A place in the queue of a `Limiter`.

    Attributes:
        tokens: What the request is thought to take.
        number: Tells it from others.
    """

    tokens: int
    number: int


class Limiter:
    """Requests and tokens that may be sent in a minute or a day: a token bucket for each limit.

    Shared by all that use one account, in any task, event loop or thread. First come, first served:
    nobody passes a large request that waits. Counts are those of this process.

    Args:
        requests_per_minute: None for no limit, as for the others.
        tokens_per_minute: Prompt and answer.
        requests_per_day: Refilled steadily, too.
        timing: Time.
    """

    def __init__(
        self,
        *,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        requests_per_day: int | None = None,
        timing: Timing | None = None,
    ) -> None:
        self._timing = timing or Timing()
        self._lock = threading.Lock()
        self._queue: deque[Ticket] = deque()
        self._numbers = 0
        self._held_until = 0.0
        now = self._timing.clock.monotonic()
        self._requests = [
            _Bucket(what, size, size / seconds, size, now)
            for what, size, seconds in (
                ("requests a minute", requests_per_minute, _MINUTE),
                ("requests a day", requests_per_day, _DAY),
            )
            if size is not None
        ]
        self._tokens: _Bucket | None = None
        if (size := tokens_per_minute) is not None:
            self._tokens = _Bucket("tokens a minute", size, size / _MINUTE, size, now)

    @property
    def counts_tokens(self) -> bool:
        """Whether it matters how long a request is."""
        return self._tokens is not None

    def join(self, tokens: int) -> Ticket:
        """A place at the end of the queue; give it to `leave` in any case."""
        with self._lock:
            self._numbers += 1
            ticket = Ticket(tokens, self._numbers)
            self._queue.append(ticket)
            return ticket

    def leave(self, ticket: Ticket) -> None:
        """Gives the place up; does nothing if the request was let through."""
        with self._lock:
            if ticket in self._queue:
                self._queue.remove(ticket)

    def try_take(self, ticket: Ticket) -> tuple[float, str]:
        """Lets the request through, or says in how many seconds it may, and what it waits for.

        0 seconds: it is through.
        """
        with self._lock:
            now = self._timing.clock.monotonic()
            before = [self._fitting(one) for one in self._queue if one.number <= ticket.number]
            seconds, what = self._longest(now, len(before), sum(before))
            if seconds:
                return max(seconds, _SOON), what
            if self._queue[0] != ticket:
                return _SOON, "others are before it"
            self._queue.popleft()
            for bucket in self._requests:
                bucket.left -= 1
            if self._tokens is not None:
                self._tokens.left -= self._fitting(ticket)
            return 0.0, ""

    def correct(self, ticket: Ticket, tokens: int) -> None:
        """What the request took in truth."""
        with self._lock:
            if self._tokens is not None:
                left = self._tokens.left + self._fitting(ticket) - tokens
                self._tokens.left = min(self._tokens.size, left)

    def hold(self, seconds: float) -> None:
        """The provider asked to wait: nobody is let through until then."""
        with self._lock:
            until = self._timing.clock.monotonic() + seconds
            self._held_until = max(self._held_until, until)

    def _fitting(self, ticket: Ticket) -> float:
        """The tokens it takes; a request that is larger than a minute's tokens takes all."""
        return ticket.tokens if self._tokens is None else min(ticket.tokens, self._tokens.size)

    def _longest(self, now: float, requests: int, tokens: float) -> tuple[float, str]:
        """Seconds until all limits allow this much, and the one that takes longest."""
        waits = [(max(0.0, self._held_until - now), "the provider asked to wait")]
        wanted = [(bucket, float(requests)) for bucket in self._requests]
        wanted += [(self._tokens, tokens)] if self._tokens is not None else []
        for bucket, units in wanted:
            bucket.refill(now)
            waits.append((bucket.wait(units), f"{bucket.size:,.0f} {bucket.what}"))
        return max(waits, key=itemgetter(0))


class Limited(Wrapper):
    """A backend that waits where a request would go over a limit.

    What the provider reports corrects what a request was thought to take; when it says that there
    were too many requests, all who share the limiter wait as long as it asks.

    Args:
        inner: The backend.
        limiter: The limits, shared by all that use the same account.
        most: Seconds to wait at most; where it would be longer, `RateLimited` is raised at once.
        timing: Time.

    Examples:
        >>> limiter = Limiter(requests_per_minute=1)
        >>> first, second = limiter.join(10), limiter.join(10)
        >>> limiter.try_take(first)
        (0.0, '')
        >>> seconds, what = limiter.try_take(second)
        >>> round(seconds), what
        (60, '1 requests a minute')
    """

    def __init__(
        self,
        inner: Backend,
        limiter: Limiter,
        *,
        most: float = 300.0,
        timing: Timing | None = None,
    ) -> None:
        super().__init__(inner)
        self._limiter = limiter
        self._most = most
        self._timing = timing or Timing()

    async def stream(self, request: Request, /) -> AsyncGenerator[BackendEvent, None]:
        """The events of the wrapped backend, once it may be asked."""
        limiter = self._limiter
        ticket = limiter.join(_estimate(request) if limiter.counts_tokens else 0)
        try:
            async with aclosing(self._let_through(ticket)) as waits:
                async for waiting in waits:
                    yield waiting
        finally:
            limiter.leave(ticket)
        try:
            async with aclosing(self.inner.stream(request)) as events:
                async for event in events:
                    if isinstance(event, Usage):
                        limiter.correct(ticket, event.prompt + event.completion)
                        ticket = replace(ticket, tokens=event.prompt + event.completion)
                    yield event
        except RateLimited as exc:
            if exc.retry_after is not None:
                limiter.hold(exc.retry_after)
            raise

    async def _let_through(self, ticket: Ticket) -> AsyncGenerator[Waiting, None]:
        told = False
        waited = 0.0
        while True:
            seconds, what = self._limiter.try_take(ticket)
            if not seconds:
                return
            if waited + seconds > self._most:
                raise RateLimited(
                    f"this request would have to wait {seconds:.0f} s: {what}",
                    retry_after=seconds,
                    backend=self.name,
                    hint="Raise backend.limits or backend.retry.deadline, or try again later.",
                )
            if seconds >= _WORTH_TELLING and not told:
                told = True
                yield Waiting(self.name, seconds, "limit", 0, what)
            step = min(seconds, _LOOK)
            await self._timing.sleep(step)
            waited += step


def _estimate(request: Request) -> int:
    """Tokens of the prompt, roughly: letters of its texts and of what describes the tools."""
    letters = sum(_letters(message.parts) for message in request.messages)
    letters += sum(len(str(tool.parameters)) + len(tool.description) for tool in request.tools)
    return letters // _LETTERS + 1


def _letters(parts: Iterable[Part]) -> int:
    count = 0
    for part in parts:
        match part:
            case Text() | Reasoning():
                count += len(part.text)
            case ToolCall():
                count += len(part.name) + len(part.arguments)
            case ToolResult():
                count += _letters(part.content)
            case _:
                pass
    return count
