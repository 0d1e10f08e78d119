"""An event loop whose time passes at once: sleeps and timeouts are exact, and take no time.

For tests of what waits. Nothing in it may wait for a socket, a thread or a process.
"""

from __future__ import annotations

import asyncio
import selectors
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from massgen_core.backends import Timing
from massgen_core.errors import MassgenError
from massgen_core.events import BackendEvent

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from massgen_core.backends import Backend, Request

_T = TypeVar("_T")


class _Selector(selectors.DefaultSelector):
    """Instead of waiting it moves the time on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout:
            self.now += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._times = _Selector()
        super().__init__(self._times)

    def time(self) -> float:
        return self._times.now


class LoopClock:
    """The time of the running loop; 0 where none runs."""

    def now(self) -> float:
        """Seconds since the epoch, from a fixed day on."""
        return 1_800_000_000.0 + self.monotonic()

    def monotonic(self) -> float:
        """Seconds since the loop began."""
        try:
            return asyncio.get_running_loop().time()
        except RuntimeError:
            return 0.0


def virtual(main: Coroutine[Any, Any, _T]) -> _T:
    """What the coroutine returns; hours pass at once.

    Examples:
        >>> async def main():
        ...     await asyncio.sleep(3600)
        ...     return LoopClock().monotonic()
        >>> virtual(main())
        3600.0
    """
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(main)


def timing(chance: float = 0.5) -> Timing:
    """The time of the running loop, and always the same chance."""
    return Timing(clock=LoopClock(), random=lambda: chance)


@dataclass
class Heard:
    """What came of a stream.

    Attributes:
        events: In order.
        times: The second at which each came.
        error: How it ended, if not well.
    """

    events: list[BackendEvent] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    error: BaseException | None = None

    @property
    def kinds(self) -> list[str]:
        """The kinds of the events, without the group."""
        return [event.kind.removeprefix("backend.") for event in self.events]


async def hear(backend: Backend, request: Request) -> Heard:
    """All events of a stream, and its error."""
    heard = Heard()
    try:
        async for event in backend.stream(request):
            heard.events.append(event)
            heard.times.append(asyncio.get_running_loop().time())
    except (MassgenError, LookupError) as exc:
        heard.error = exc
    return heard
