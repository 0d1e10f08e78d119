"""What backends must do when a provider fails: tests against a mock provider that does so."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, ClassVar, Final

import pytest

from massgen_core.backends import Backend, Request, Watched
from massgen_core.errors import BackendError, ContentFiltered, MalformedHistory, RateLimited
from massgen_core.events import BackendEvent, Finished, TextDelta, ToolCalled
from massgen_core.messages import assistant, check_order, repair_order, tool, user
from massgen_core.testing._backend_base import LONG, WEATHER, BackendTests, all_of, other_tasks
from massgen_core.testing._histories import long_talk
from massgen_core.testing._mock_provider import FAULTS, RETRY_AFTER
from massgen_core.testing._suite import requires

if TYPE_CHECKING:
    from massgen_core.testing._mock_provider import Fault, MockProvider

_EARLY: Final = sorted(name for name, fault in FAULTS.items() if not fault.late)
_LATE: Final = sorted(name for name, fault in FAULTS.items() if fault.late)
_AFTER: Final = (
    10  # events of a stream before it breaks: some of them are text in every wire format
)
_CHAINED: Final = {"disconnect", "reset"}  # faults for which any library raises something
_IDLE: Final = 2.0  # seconds after which a stream has stalled
_BUSY: Final = 30.0  # seconds that a busy machine may take for anything else


class FaultTests(BackendTests):
    """Needs `mock` and `wire`; else these tests are skipped.

    Attributes:
        secret: The key that `make` gives to the backend; it must be in no error.
    """

    secret: ClassVar[str] = ""

    @pytest.mark.parametrize("name", _EARLY)
    def test_a_refusal_is_typed_and_comes_before_any_event(self, name: str) -> None:
        fault, provider = self._fault(name)
        provider.inject(fault)
        events, error = self._broken()
        assert events == []
        self._check(error, fault)

    @pytest.mark.parametrize("name", _LATE)
    def test_what_breaks_in_the_middle_is_typed_and_what_came_is_kept(self, name: str) -> None:
        fault, provider = self._fault(name)
        provider.inject(fault, after_chunks=_AFTER)
        events, error = self._broken(_IDLE if name == "stall" else _BUSY)
        assert any(isinstance(event, TextDelta) for event in events)
        assert not any(isinstance(event, Finished) for event in events)
        self._check(error, fault)

    def test_the_time_to_wait_is_told(self) -> None:
        fault, provider = self._fault("rate_limit")
        provider.inject(fault)
        _, error = self._broken()
        assert isinstance(error, RateLimited)
        assert error.retry_after == RETRY_AFTER

    def test_a_request_is_sent_once(self) -> None:
        """The library's own retries are off: the core's know of deadlines, limits and costs."""
        fault, provider = self._fault("unavailable")
        provider.inject(fault)
        self._broken()
        assert len(provider.requests()) == 1

    def test_it_answers_after_every_fault(self) -> None:
        _, provider = self._fault("disconnect")

        async def again(backend: Backend) -> list[BackendEvent]:
            for name in ("rate_limit", "disconnect", "malformed", "truncate", "empty"):
                provider.inject(name)
                with pytest.raises(BackendError):
                    await all_of(backend, self._request(user(LONG), most=60))
                assert not await other_tasks()
            return await all_of(backend, self._request(user("Say hello."), most=4))

        assert isinstance(self._run(again)[-1], Finished)

    @pytest.mark.parametrize("name", ["disconnect", "stall"])
    def test_a_broken_stream_leaves_nothing_behind(self, name: str) -> None:
        fault, provider = self._fault(name)

        async def broken(backend: Backend) -> float:
            provider.inject(fault, after_chunks=_AFTER)
            begun = time.monotonic()
            watched = Watched(backend, idle=_IDLE if name == "stall" else _BUSY)
            with pytest.raises(BackendError):
                await all_of(watched, self._request(user(LONG), most=60))
            return time.monotonic() - begun

        self._leaves_nothing(broken)

    def test_messages_out_of_order_are_a_malformed_history(self) -> None:
        self._fault("bad_request")
        orphan = (user("Hi"), assistant("Hello."), tool("c9", "5", name="add"))

        async def refused(backend: Backend) -> None:
            with pytest.raises(MalformedHistory):
                await all_of(backend, self._request(*orphan, most=4))

        self._run(refused)

    def test_what_is_in_order_is_in_order_on_the_wire(self) -> None:
        """Each beginning of a long conversation is taken by a provider that checks."""
        _, provider = self._fault("bad_request")

        async def accepted(backend: Backend) -> int:
            caps = await backend.caps(self.model)
            sent = 0
            talk = long_talk()
            for end in range(1, min(len(talk), 12) + 1):
                messages = repair_order(talk[:end], caps.rules)
                if not check_order(messages, caps.rules):
                    await all_of(backend, self._request(*messages, most=2))
                    sent += 1
            return sent

        assert self._run(accepted) == len(provider.requests())
        assert provider.requests()

    def test_a_filtered_answer_says_so(self) -> None:
        _, provider = self._fault("bad_request")
        provider.behave({"type": "reply", "text": "I", "finish_reason": "content_filter"})

        async def ask(backend: Backend) -> str:
            try:
                [*_, last] = await all_of(backend, self._request(user("Say hello."), most=8))
            except ContentFiltered:
                return "content_filter"
            assert isinstance(last, Finished)
            return last.reason

        assert self._run(ask) == "content_filter"

    @requires("tools")
    def test_arguments_that_are_no_json_are_passed_on_or_typed(self) -> None:
        _, provider = self._fault("bad_request")
        provider.behave({"type": "tool_fault", "kind": "malformed_arguments"})
        request = Request(self.model, (user("Weather?"),), tools=(WEATHER,), max_output=50)

        async def ask(backend: Backend) -> int:
            try:
                events = await all_of(backend, request)
            except BackendError:
                return 1
            return sum(isinstance(event, ToolCalled) for event in events)

        assert self._run(ask) == 1

    @requires("tools")
    def test_results_of_tools_are_answered_in_text(self) -> None:
        self._fault("bad_request")
        question = user("What is the weather in Paris? Use the tool.")

        async def both(backend: Backend) -> list[BackendEvent]:
            first = Request(self.model, (question,), tools=(WEATHER,), max_output=200)
            calls = [e.call for e in await all_of(backend, first) if isinstance(e, ToolCalled)]
            results = [tool(call.id, "12 degrees", name=call.name) for call in calls]
            messages = (question, assistant("", *calls), *results)
            second = Request(self.model, messages, tools=(WEATHER,), max_output=50)
            return await all_of(backend, second)

        events = self._run(both)
        assert any(isinstance(event, TextDelta) for event in events)
        assert isinstance(events[-1], Finished)
        assert events[-1].reason == "stop"

    @requires("parallel_tools")
    def test_several_tools_are_called_at_once(self) -> None:
        question = user("What is the weather in Paris and in Rome? Ask for both at once.")
        request = Request(self.model, (question,), tools=(WEATHER,), max_output=200, temperature=0)
        events = self._run(lambda backend: all_of(backend, request))
        calls = [event.call for event in events if isinstance(event, ToolCalled)]
        cities = [json.loads(call.arguments)["city"] for call in calls]
        assert len({call.id for call in calls}) == len(calls)
        assert any("Paris" in city for city in cities)
        assert any("Rome" in city for city in cities)
        assert isinstance(events[-1], Finished)
        assert events[-1].reason == "tool_calls"

    def _fault(self, name: str) -> tuple[Fault, MockProvider]:
        """The fault, and the provider, which has forgotten all it was told."""
        if self.wire is None:
            pytest.skip("the suite names no wire: its backend speaks none that can be mocked")
        fault = FAULTS[name]
        if self.wire not in fault.wires:
            pytest.skip(f"{self.wire} does not know the fault {name!r}")
        provider = self.mock()
        provider.reset()
        return fault, provider

    def _broken(self, idle: float = _BUSY) -> tuple[list[BackendEvent], BackendError | None]:
        """What came of a request that cannot end well, and its error."""

        async def ask(backend: Backend) -> tuple[list[BackendEvent], BackendError | None]:
            events: list[BackendEvent] = []
            watched = Watched(backend, idle=idle)
            try:
                async for event in watched.stream(self._request(user(LONG), most=60)):
                    events.append(event)  # noqa: PERF401 - what came before the error counts
            except BackendError as error:
                return events, error
            return events, None

        return self._run(ask)

    def _check(self, error: BackendError | None, fault: Fault) -> None:
        assert isinstance(error, fault.expected), f"{fault.name} ended in {error!r}"
        assert error.message
        assert error.backend
        if fault.name in _CHAINED:
            assert error.__cause__ is not None, "the library's own exception is not chained"
        if self.secret:
            assert self.secret not in f"{error} {error!r} {error.__cause__}"
