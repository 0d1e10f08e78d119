"""What the tests of backends are made of: a backend that is made, asked and closed."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

import pytest

from massgen_core.backends import Backend, Request
from massgen_core.events import BackendEvent, Usage
from massgen_core.messages import Message, ToolCall, ToolSpec, assistant, system, tool, user
from massgen_core.testing._sockets import open_sockets
from massgen_core.testing._suite import Suite

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from massgen_core.testing._mock_provider import MockProvider, Wire

_T = TypeVar("_T")

LONG: Final = "Count from 1 to 300 in words, one number a line. Do not stop early."
WEATHER: Final = ToolSpec(
    "weather",
    "The weather in a city.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
PATIENCE: Final = 10.0  # seconds until a cancelled stream must have let go of everything


class BackendTests(Suite):
    """How a backend is made and asked; see `BackendSuite`."""

    model: ClassVar[str]
    wire: ClassVar[Wire | None] = None

    def make(self) -> Backend:
        """A new backend; the suite closes it."""
        raise NotImplementedError("define make(self): it returns a new backend")

    def mock(self) -> MockProvider:
        """The `mock_provider` that the backend of `make` asks, where it asks one."""
        pytest.skip("the suite defines no mock(self): its backend asks no mock provider")

    def _request(self, *messages: Message, most: int | None = None) -> Request:
        return Request(self.model, messages, max_output=most, temperature=0)

    def _ask(self, *messages: Message, most: int) -> list[BackendEvent]:
        return self._run(lambda backend: all_of(backend, self._request(*messages, most=most)))

    def _run(self, use: Callable[[Backend], Awaitable[_T]]) -> _T:
        async def main() -> _T:
            backend = self.make()
            try:
                return await use(backend)
            finally:
                await backend.aclose()

        return asyncio.run(main())

    def _leaves_nothing(self, use: Callable[[Backend], Awaitable[float]]) -> float:
        """Runs `use`; no task may be left when it ends, no thread and no socket after `aclose`."""

        async def checked(backend: Backend) -> float:
            seconds = await use(backend)
            assert not await other_tasks()
            return seconds

        self._run(checked)  # libraries make threads of their own at the first use, and keep them
        before = resources()
        seconds = self._run(checked)
        deadline = time.monotonic() + PATIENCE
        while (left := resources()) > before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert before >= left, f"(threads, native threads, sockets) grew from {before} to {left}"
        return seconds


async def all_of(backend: Backend, request: Request) -> list[BackendEvent]:
    """All events of a request."""
    return [event async for event in backend.stream(request)]


async def cancel(task: asyncio.Task[object]) -> float:
    """Seconds until the cancelled task has ended."""
    begun = time.monotonic()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    return time.monotonic() - begun


async def other_tasks() -> set[asyncio.Task[object]]:
    """Tasks that do not end by themselves; the loop closes abandoned generators in short ones."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    return (await asyncio.wait(others, timeout=1))[1] if others else set()


def usage_of(events: list[BackendEvent]) -> Usage:
    """What the provider reported; the test is skipped if it did not."""
    found = [event for event in events if isinstance(event, Usage)]
    if not found:
        pytest.skip("the backend reports no usage")
    return found[0]


def history() -> tuple[Message, ...]:
    """A conversation with two calls at once, one of which failed."""
    return (
        system("You are terse."),
        user("Add 2 and 3, and read x.txt."),
        assistant("Both at once.", ToolCall("c1", "add", '{"a":2,"b":3}'), ToolCall("c2", "read")),
        tool("c1", "5", name="add"),
        tool("c2", "Error: no such file", name="read", is_error=True),
        assistant("The sum is 5; the file is missing."),
        user("Thank you. Is 5 odd?"),
    )


def resources() -> tuple[int, int, int]:
    """Threads, native threads and sockets of this process."""
    if not sys.platform.startswith("linux"):
        return threading.active_count(), 0, 0
    threads = len(list(Path("/proc/self/task").iterdir()))
    return threading.active_count(), threads, open_sockets()
