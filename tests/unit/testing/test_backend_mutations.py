"""For each duty of a backend a deliberately broken one: the suite catches it."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
from dataclasses import replace
from itertools import repeat

import pytest

from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.errors import (
    BackendError,
    ContextOverflow,
    Fatal,
    InvalidRequest,
    RateLimited,
    Transient,
)
from massgen_core.events import Finished, TextDelta, Usage
from massgen_core.messages import ToolCall
from massgen_core.plugin import PluginContext
from massgen_core.scaffold import write_plugin
from massgen_core.testing import Answer, BackendSuite, ScriptedBackend, mock_provider
from massgen_core.tokens import ModelCatalogue

WINDOW = 512
WORDS = "one two three four five six seven eight"
CITY = ToolCall("c1", "weather", '{"city": "Paris"}')


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """The backend and settings classes of the template."""
    folder = tmp_path_factory.mktemp("template")
    write_plugin("backend", "mutated", folder)
    sys.path.insert(0, str(folder / "massgen-mutated" / "src"))
    try:
        yield importlib.import_module("massgen_mutated.backend")
    finally:
        sys.path.pop(0)


@pytest.fixture(scope="module")
def server():
    with mock_provider(window=WINDOW) as provider:
        yield provider


def run(suite, name, *arguments):
    """Runs one test of the suite as pytest would."""
    getattr(suite(), name)(*arguments)


def scripted(make, **more):
    """A suite over a backend without a provider."""
    return type("Scripted", (BackendSuite,), {"model": "m", "make": lambda self: make(), **more})


def words():
    return ScriptedBackend(repeat(WORDS), tools=False)


class Changed(ScriptedBackend):
    """Lets each event go through `change`, which gives a list."""

    def __init__(self, *args, **more):
        super().__init__(repeat(Answer(WORDS, calls=more.pop("calls", ()))), **more)

    async def stream(self, request, /):
        async for event in super().stream(request):
            for one in self.change(event, request):
                yield one

    def change(self, event, request):
        return [event]


def changed(change, **more):
    return lambda: type("Mutant", (Changed,), {"change": change})(**more)


def late_overflow(self, request, /):
    async def stream():
        yield TextDelta("Well ")
        async for event in ScriptedBackend.stream(self, request):
            yield event

    return stream()


class NoNumbers(ScriptedBackend):
    def __init__(self):
        super().__init__(repeat(WORDS), names_numbers=False)


class Late(ScriptedBackend):
    def __init__(self):
        super().__init__(repeat(WORDS))

    stream = late_overflow


class Leaky(ScriptedBackend):
    """Goes on in a task of its own when the reader is gone."""

    def __init__(self):
        super().__init__(repeat(Answer(WORDS * 9, delay=0.01)))
        self.tasks = []

    async def stream(self, request, /):
        self.tasks.append(asyncio.create_task(asyncio.sleep(30)))
        async for event in super().stream(request):
            yield event

    async def aclose(self):
        for task in self.tasks:
            task.cancel()


class Untyped(ScriptedBackend):
    def classify(self, error, /):
        return error


class Boastful(ScriptedBackend):
    """Takes tools, and never calls one."""


class ClosesOnce(ScriptedBackend):
    async def aclose(self):
        if self.closed:
            raise RuntimeError("closed twice")
        self.closed = True


def only(kind, make):
    return lambda self, event, request: [make(event)] if isinstance(event, kind) else [event]


MUTANTS = {
    "never finishes": (
        changed(lambda self, event, request: [] if isinstance(event, Finished) else [event]),
        "test_a_stream_ends_with_one_finished",
    ),
    "finishes twice": (
        changed(lambda self, event, request: [event] * (1 + isinstance(event, Finished))),
        "test_a_stream_ends_with_one_finished",
    ),
    "counts twice": (
        changed(lambda self, event, request: [event] * (1 + isinstance(event, Usage))),
        "test_a_stream_ends_with_one_finished",
    ),
    "says nothing": (
        changed(lambda self, event, request: [] if isinstance(event, TextDelta) else [event]),
        "test_deltas_are_pieces_of_text",
    ),
    "counts always the same": (
        changed(only(Usage, lambda event: replace(event, prompt=7))),
        "test_usage_grows_with_the_prompt",
    ),
    "caches more than there is": (
        changed(only(Usage, lambda event: replace(event, cached=10**6))),
        "test_usage_grows_with_the_prompt",
    ),
    "ignores the length asked for": (
        changed(only(Finished, lambda event: Finished("stop"))),
        "test_the_answer_stops_at_max_output",
    ),
    "names no numbers": (
        NoNumbers,
        "test_overflow_is_typed_with_numbers_and_comes_before_any_event",
    ),
    "speaks before it refuses": (
        Late,
        "test_overflow_is_typed_with_numbers_and_comes_before_any_event",
    ),
    "leaves a task behind": (Leaky, "test_a_stream_closed_early_leaves_nothing_behind"),
    "lets exceptions through": (Untyped, "test_every_exception_gets_a_type"),
    "cannot be closed twice": (ClosesOnce, "test_it_may_be_closed_twice_and_unused"),
    "takes tools and calls none": (lambda: Boastful(repeat(WORDS)), "test_a_tool_is_called"),
    "calls one tool of two": (changed(calls=(CITY,), change=Changed.change), "parallel"),
    "hides its tools": (ScriptedBackend, "test_capabilities_are_what_the_backend_shows"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_backend_is_caught(name):
    make, test = MUTANTS[name]
    if test == "parallel":
        test = "test_several_tools_are_called_at_once"
    with pytest.raises((AssertionError, RuntimeError, pytest.fail.Exception)):
        run(scripted(make), test)


def provided(template, server, **changes):
    """A suite over the template's backend, broken in some way, against the mock provider."""
    backend = (
        type("Mutant", (template.MutatedBackend,), changes) if changes else template.MutatedBackend
    )
    context = PluginContext(SYSTEM_CLOCK, None, ModelCatalogue.shipped())

    def make(self):
        own = {"base_url": server.openai, "api_key": "a-key-for-tests", "window": WINDOW}
        return backend(template.Settings.model_validate(own), context)

    more = {"model": "mock", "wire": "openai", "secret": "a-key-for-tests"}
    return type("Provided", (BackendSuite,), {"make": make, "mock": lambda self: server, **more})


