"""Ends streams that have stalled, and keeps those that have not from filling the event loop."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from massgen_core.backends._turns import Turns
from massgen_core.backends._wrapper import Wrapper
from massgen_core.errors import Transient

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from massgen_core.backends._protocol import Backend, Request
    from massgen_core.events import BackendEvent


class Watched(Wrapper):
    """A backend whose streams end with `Transient` when nothing comes any more.

    Only the time in which the provider is waited for counts, not what the reader does in between.

    Args:
        inner: The backend.
        idle: Seconds to wait for the next event; None for ever.
        call: Seconds to wait for all events of an answer together; None for ever.
        turns: What all streams of a process share, so that together they leave room in the event
            loop for other work; of this backend alone if omitted.

    Examples:
        >>> import asyncio
        >>> from massgen_core.backends import Request
        >>> from massgen_core.messages import user
        >>> from massgen_core.testing import Answer, ScriptedBackend
        >>> backend = Watched(ScriptedBackend([Answer("Well", delay=60)]), idle=0.01)
        >>> async def ask():
        ...     try:
        ...         async for event in backend.stream(Request("scripted", (user("Hi"),))):
        ...             print(event)
        ...     except Transient as error:
        ...         print(error.message)
        >>> asyncio.run(ask())
        nothing came for 0.01 s
    """

    def __init__(
        self,
        inner: Backend,
        *,
        idle: float | None = None,
        call: float | None = None,
        turns: Turns | None = None,
    ) -> None:
        super().__init__(inner)
        self._idle = idle
        self._call = call
        self._turns = turns or Turns()

    async def stream(self, request: Request, /) -> AsyncGenerator[BackendEvent, None]:
        """The events of the wrapped backend, as long as they come."""
        turn = self._turns.here()
        await turn.start()
        now = asyncio.get_running_loop().time
        timer = _Timer(self._idle, self._call)
        try:
            async with aclosing(self.inner.stream(request)) as events:
                while True:
                    if turn.is_over(now()):
                        await turn.next()
                    timer.wait()
                    try:
                        event = await anext(events)
                    except StopAsyncIteration:
                        return
                    except asyncio.CancelledError as exc:
                        if timer.ended_the_wait():
                            raise Transient(timer.words, backend=self.name) from exc
                        raise
                    finally:
                        timer.rest()
                    yield event
        finally:
            timer.stop()


class _Timer:
    """Cancels the task that waits too long: one timer a stream, moved on only when it rings.

    How a cancellation of its own is told from one from outside is as in `asyncio.Timeout`.
    """

    def __init__(self, idle: float | None, call: float | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle = idle
        self._call = call
        self._left = call  # of the waits of the whole answer
        self._since = 0.0
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._rang = False
        self._handle: asyncio.TimerHandle | None = None
        self.words = ""

    def wait(self) -> None:
        """Somebody waits from now on."""
        self._since = self._loop.time()
        self._task = asyncio.current_task()
        if self._task is not None:
            self._cancelling = self._task.cancelling()
        if self._handle is None and (self._idle is not None or self._left is not None):
            self._handle = self._loop.call_at(self._due(), self._ring)

    def rest(self) -> None:
        """Nobody waits."""
        self._task = None
        if self._left is not None:
            self._left -= self._loop.time() - self._since

    def stop(self) -> None:
        """It will not ring any more."""
        if self._handle is not None:
            self._handle.cancel()

    def ended_the_wait(self) -> bool:
        """Whether the cancellation just seen is its own, and no other came."""
        task = asyncio.current_task()
        return self._rang and task is not None and task.uncancel() <= self._cancelling

    def _due(self) -> float:
        """When the wait has been too long; it is never earlier than it was for the last one."""
        return self._since + min(one for one in (self._idle, self._left) if one is not None)

    def _ring(self) -> None:
        now, due = self._loop.time(), self._due()
        if now < due:
            self._handle = self._loop.call_at(due, self._ring)
        elif self._task is None:  # the reader has the word: the wait begins when it comes back
            self._handle = None
        else:
            over = self._left is not None and now >= self._since + self._left
            self.words = (
                f"the answer was not complete after {self._call:g} s"
                if over
                else f"nothing came for {self._idle:g} s"
            )
            self._rang = True
            self._task.cancel()
