"""What an agent does in a turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from massgen_core.events._backend import Usage
from massgen_core.messages import Message, ToolCall


@dataclass(frozen=True, slots=True)
class MessageAppended:
    """A message is in the journal, on disk.

    Attributes:
        message: The message.
        seq: Its sequence number in the journal.
        tokens: Its counted size.
    """

    kind: ClassVar[str] = "agent.message_appended"
    message: Message
    seq: int
    tokens: int


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A tool begins to run."""

    kind: ClassVar[str] = "agent.tool_started"
    call: ToolCall


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """A tool ended; the model gets `text`, an error text if `is_error`."""

    kind: ClassVar[str] = "agent.tool_finished"
    call: ToolCall
    text: str
    is_error: bool


@dataclass(frozen=True, slots=True)
class FallbackUsed:
    """A model could not answer, and the next one is asked; it answers for the rest of the turn.

    What came of the answer before this event is void.

    Attributes:
        backend: Registered name of the backend that is asked now.
        model: Its model.
        error: Why the one before could not answer.
    """

    kind: ClassVar[str] = "agent.fallback_used"
    backend: str
    model: str
    error: str


@dataclass(frozen=True, slots=True)
class TurnFinished:
    """The agent answered; always the last event of a turn.

    Attributes:
        text: The final answer.
        steps: Model calls in this turn.
        usage: Sum of the reported usage of these calls.
    """

    kind: ClassVar[str] = "agent.turn_finished"
    text: str
    steps: int
    usage: Usage


AgentEvent: TypeAlias = MessageAppended | ToolStarted | ToolFinished | FallbackUsed | TurnFinished
