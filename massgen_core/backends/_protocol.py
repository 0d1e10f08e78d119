"""What a backend is: the request it gets, the abilities it names, the protocol it implements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from massgen_core.messages import Message, Rules, ToolSpec

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from massgen_core.errors import BackendError
    from massgen_core.events import BackendEvent


@dataclass(frozen=True, slots=True)
class Request:
    """One model turn to run.

    Attributes:
        model: The model's name as the provider knows it.
        messages: The whole fitted view, oldest first; never empty.
        tools: What the model may call.
        max_output: Tokens the answer may have, reasoning included; None leaves it to the provider.
        temperature: Sampling temperature; None leaves it to the backend's settings.
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    max_output: int | None = None
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class Caps:
    """What a backend can do with one model.

    Attributes:
        window: Tokens of prompt and answer together.
        max_output: Tokens an answer can have at most.
        tools: Whether the model can be given tools. If not, a request with tools is refused.
        images: Whether messages may hold pictures.
        reasoning: Whether the model emits reasoning.
        rules: Whose rules the order of messages has to follow; requests are checked by them before
            they are sent. See `massgen_core.messages.order`.
    """

    window: int
    max_output: int
    tools: bool = False
    images: bool = False
    reasoning: bool = False
    rules: Rules = "openai"


class Backend(Protocol):
    """One provider of models.

    A complete backend, which answers with the last message in capitals:

        >>> import asyncio
        >>> from collections.abc import AsyncGenerator
        >>> from massgen_core.backends import Caps, Request
        >>> from massgen_core.errors import BackendError, Fatal
        >>> from massgen_core.events import BackendEvent, Finished, TextDelta, Usage
        >>> from massgen_core.messages import user
        >>> class Shout:
        ...     name = "shout"
        ...
        ...     async def stream(self, request: Request, /) -> AsyncGenerator[BackendEvent, None]:
        ...         words = request.messages[-1].text.upper().split(" ")
        ...         for word in words:
        ...             yield TextDelta(word + " ")
        ...         yield Usage(prompt=len(words), completion=len(words))
        ...         yield Finished("stop", request.model)
        ...
        ...     async def caps(self, model: str, /) -> Caps:
        ...         return Caps(window=8192, max_output=8192)
        ...
        ...     def classify(self, error: BaseException, /) -> BackendError:
        ...         if isinstance(error, BackendError):
        ...             return error
        ...         return Fatal(str(error), backend=self.name)
        ...
        ...     async def aclose(self) -> None:
        ...         pass
        >>> async def answer(text: str) -> str:
        ...     stream = Shout().stream(Request("shout-1", (user(text),)))
        ...     return "".join([e.text async for e in stream if isinstance(e, TextDelta)])
        >>> asyncio.run(answer("good morning"))
        'GOOD MORNING '
    """

    @property
    def name(self) -> str:
        """The registered name, as it stands in settings and in errors."""
        ...

    def stream(self, request: Request, /) -> AsyncGenerator[BackendEvent, None]:
        """The answer as it arrives.

        Any number of `TextDelta`, `ReasoningDelta`, `ReasoningBlock` and `ToolCalled`, at most one
        `Usage`, then exactly one `Finished`. Several streams may run at once. Closing the generator
        early (``contextlib.aclosing``), or cancelling the task that iterates, stops the provider
        promptly and leaks nothing.

        Raises:
            ContextOverflow: The prompt does not fit the window; no event came before.
            BackendError: Any other failure, as `classify` says, the original chained.
            SettingsError: With its settings it cannot start: no key, no weights.
        """
        ...

    async def caps(self, model: str, /) -> Caps:
        """What can be done with `model`; must not need a network.

        Raises:
            UnknownModel: The backend does not serve it.
            SettingsError: With its settings it cannot start.
        """
        ...

    def classify(self, error: BaseException, /) -> BackendError:
        """The typed error of an exception that came out of the provider's library.

        A `BackendError` is given back as it is; what nobody knows becomes `Fatal`.
        """
        ...

    async def aclose(self) -> None:
        """Stop all streams, and free sockets, threads and processes. May be called twice."""
        ...


@runtime_checkable
class CountsTokens(Protocol):
    """A backend that can count a request exactly before it is sent."""

    async def count_tokens(self, request: Request, /) -> int:
        """Tokens of the whole prompt as the provider will count it."""
        ...