def calls_all(kind):
    def classify(self, error, /):
        return error if isinstance(error, kind) else kind(str(error), backend=self.name)

    return classify


def typed_as(wrong):
    """Every refusal is of this kind."""

    async def stream(self, request, /):
        try:
            async for event in self.sound(request):
                yield event
        except BackendError as exc:
            raise wrong("oh", backend=self.name) from exc

    return stream


async def swallows(self, request, /):
    try:
        async for event in self.sound(request):
            yield event
    except Transient:
        yield Finished("stop", request.model)


async def retries(self, request, /):
    for _ in range(3):
        try:
            async for event in self.sound(request):
                yield event
        except BackendError as exc:
            error = exc
        else:
            return
    raise error


async def forgets_the_wait(self, request, /):
    try:
        async for event in self.sound(request):
            yield event
    except RateLimited as exc:
        raise RateLimited(exc.message, backend=self.name) from exc


async def tells_the_key(self, request, /):
    try:
        async for event in self.sound(request):
            yield event
    except BackendError as exc:
        exc.args = (f"{exc.message} (sent {dict(self._client.headers)})",)
        raise


async def buffers(self, request, /):
    events = [event async for event in self.sound(request)]
    for event in events:
        yield event


async def leaks_untyped(self, request, /):
    try:
        async for event in self.sound(request):
            yield event
    except BackendError as exc:
        raise (exc.__cause__ or exc) from None


async def drops_results(self, request, /):
    kept = tuple(m for m in request.messages if m.role != "tool")
    async for event in self.sound(replace(request, messages=kept)):
        yield event


async def unfiltered(self, request, /):
    async for event in self.sound(request):
        known = isinstance(event, Finished) and event.reason == "content_filter"
        yield Finished("stop") if known else event


EARLY = "test_a_refusal_is_typed_and_comes_before_any_event"
LATE = "test_what_breaks_in_the_middle_is_typed_and_what_came_is_kept"
BROKEN = [
    (typed_as(Fatal), EARLY, "unavailable"),
    (typed_as(Transient), EARLY, "unauthorized"),
    (typed_as(InvalidRequest), EARLY, "rate_limit"),
    (typed_as(RateLimited), EARLY, "quota"),
    (typed_as(ContextOverflow), EARLY, "bad_request"),
    (typed_as(InvalidRequest), "test_messages_out_of_order_are_a_malformed_history"),
    (swallows, LATE, "truncate"),
    (swallows, LATE, "disconnect"),
    (swallows, EARLY, "empty"),
    (buffers, LATE, "malformed"),
    (leaks_untyped, LATE, "disconnect"),
    (leaks_untyped, EARLY, "reset"),
    (retries, "test_a_request_is_sent_once"),
    (forgets_the_wait, "test_the_time_to_wait_is_told"),
    (tells_the_key, EARLY, "server_error"),
    (drops_results, "test_what_is_in_order_is_in_order_on_the_wire"),
    (unfiltered, "test_a_filtered_answer_says_so"),
]


@pytest.mark.parametrize(
    ("stream", "test"),
    [(stream, test) for stream, *test in BROKEN],
    ids=lambda value: value.__name__ if inspect.isfunction(value) else "-".join(value),
)
def test_a_backend_that_handles_a_fault_wrongly_is_caught(template, server, stream, test):
    sound = template.MutatedBackend.stream
    suite = provided(template, server, stream=stream, sound=sound)
    with pytest.raises((AssertionError, BackendError, OSError, ValueError, *broken())):
        run(suite, *test)


def broken():
    import httpx

    return (httpx.HTTPError, pytest.fail.Exception)


@pytest.mark.parametrize("test", sorted({tuple(test) for _, *test in BROKEN}))
def test_the_sound_one_passes(template, server, test):
    run(provided(template, server), *test)


def test_a_sound_backend_without_a_provider_passes():
    for test in sorted({test for _, test in MUTANTS.values()} - {"parallel"}):
        if "tool" not in test and "capabilities" not in test:
            run(scripted(words), test)
