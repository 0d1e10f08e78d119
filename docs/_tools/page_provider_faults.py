"""The page of faults: what each backend makes of each of them, by trying them all.

Every fault is met by a real backend over its provider's SDK, asked by HTTP at a mock provider on
loopback.
"""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from massgen_anthropic import AnthropicBackend, AnthropicSettings
from massgen_core.backends import Request, Watched
from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.errors import BackendError, ContextOverflow, RateLimited
from massgen_core.events import Finished, TextDelta
from massgen_core.messages import ToolSpec, assistant, tool, user
from massgen_core.plugin import PluginContext
from massgen_core.testing import FAULTS, mock_provider
from massgen_core.testing._mock_provider import Wire
from massgen_core.tokens import ModelCatalogue
from massgen_gemini import GeminiBackend, GeminiSettings
from massgen_openai import OpenAIBackend, OpenAISettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from massgen_core.backends import Backend
    from massgen_core.events import BackendEvent
    from massgen_core.messages import Message
    from massgen_core.testing import MockProvider

MODEL = "mock"
WINDOW = 512
AFTER = 10  # chunks before a stream breaks: some of them are text on every wire
STALLED = 0.5  # seconds
PATIENCE = 30.0  # seconds that a busy machine may take
WEATHER = ToolSpec("weather", "The weather.", {"properties": {"city": {"type": "string"}}})

HEAD = """\
# Faults of providers

What a backend makes of what goes wrong at its provider. Each cell was seen: the backend, over its
provider's own SDK, asked a mock provider on loopback that failed in this way. No retry is in
between; see [being patient with a provider](../how-to/be-patient-with-a-provider.md) for what is
sent again, and [errors](errors.md) for what each error means. A test runs all of it and compares.

*After text*: a part of the answer had come by then; the agent keeps it. *Answer*: with the reason
why it ended; a call that cannot be run is answered by the agent with an error for the model. A
dash: the provider does not know this fault.
"""


class Case(NamedTuple):
    """One thing that goes wrong.

    Attributes:
        name: As in `FAULTS`, or of what is more than a refusal or a broken stream.
        about: What happens, for readers.
        messages: What is asked.
        behavior: What llmock is told, if it is none of `FAULTS`.
        tools: What may be called.
    """

    name: str
    about: str
    messages: tuple[Message, ...] = (user("Count from 1 to 300."),)
    behavior: dict[str, Any] | None = None
    tools: tuple[ToolSpec, ...] = ()


CASES = (
    Case("rate_limit", "429 with Retry-After"),
    Case("quota", "429, the account's quota is used up"),
    Case("unauthorized", "401"),
    Case("forbidden", "403"),
    Case("bad_request", "400, a parameter is wrong"),
    Case("not_found", "404"),
    Case("too_large", "413"),
    Case("server_error", "500"),
    Case("bad_gateway", "502"),
    Case("unavailable", "503"),
    Case("timeout", "504"),
    Case("overloaded", "529"),
    Case("not_implemented", "501"),
    Case("html", "502 with a page of HTML, from a gateway"),
    Case("empty", "200 and a stream without events"),
    Case("reset", "connection reset before an answer"),
    Case("disconnect", "connection lost in the stream"),
    Case("truncate", "stream ends early, as if it were whole"),
    Case("malformed", "a chunk that is no JSON"),
    Case("stall", "nothing comes any more (ended by `timeouts.idle`)"),
    Case("error_event", "an error inside the stream"),
    Case("overflow", "prompt longer than the window", (user("word " * WINDOW * 2),)),
    Case(
        "orphan_result",
        "a tool result without its call",
        (user("Hi"), assistant("Hello."), tool("c9", "5", name="add")),
    ),
    Case(
        "filtered",
        "the answer is filtered after its first word",
        behavior={"type": "reply", "text": "I", "finish_reason": "content_filter"},
    ),
    Case("slow", "the first chunk is late", behavior={"type": "slow_first_token", "seconds": 0.1}),
    Case(
        "malformed_arguments",
        "the arguments of a call are no JSON",
        (user("What is the weather?"),),
        {"type": "tool_fault", "kind": "malformed_arguments"},
        (WEATHER,),
    ),
    Case(
        "unknown_tool",
        "a tool is called that there is not",
        (user("What is the weather?"),),
        {"type": "tool_fault", "kind": "unknown_tool"},
        (WEATHER,),
    ),
)


