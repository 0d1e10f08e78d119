"""What `Backend.stream` yields, and what the core tells while it waits for a backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from massgen_core.messages import Reasoning, ToolCall

FinishReason: TypeAlias = Literal[
    "stop", "length", "tool_calls", "content_filter", "cancelled", "error"
]


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text of the answer."""

    kind: ClassVar[str] = "backend.text_delta"
    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of the model's reasoning, for display."""

    kind: ClassVar[str] = "backend.reasoning_delta"
    text: str


@dataclass(frozen=True, slots=True)
class ReasoningBlock:
    """A complete reasoning block, to be kept in the message and sent back unchanged."""

    kind: ClassVar[str] = "backend.reasoning_block"
    reasoning: Reasoning


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """A complete tool call of the answer.

    Raises:
        TypeError: Its id, name or arguments are no text: no journal could hold it.
    """

    kind: ClassVar[str] = "backend.tool_called"
    call: ToolCall

    def __post_init__(self) -> None:
        call = self.call
        for name, value in (("id", call.id), ("name", call.name), ("arguments", call.arguments)):
            if not isinstance(value, str):
                raise TypeError(f"the {name} of a tool call is {type(value).__name__}")


@dataclass(frozen=True, slots=True)
class Usage:
    """What the provider counted, in tokens.

    Attributes:
        prompt: The whole prompt, cached part included.
        completion: The answer, reasoning included.
        cached: The part of `prompt` read from the provider's cache.
        reasoning: The part of `completion` that was reasoning.
        cache_write: The part of `prompt` written to the provider's cache, if that has a price.
        cost: In millionths of a US dollar; None if the model's prices are not known.
    """

    kind: ClassVar[str] = "backend.usage"
    prompt: int
    completion: int
    cached: int = 0
    reasoning: int = 0
    cache_write: int = 0
    cost: int | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is complete; always the last event of a stream."""

    kind: ClassVar[str] = "backend.finished"
    reason: FinishReason
    model: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request is held back, and sent (again) after a while. Told by the core, not by backends.

    Attributes:
        backend: Registered name of the backend.
        seconds: How long.
        cause: ``rate_limit`` (the provider said so), ``fault`` (one that is likely to pass) or
            ``limit`` (one of the settings).
        attempt: How often this request was sent so far.
        reason: What the provider said, or which limit it is.
    """

    kind: ClassVar[str] = "backend.waiting"
    backend: str
    seconds: float
    cause: Literal["rate_limit", "fault", "limit"]
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class CircuitOpened:
    """A backend failed so often in a row that it is not asked for a while.

    Attributes:
        backend: Registered name of the backend.
        failures: How often.
        seconds: How long it is not asked; then one request tries it.
    """

    kind: ClassVar[str] = "backend.circuit_opened"
    backend: str
    failures: int
    seconds: float


Notice: TypeAlias = Waiting | CircuitOpened
BackendEvent: TypeAlias = (
    TextDelta | ReasoningDelta | ReasoningBlock | ToolCalled | Usage | Finished | Notice
)
