"""The conformance suite of backends."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing
from typing import Final

import pytest

from massgen_core.backends import Backend, CountsTokens, Request
from massgen_core.errors import BackendError, ContextOverflow, InvalidRequest, Transient
from massgen_core.events import BackendEvent, Finished, TextDelta, ToolCalled, Usage
from massgen_core.messages import Image, Message, Text, system, user
from massgen_core.testing._backend_base import (
    LONG,
    PATIENCE,
    WEATHER,
    all_of,
    cancel,
    history,
    usage_of,
)
from massgen_core.testing._backend_faults import FaultTests
from massgen_core.testing._suite import check_capabilities, requires

_UNICODE: Final = (
    "Zoë said 你好 to שלום, 👩‍👩‍👧‍👦 and e\u0301;\u2028 <|endoftext|> <|im_end|> \\n \x00 {}[]\"'"
)
_PIXEL: Final = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154"
    "78da63f8cfc0000003010100f70341430000000049454e44ae426082"
)


class BackendSuite(FaultTests):
    """What every backend must do. Subclass it, say how to make one and which model to ask.

    Each test makes a backend of its own and closes it. Prompts are short, but the overflow tests
    send twice the window: give the backend a small one if it can be chosen.

    Where the backend speaks a `Wire` that can be mocked, define `mock`: then it is also tested how
    the backend takes each of the `FAULTS`, and a provider that is strict about messages.

    Attributes:
        model: The model to ask.
        capabilities: Of ``count_tokens``, ``images``, ``parallel_tools``, ``reasoning``, ``tools``:
            what it can do.
        wire: What it speaks: ``openai``, ``anthropic`` or ``gemini``; None for anything else.

    Examples:
        >>> from itertools import repeat
        >>> from massgen_core.testing import BackendSuite, ScriptedBackend
        >>> class TestScripted(BackendSuite):
        ...     model = "scripted"
        ...
        ...     def make(self):
        ...         return ScriptedBackend(repeat("one two three four five six seven eight"))
    """

    vocabulary = frozenset({"count_tokens", "images", "parallel_tools", "reasoning", "tools"})

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
            usage_of(self._ask(user(text), most=4)) for text in ("Say hello.", "Say hello. " * 20)
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

        declared = self.capabilities - {"parallel_tools"}  # its own test is the proof
        check_capabilities(declared=declared, seen=self._run(seen))

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
                await all_of(backend, self._request(user("word " * window * 2)))
            return await all_of(backend, self._request(user("Say hello."), most=4))

        assert isinstance(self._run(again)[-1], Finished)

    def test_the_answer_stops_at_max_output(self) -> None:
        events = self._ask(user(LONG), most=6)
        assert isinstance(events[-1], Finished)
        assert events[-1].reason == "length"
        assert usage_of(events).completion <= 6

    def test_two_streams_run_at_once(self) -> None:
        async def both(backend: Backend) -> list[list[BackendEvent]]:
            one = self._request(user("Say hello."), most=8)
            other = self._request(user("Name three colours."), most=8)
            return list(await asyncio.gather(all_of(backend, one), all_of(backend, other)))

        for events in self._run(both):
            assert isinstance(events[-1], Finished)
            assert any(isinstance(event, TextDelta) for event in events)

    def test_unicode_arrives(self) -> None:
        events = self._ask(system(_UNICODE), user(_UNICODE), most=4)
        assert isinstance(events[-1], Finished)

    def test_a_history_with_tools_is_accepted(self) -> None:
        events = self._ask(*history(), most=4)
        assert isinstance(events[-1], Finished)

    def test_a_cancelled_stream_leaves_nothing_behind(self) -> None:
        async def cancelled(backend: Backend) -> float:
            started = asyncio.Event()

            async def consume() -> None:
                async for _ in backend.stream(self._request(user(LONG), most=200)):
                    started.set()

            task = asyncio.create_task(consume())
            await started.wait()
            return await cancel(task)

        assert self._leaves_nothing(cancelled) < PATIENCE

    def test_a_stream_cancelled_before_its_first_event_leaves_nothing_behind(self) -> None:
        async def cancelled(backend: Backend) -> float:
            request = self._request(user("word " * 150), most=200)
            task = asyncio.create_task(all_of(backend, request))
            await asyncio.sleep(0.05)
            return await cancel(task)

        assert self._leaves_nothing(cancelled) < PATIENCE

    def test_a_stream_closed_early_leaves_nothing_behind(self) -> None:
        async def closed(backend: Backend) -> float:
            async with aclosing(backend.stream(self._request(user(LONG), most=200))) as stream:
                await anext(stream)
                begun = time.monotonic()
            return time.monotonic() - begun

        assert self._leaves_nothing(closed) < PATIENCE

    def test_it_answers_after_a_cancelled_stream(self) -> None:
        async def again(backend: Backend) -> list[BackendEvent]:
            async with aclosing(backend.stream(self._request(user(LONG), most=200))) as stream:
                await anext(stream)
            return await all_of(backend, self._request(user("Say hello."), most=4))

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
            request = Request(self.model, (user("Weather?"),), tools=(WEATHER,))
            with pytest.raises(InvalidRequest):
                await all_of(backend, request)

        self._run(refused)

    @requires("tools")
    def test_a_tool_is_called(self) -> None:
        question = user("What is the weather in Paris? Use the tool.")
        request = Request(self.model, (question,), tools=(WEATHER,), max_output=200, temperature=0)
        events = self._run(lambda backend: all_of(backend, request))
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
            return await backend.count_tokens(self._request(*history()))

        reported = usage_of(self._ask(*history(), most=1)).prompt
        assert self._run(count) == pytest.approx(reported, rel=0.02)
