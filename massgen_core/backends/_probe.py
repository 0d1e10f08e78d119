"""Real round trips through a backend, to see what works."""

from __future__ import annotations

import json
import time
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from massgen_core.backends._caps import caps_of
from massgen_core.backends._protocol import Backend, Caps, CountsTokens, Request
from massgen_core.errors import ContextOverflow, MassgenError
from massgen_core.events import Finished, TextDelta, ToolCalled, Usage, Waiting
from massgen_core.messages import ToolSpec, user

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from typing import TypeAlias

    from massgen_core.events import BackendEvent

    _Work: TypeAlias = Callable[[], Awaitable["Check"]]

_HELLO: Final = "Say hello in one short sentence."
_ASK: Final = "What is the weather in Paris? Use the tool."
_TOOL: Final = ToolSpec(
    "weather",
    "The weather in a city.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
_MOST: Final = 1024  # tokens of an answer: a model that thinks needs some before it says a word


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried.

    Attributes:
        name: ``model``, ``stream``, ``usage``, ``tools``, ``count_tokens`` or ``overflow``.
        outcome: ``ok``, ``failed`` or ``skipped``.
        detail: What came of it, in words.
        error: Why it failed, if that was an error.
        seconds: How long it took.
        first: Seconds until the first piece of text, waits between attempts not counted, for
            ``stream``.
        usage: What was used, if it was reported.
    """

    name: str
    outcome: Literal["ok", "failed", "skipped"]
    detail: str
    error: MassgenError | None = None
    seconds: float = 0.0
    first: float | None = None
    usage: Usage | None = None


class Probe:
    """Tries what a backend can do with a model.

    Args:
        backend: The backend.
        model: Its model.
        heard: Is given every event that is not part of an answer, such as waits.
    """

    def __init__(
        self, backend: Backend, model: str, heard: Callable[[BackendEvent], None] | None = None
    ) -> None:
        self._backend = backend
        self._model = model
        self._heard = heard or (lambda event: None)  # noqa: ARG005
        self._caps: Caps | None = None

    async def run(self, *, overflow: bool = False) -> AsyncGenerator[Check, None]:
        """Each check when it is done; after a failed round trip the rest is skipped.

        Args:
            overflow: Whether to send a prompt of twice the window, too; that may cost.
        """
        tries: list[tuple[str, _Work]] = [("model", self._model_known), ("stream", self._stream)]
        failed = False
        for name, work in tries:
            check = Check(name, "skipped", "not tried") if failed else await _tried(name, work)
            failed = failed or check.outcome == "failed"
            yield check
            if name == "stream" and not failed:
                yield _usage(check)
        rest: list[tuple[str, _Work]] = [("tools", self._tools), ("count_tokens", self._count)]
        rest += [("overflow", self._overflow)] if overflow else []
        for name, work in rest:
            yield Check(name, "skipped", "not tried") if failed else await _tried(name, work)

    async def _model_known(self) -> Check:
        caps = self._caps = await caps_of(self._backend, self._model)
        able = [name for name in ("tools", "images", "reasoning") if getattr(caps, name)]
        size = f"window {caps.window:,} tokens, answers up to {caps.max_output:,}"
        return Check("model", "ok", f"{self._model}: {size}; {', '.join(able) or 'text only'}")

    async def _stream(self) -> Check:
        begun, waited, pieces = time.perf_counter(), 0.0, 0
        first: float | None = None
        usage: Usage | None = None
        finished: Finished | None = None
        request = Request(self._model, (user(_HELLO),), max_output=self._most())
        async with aclosing(self._backend.stream(request)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    now = time.perf_counter() - begun - waited
                    first = now if first is None else first
                    pieces += 1
                elif isinstance(event, Usage):
                    usage = event
                elif isinstance(event, Finished):
                    finished = event
                else:
                    waited += event.seconds if isinstance(event, Waiting) else 0
                    self._heard(event)
        if finished is None or first is None:
            return Check("stream", "failed", "no text came", usage=usage)
        words = f"{pieces} pieces of text, the first after {first:.2f} s; ended: {finished.reason}"
        return Check("stream", "ok", words, first=first, usage=usage)

    async def _tools(self) -> Check:
        if self._caps is None or not self._caps.tools:
            return Check("tools", "skipped", "the model takes none")
        request = Request(self._model, (user(_ASK),), (_TOOL,), max_output=self._most())
        calls = [e.call for e in await self._all(request) if isinstance(e, ToolCalled)]
        if not calls:
            return Check("tools", "failed", "the model was told to call a tool, and did not")
        arguments = calls[0].arguments
        try:
            json.loads(arguments)
        except ValueError:
            return Check("tools", "failed", f"its arguments are no JSON: {arguments[:99]}")
        return Check("tools", "ok", f"called {calls[0].name} with {arguments[:99]}")

    async def _count(self) -> Check:
        if not isinstance(self._backend, CountsTokens):
            return Check("count_tokens", "skipped", "the backend cannot count before it sends")
        request = Request(self._model, (user(_HELLO),), max_output=self._most())
        counted = await self._backend.count_tokens(request)
        return Check("count_tokens", "ok", f"{counted:,} tokens for the same prompt")

    async def _overflow(self) -> Check:
        assert self._caps is not None  # noqa: S101 - nothing is tried after a model that failed
        request = Request(self._model, (user("word " * self._caps.window * 2),), max_output=1)
        try:
            await self._all(request)
        except ContextOverflow as exc:
            known = exc.limit is not None and exc.used is not None
            numbers = f"{exc.used:,} of {exc.limit:,} tokens" if known else "it names no numbers"
            return Check("overflow", "ok", f"refused: {numbers}")
        return Check("overflow", "failed", "a prompt of twice the window was not refused")

    async def _all(self, request: Request) -> list[BackendEvent]:
        return [event async for event in self._backend.stream(request)]

    def _most(self) -> int:
        most = _MOST if self._caps is None else self._caps.max_output // 4
        return max(1, min(_MOST, most))


async def _tried(name: str, work: _Work) -> Check:
    begun = time.perf_counter()
    try:
        check = await work()
    except MassgenError as exc:
        words = "; ".join([exc.message, *getattr(exc, "__notes__", ())])
        check = Check(name, "failed", f"{type(exc).__name__}: {words}", exc)
    return replace(check, seconds=time.perf_counter() - begun)


def _usage(stream: Check) -> Check:
    usage = stream.usage
    if usage is None:
        return Check("usage", "failed", "the backend does not say what an answer used")
    words = f"{usage.prompt:,} tokens of prompt, {usage.completion:,} of answer"
    words += f", {usage.cached:,} from the cache" if usage.cached else ""
    return Check("usage", "ok", words, usage=usage)
