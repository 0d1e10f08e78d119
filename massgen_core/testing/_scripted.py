"""A backend that says what a script tells it to, for tests of agents."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from massgen_core.backends import Caps, Request
from massgen_core.errors import (
    BackendError,
    ContextOverflow,
    Fatal,
    InvalidRequest,
    MalformedHistory,
)
from massgen_core.events import (
    BackendEvent,
    Finished,
    FinishReason,
    ReasoningBlock,
    ReasoningDelta,
    TextDelta,
    ToolCalled,
    Usage,
)
from massgen_core.messages import Reasoning, ToolCall, check_order
from massgen_core.tokens import TokenCounter, estimating_counter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from massgen_core.messages import Rules

_WORD: Final = re.compile(r"\s*\S+\s?|\s+")


@dataclass(frozen=True, slots=True)
class Answer:
    """One scripted answer.

    Attributes:
        text: Streamed word by word.
        calls: Tool calls, after the text.
        reasoning: Reasoning blocks, before the text.
        delay: Seconds to wait before each word.
        usage: What is reported; counted by the backend's counter if None.
        reported: Whether usage is reported at all.
        finish: The finish reason; told from the answer if None.
        error: Raised after the text instead of finishing.
    """

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    reasoning: tuple[Reasoning, ...] = ()
    delay: float = 0.0
    usage: Usage | None = None
    reported: bool = True
    finish: FinishReason | None = None
    error: BackendError | None = None


Scripted: TypeAlias = str | Answer | BackendError | Callable[[Request], "str | Answer"]


class ScriptedBackend:
    """A backend that gives the next answer of a script to each request.

    Like a real one it refuses what does not fit its window (`ContextOverflow`, by its counter; then
    the script does not move on) and cuts an answer at ``max_output`` tokens.

    Args:
        script: Texts, `Answer` objects, errors to raise, functions of the request; may be endless.
        window: Tokens of prompt and answer together.
        counter: Counts prompts and answers; the estimator if omitted.
        tools: Whether it takes tools; if not, a request with tools is refused.
        names_numbers: Whether an overflow names limit and size.
        strict: Whose rules of message order it keeps: it says so in its caps, and refuses what they
            forbid (`MalformedHistory`; then the script does not move on).

    Attributes:
        requests: All requests that were not refused, in order.
        refused: How many requests did not fit the window or were out of order.
        running: Streams that run now.
        closed: Whether `aclose` was called.

    Examples:
        >>> import asyncio
        >>> from massgen_core.messages import user
        >>> async def ask(backend: ScriptedBackend) -> list[str]:
        ...     stream = backend.stream(Request("scripted", (user("Hi"),)))
        ...     return [event.text async for event in stream if isinstance(event, TextDelta)]
        >>> asyncio.run(ask(ScriptedBackend(["Good morning."])))
        ['Good ', 'morning.']
    """

    def __init__(
        self,
        script: Iterable[Scripted] = (),
        *,
        window: int = 8192,
        counter: TokenCounter | None = None,
        tools: bool = True,
        names_numbers: bool = True,
        strict: Rules | None = None,
    ) -> None:
        self.name: Final = "scripted"
        self.window = window
        self.requests: list[Request] = []
        self.refused = 0
        self.running = 0
        self.closed = False
        self._script: Iterator[Scripted] = iter(script)
        self._counter = counter or estimating_counter()
        self._tools = tools
        self._names_numbers = names_numbers
        self._strict: Rules | None = strict

    async def stream(self, request: Request, /) -> AsyncGenerator[BackendEvent, None]:
        """The next answer of the script."""
        self._check(request)
        answer = self._next(request)
        self.requests.append(request)
        self.running += 1
        try:
            async with aclosing(self._events(request, answer)) as events:
                async for event in events:
                    yield event
        finally:
            self.running -= 1

    async def caps(self, model: str, /) -> Caps:
        """What the arguments say, for any model."""
        del model
        rules = self._strict or "openai"
        return Caps(self.window, self.window, tools=self._tools, rules=rules)

    def classify(self, error: BaseException, /) -> BackendError:
        """A `BackendError` as it is, all else as `Fatal`."""
        if isinstance(error, BackendError):
            return error
        return Fatal(f"{type(error).__name__}: {error}", backend=self.name)

    async def count_tokens(self, request: Request, /) -> int:
        """Tokens of the prompt by the backend's counter."""
        return self._prompt(request)

    async def aclose(self) -> None:
        """Marks it as closed."""
        self.closed = True

    def _check(self, request: Request) -> None:
        if self.closed:
            raise Fatal("the scripted backend is closed", backend=self.name)
        if request.tools and not self._tools:
            raise InvalidRequest("this scripted backend takes no tools", backend=self.name)
        if self._strict and (problems := check_order(request.messages, self._strict)):
            self.refused += 1
            raise MalformedHistory(str(problems[0]), backend=self.name, status=400)

    def _next(self, request: Request) -> Answer:
        used = self._prompt(request)
        if used > self.window:
            self.refused += 1
            raise self._overflow(used)
        said = next(self._script, None)
        if said is None:
            raise Fatal("the script has no answer left", backend=self.name)
        if isinstance(said, BackendError):
            raise said
        if not isinstance(said, str | Answer):
            said = said(request)
        return Answer(said) if isinstance(said, str) else said

    def _overflow(self, used: int) -> ContextOverflow:
        text = f"the request has {used} tokens, the window {self.window}"
        if not self._names_numbers:
            return ContextOverflow("the request is too long", backend=self.name, status=400)
        return ContextOverflow(text, limit=self.window, used=used, backend=self.name, status=400)

    def _prompt(self, request: Request) -> int:
        messages = sum(self._counter.count(message).tokens for message in request.messages)
        return messages + self._counter.count(request.tools).tokens

    async def _events(self, request: Request, answer: Answer) -> AsyncGenerator[BackendEvent, None]:
        room = self.window - self._prompt(request)
        if request.max_output is not None:
            room = min(room, request.max_output)
        for block in answer.reasoning:
            yield ReasoningDelta(block.text)
            yield ReasoningBlock(block)
        written, cut = 0, False
        for word in _WORD.findall(answer.text):
            await asyncio.sleep(answer.delay)
            size = self._counter.count_text(word).tokens
            cut = written + size > room
            if cut:
                break
            written += size
            yield TextDelta(word)
        if answer.error is not None:
            raise answer.error
        for call in () if cut else answer.calls:
            yield ToolCalled(call)
            written += self._counter.count(call).tokens
        if answer.reported:
            yield answer.usage or Usage(self._prompt(request), written)
        yield Finished(answer.finish or _reason(answer, cut=cut), request.model)


def _reason(answer: Answer, *, cut: bool) -> FinishReason:
    if cut:
        return "length"
    return "tool_calls" if answer.calls else "stop"