def _openai(api: Any) -> Callable[[MockProvider, PluginContext], Backend]:
    def made(provider: MockProvider, context: PluginContext) -> Backend:
        settings = OpenAISettings(base_url=provider.openai, api_key="any", api=api)  # type: ignore[arg-type]  # pydantic makes a secret of it
        return OpenAIBackend(settings, context)

    return made


def _anthropic(provider: MockProvider, context: PluginContext) -> Backend:
    settings = AnthropicSettings(base_url=provider.anthropic, api_key="any")  # type: ignore[arg-type]  # as above
    return AnthropicBackend(settings, context)


def _gemini(provider: MockProvider, context: PluginContext) -> Backend:
    settings = GeminiSettings(base_url=provider.gemini, api_key="any")  # type: ignore[arg-type]  # as above
    return GeminiBackend(settings, context)


BACKENDS = {
    "openai, chat": ("openai", _openai("chat")),
    "openai, responses": ("openai", _openai("responses")),
    "anthropic": ("anthropic", _anthropic),
    "gemini": ("gemini", _gemini),
}
"""The wire format of each column, and what makes its backend."""


class Outcome(NamedTuple):
    """How one request ended.

    Attributes:
        events: What came before the end.
        error: None if it was an answer.
    """

    events: tuple[BackendEvent, ...]
    error: BackendError | None

    def __str__(self) -> str:
        if self.error is None:
            last = self.events[-1]
            assert isinstance(last, Finished), "a stream without an error ends with Finished"
            return f"answer: `{last.reason}`"
        came = any(isinstance(event, TextDelta) for event in self.events)
        words = f"`{type(self.error).__name__}`{_numbers(self.error)}"
        return f"{words}, after text" if came else words


@cache
def outcomes() -> dict[tuple[str, str], Outcome]:
    """How each case ended, by its name and the column, where the provider knows it.

    An exception that is no `BackendError` is raised: nothing may come out without a type.
    """
    sizes = {"window": WINDOW, "max_output": 128, "tools": True}
    models = ModelCatalogue.shipped().with_overrides({MODEL: sizes})
    context = PluginContext(SYSTEM_CLOCK, None, models)
    found: dict[tuple[str, str], Outcome] = {}
    with mock_provider(window=WINDOW, pace=0) as provider:
        for column, (wire, make) in BACKENDS.items():
            cases = [case for case in CASES if wire in wires_of(case)]
            ends = asyncio.run(_all_tried(provider, cases, make(provider, context)))
            found |= {(case.name, column): end for case, end in zip(cases, ends, strict=True)}
    return found


def wires_of(case: Case) -> tuple[Wire, ...]:
    """The wire formats in which it can go wrong."""
    return FAULTS[case.name].wires if case.name in FAULTS else get_args(Wire)


async def _all_tried(provider: MockProvider, cases: list[Case], backend: Backend) -> list[Outcome]:
    """One backend meets them all: after each it has to go on."""
    try:
        return [await _tried(provider, case, backend) for case in cases]
    finally:
        await backend.aclose()


async def _tried(provider: MockProvider, case: Case, backend: Backend) -> Outcome:
    provider.reset()
    if case.behavior is not None:
        provider.behave(case.behavior)
    elif case.name in FAULTS:
        late = FAULTS[case.name].late
        provider.inject(case.name, **({"after_chunks": AFTER} if late else {}))
    watched = Watched(backend, idle=STALLED if case.name == "stall" else PATIENCE)
    request = Request(MODEL, case.messages, tools=case.tools, max_output=60)
    events: list[BackendEvent] = []
    try:
        async for event in watched.stream(request):
            events.append(event)  # noqa: PERF401 - what came before an error counts
    except BackendError as error:
        return Outcome(tuple(events), error)
    return Outcome(tuple(events), None)


def _numbers(error: BackendError) -> str:
    match error:
        case RateLimited(retry_after=float(wait)):
            return f", retry after {wait:g} s"
        case ContextOverflow(limit=int(limit), used=int(used)):
            return f", used {used} of {limit}"
        case _:
            return ""


def page() -> str:
    seen = outcomes()
    rows = [
        f"| {case.about} | "
        + " | ".join(str(seen.get((case.name, column), "—")) for column in BACKENDS)
        + " |"
        for case in CASES
    ]
    head = f"| What goes wrong | {' | '.join(BACKENDS)} |"
    return "\n".join([HEAD, head, f"| --- |{' --- |' * len(BACKENDS)}", *rows])
