"""The conformance suite of backends."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

import pytest

from massgen_core.backends import Backend, CountsTokens, Request
from massgen_core.errors import BackendError, ContextOverflow, InvalidRequest, Transient
from massgen_core.events import BackendEvent, Finished, TextDelta, ToolCalled, Usage
from massgen_core.messages import (
    Image,
    Message,
    Text,
    ToolCall,
    ToolSpec,
    assistant,
    system,
    tool,
    user,
)
from massgen_core.testing._sockets import open_sockets
from massgen_core.testing._suite import Suite, check_capabilities, requires

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_T = TypeVar("_T")

_LONG: Final = "Count from 1 to 300 in words, one number a line. Do not stop early."
_UNICODE: Final = (
    "Zoë said 你好 to שלום, 👩‍👩‍👧‍👦 and e\u0301;\u2028 <|endoftext|> <|im_end|> \\n \x00 {}[]\"'"
)
_WEATHER: Final = ToolSpec(
    "weather",
    "The weather in a city.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
_PIXEL: Final = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154"
    "78da63f8cfc0000003010100f70341430000000049454e44ae426082"
)
_PATIENCE: Final = 10.0  # seconds until a cancelled stream must have let go of everything


class BackendSuite(Suite):
    """What every backend must do. Subclass it, say how to make one and which model to ask.

    Each test makes a backend of its own and closes it. Prompts are short, but the overflow tests
    send twice the window: give the backend a small one if it can be chosen.

    Attributes:
        model: The model to ask.
        capabilities: Of ``count_tokens``, ``images``, ``reasoning``, ``tools``: what it can do.

    Example:
        >>> from itertools import repeat
        >>> from massgen_core.testing import BackendSuite, ScriptedBackend
        >>> class TestScripted(BackendSuite):
        ...     model = "scripted"
        ...
        ...     def make(self):
        ...         return ScriptedBackend(repeat("one two three four five six seven eight"))
    """

    model: ClassVar[str]
    vocabulary = frozenset({"count_tokens", "images", "reasoning", "tools"})

    def make(self) -> Backend:
        """A new backend; the suite closes it."""
        raise NotImplementedError("define make(self): it returns a new backend")

    def test_a_stream_ends_with_one_finished(self) -> None:
        events = self._ask(user("Say hello."), most=8)
        assert isinstance(events[-1], Finished)
        assert sum(isinstance(event, Finished) for event in events) == 1
        assert sum(isinstance(event, Usage) for event in events) <= 1

    def test_deltas_are_pieces_of_text(self) -> None:
        deltas = [e for e in self._ask(user("Say hello."), most=8) if isinstance(e, TextDelta)]
        assert deltas
        assert all(delta.text for delta in deltas)
        "".join(delta.text for delta in deltas).encode()

    def test_usage_grows_with_the_prompt(self) -> None:
        short, long = [
            _usage(self._ask(user(text), most=4)) for text in ("Say hello.", "Say hello. " * 20)
        ]
        assert 0 < short.prompt < long.prompt
        for usage in (short, long):
            assert 0 < usage.completion <= 4
            assert 0 <= usage.cached <= usage.prompt
            assert 0 <= usage.reasoning <= usage.completion

    def test_caps_are_plausible(self) -> None:
        caps = self._run(lambda backend: backend.caps(self.model))
        assert 0 < caps.max_output <= caps.window

    def test_capabilities_are_what_the_backend_shows(self) -> None:
        async def seen(backend: Backend) -> set[str]:
            caps = await backend.caps(self.model)
            names = {n for n in ("images", "reasoning", "tools") if getattr(caps, n)}
            return names | ({"count_tokens"} if isinstance(backend, CountsTokens) else set())

        check_capabilities(declared=self.capabilities, seen=self._run(seen))

    def test_overflow_is_typed_with_numbers_and_comes_before_any_event(self) -> None:
        async def overflow(backend: Backend) -> tuple[list[BackendEvent], ContextOverflow, int]:
            window = (await backend.caps(self.model)).window
            events: list[BackendEvent] = []
            try:
                async for event in backend.stream(self._request(user("word " * window * 2))):
                    events.append(event)  # noqa: PERF401 - what came before the error counts
            except ContextOverflow as error:
                return events, error, window
            pytest.fail("a prompt of twice the window raised no ContextOverflow")

        events, error, window = self._run(overflow)
        assert events == []
        assert window == error.limit
        assert error.used is not None
        assert error.used > window

    def test_it_goes_on_after_an_overflow(self) -> None:
        async def again(backend: Backend) -> list[BackendEvent]:
            window = (await backend.caps(self.model)).window
            with pytest.raises(ContextOverflow):
                await _all(backend, self._request(user("word " * window * 2)))
            return await _all(backend, self._request(user("Say hello."), most=4))

        assert isinstance(self._run(again)[-1], Finished)

    def test_the_answer_stops_at_max_output(self) -> None:
        events = self._ask(user(_LONG), most=6)
        assert isinstance(events[-1], Finished)
        assert events[-1].reason == "length"
        assert _usage(events).completion <= 6

    def test_two_streams_run_at_once(self) -> None:
        async def both(backend: Backend) -> list[list[BackendEvent]]:
            one = self._request(user("Say hello."), most=8)
            other = self._request(user("Name three colours."), most=8)
            return list(await asyncio.gather(_all(backend, one), _all(backend, other)))

        for events in self._run(both):
            assert isinstance(events[-1], Finished)
            assert any(isinstance(event, TextDelta) for event in events)

    def test_unicode_arrives(self) -> None:
        events = self._ask(system(_UNICODE), user(_UNICODE), most=4)
        assert isinstance(events[-1], Finished)

    def test_a_history_with_tools_is_accepted(self) -> None:
        events = self._ask(*_history(), most=4)
        assert isinstance(events[-1], Finished)

    def test_a_cancelled_stream_leaves_nothing_behind(self) -> None:
        async def cancelled(backend: Backend) -> float:
            started = asyncio.Event()

            async def consume() -> None:
                async for _ in backend.stream(self._request(user(_LONG), most=200)):
                    started.set()

            task = asyncio.create_task(consume())
            await started.wait()
            return await _cancel(task)

        assert self._leaves_nothing(cancelled) < _PATIENCE

    def test_a_stream_cancelled_before_its_first_event_leaves_nothing_behind(self) -> None:
        async def cancelled(backend: Backend) -> float:
            request = self._request(user("word " * 150), most=200)
            task = asyncio.create_task(_all(backend, request))
            await asyncio.sleep(0.05)
            return await _cancel(task)

        assert self._leaves_nothing(cancelled) < _PATIENCE

    def test_a_stream_closed_early_leaves_nothing_behind(self) -> None:
        async def closed(backend: Backend) -> float:
            async with aclosing(backend.stream(self._request(user(_LONG), most=200))) as stream:
                await anext(stream)
                begun = time.monotonic()
            return time.monotonic() - begun

        assert self._leaves_nothing(closed) < _PATIENCE

    def test_it_answers_after_a_cancelled_stream(self) -> None:
        async def again(backend: Backend) -> list[BackendEvent]:
            async with aclosing(backend.stream(self._request(user(_LONG), most=200))) as stream:
                await anext(stream)
            return await _all(backend, self._request(user("Say hello."), most=4))

        assert isinstance(self._run(again)[-1], Finished)

    def test_it_may_be_closed_twice_and_unused(self) -> None:
        async def twice(backend: Backend) -> None:
            await backend.aclose()
            await backend.aclose()

        self._run(twice)

    def test_every_exception_gets_a_type(self) -> None:
        backend = self.make()
        known = Transient("a stall", backend=backend.name)
        assert known is backend.classify(known)
        for error in (KeyError("x"), OSError(5, "input/output error"), ValueError()):
            assert isinstance(backend.classify(error), BackendError)

    def test_tools_are_refused_if_they_are_not_supported(self) -> None:
        async def refused(backend: Backend) -> None:
            if (await backend.caps(self.model)).tools:
                pytest.skip("the backend takes tools")
            request = Request(self.model, (user("Weather?"),), tools=(_WEATHER,))
            with pytest.raises(InvalidRequest):
                await _all(backend, request)

        self._run(refused)

    @requires("tools")
    def test_a_tool_is_called(self) -> None:
        question = user("What is the weather in Paris? Use the tool.")
        request = Request(self.model, (question,), tools=(_WEATHER,), max_output=200, temperature=0)
        events = self._run(lambda backend: _all(backend, request))
        calls = [event.call for event in events if isinstance(event, ToolCalled)]
        assert [call.name for call in calls] == ["weather"]
        assert "Paris" in json.loads(calls[0].arguments)["city"]
        assert isinstance(events[-1], Finished)
        assert events[-1].reason == "tool_calls"

    @requires("images")
    def test_a_picture_is_accepted(self) -> None:
        message = Message("user", (Text("What is this?"), Image("image/png", _PIXEL)))
        assert isinstance(self._ask(message, most=4)[-1], Finished)

    @requires("count_tokens")
    def test_counting_agrees_with_usage(self) -> None:
        async def count(backend: Backend) -> int:
            assert isinstance(backend, CountsTokens)
            return await backend.count_tokens(self._request(*_history()))

        reported = _usage(self._ask(*_history(), most=1)).prompt
        assert self._run(count) == pytest.approx(reported, rel=0.02)

    def _request(self, *messages: Message, most: int | None = None) -> Request:
        return Request(self.model, messages, max_output=most, temperature=0)

    def _ask(self, *messages: Message, most: int) -> list[BackendEvent]:
        return self._run(lambda backend: _all(backend, self._request(*messages, most=most)))

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
            assert not await _other_tasks()
            return seconds

        self._run(checked)  # libraries make threads of their own at the first use, and keep them
        before = _resources()
        seconds = self._run(checked)
        deadline = time.monotonic() + _PATIENCE
        while (left := _resources()) > before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert before >= left, f"(threads, native threads, sockets) grew from {before} to {left}"
        return seconds


async def _all(backend: Backend, request: Request) -> list[BackendEvent]:
    return [event async for event in backend.stream(request)]


async def _cancel(task: asyncio.Task[object]) -> float:
    begun = time.monotonic()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    return time.monotonic() - begun


async def _other_tasks() -> set[asyncio.Task[object]]:
    """Tasks that do not end by themselves; the loop closes abandoned generators in short ones."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    return (await asyncio.wait(others, timeout=1))[1] if others else set()


def _usage(events: list[BackendEvent]) -> Usage:
    found = [event for event in events if isinstance(event, Usage)]
    if not found:
        pytest.skip("the backend reports no usage")
    return found[0]


def _history() -> tuple[Message, ...]:
    return (
        system("You are terse."),
        user("Add 2 and 3, and read x.txt."),
        assistant("Both at once.", ToolCall("c1", "add", '{"a":2,"b":3}'), ToolCall("c2", "read")),
        tool("c1", "5", name="add"),
        tool("c2", "Error: no such file", name="read", is_error=True),
        assistant("The sum is 5; the file is missing."),
        user("Thank you. Is 5 odd?"),
    )


def _resources() -> tuple[int, int, int]:
    if not sys.platform.startswith("linux"):
        return threading.active_count(), 0, 0
    threads = len(list(Path("/proc/self/task").iterdir()))
    return threading.active_count(), threads, open_sockets()
