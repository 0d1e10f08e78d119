"""What the engine tells while it works: a closed union of frozen dataclasses.

Observers (the ``massgen_observe`` hook), the CLI and `Agent.run` all receive these. Match on the
type:

    match event:
        case TextDelta(text): ...
        case ContextFitted(): ...
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from massgen_core.messages import Message, Reasoning, ToolCall

FinishReason: TypeAlias = Literal[
    "stop", "length", "tool_calls", "content_filter", "cancelled", "error"
]


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing a fit did.

    Attributes:
        kind: ``drop``, ``clip``, ``mask``, ``offload``, ``replace`` or ``restore``.
        strategy: Registered name of the strategy that proposed it; ``floor`` for the last resort.
        reason: Why, in words for a person.
        message_ids: The messages it touched, in order.
        tokens_before: Tokens of these messages in the view before.
        tokens_after: Tokens of what stands for them now; 0 for a drop.
        handle: Gives back the untouched messages; ``context restore HANDLE``.
    """

    kind: Literal["drop", "clip", "mask", "offload", "replace", "restore"]
    strategy: str
    reason: str
    message_ids: tuple[str, ...]
    tokens_before: int
    tokens_after: int
    handle: str


# Context


@dataclass(frozen=True, slots=True)
class ContextFitted:
    """The view was made smaller.

    Attributes:
        tokens_before: Estimated tokens of the view before, upper bound.
        tokens_after: The same after.
        limit: Tokens the view may have.
        operations: What was done, in order.
        cache_cost: Tokens of the view after that follow its first change: what the next request
            cannot read from the provider's prompt cache.
    """

    kind: ClassVar[str] = "context.fitted"
    tokens_before: int
    tokens_after: int
    limit: int
    operations: tuple[Operation, ...]
    cache_cost: int = 0


@dataclass(frozen=True, slots=True)
class ContextMeasured:
    """What the window is used for at the end of a turn.

    In tokens as the provider is expected to count them. What the parts, `free` and `reserve` leave
    of `window` is kept against miscounts.

    Attributes:
        window: Prompt and answer together; 0 if it is not known.
        system: The instructions, and system messages.
        tools: What describes the tools to the model.
        memory: What was brought back on request: results of the recall tool.
        summary: Texts that stand for others.
        messages: All else that was said.
        free: What messages may still take before the next fit must make room.
        reserve: Kept for the answer.
    """

    kind: ClassVar[str] = "context.measured"
    window: int
    system: int
    tools: int
    memory: int
    summary: int
    messages: int
    free: int
    reserve: int

    @property
    def used(self) -> int:
        """All that the next request has already."""
        return self.system + self.tools + self.memory + self.summary + self.messages


@dataclass(frozen=True, slots=True)
class PlanRejected:
    """A strategy's plan broke an invariant and was not applied; the next strategy ran.

    Attributes:
        strategy: Registered name.
        invariant: Its number in the architecture document.
        reason: What was wrong.
    """

    kind: ClassVar[str] = "context.plan_rejected"
    strategy: str
    invariant: int
    reason: str


@dataclass(frozen=True, slots=True)
class StrategyFailed:
    """A strategy raised, hung or answered nonsense instead of planning; the next one ran.

    Attributes:
        strategy: Registered name.
        error: What it did.
    """

    kind: ClassVar[str] = "context.strategy_failed"
    strategy: str
    error: str


@dataclass(frozen=True, slots=True)
class StrategiesSuspended:
    """Strategies are not asked in this fit and in those after it; then they are tried again.

    Attributes:
        strategies: Registered names.
        fits: In how many fits, this one included.
        reason: What they did, or failed to do.
    """

    kind: ClassVar[str] = "context.strategies_suspended"
    strategies: tuple[str, ...]
    fits: int
    reason: str


@dataclass(frozen=True, slots=True)
class BackgroundMissed:
    """A text that was to be made while the turn went on is not used; others made room.

    Attributes:
        strategy: Registered name.
        reason: Why not.
    """

    kind: ClassVar[str] = "context.background_missed"
    strategy: str
    reason: str


@dataclass(frozen=True, slots=True)
class OverflowReported:
    """A request was too long for the window; the view is refitted and what is sent next is smaller.

    Attributes:
        limit: The window the provider named, tokens; None if it did not.
        used: The prompt size it counted, tokens; None if it did not.
        attempt: How often this request was too long so far, from 1.
        cause: ``refused`` (or nothing was answered), ``cut`` (the window filled while the answer
            was written; it goes on), ``over`` (it was answered although it was too long).
    """

    kind: ClassVar[str] = "context.overflow_reported"
    limit: int | None
    used: int | None
    attempt: int
    cause: Literal["refused", "cut", "over"] = "refused"


@dataclass(frozen=True, slots=True)
class HistoryRepaired:
    """Messages were put in an order the provider takes; the journal keeps them as they were.

    Attributes:
        problems: What was wrong, a line each; told once for a conversation.
    """

    kind: ClassVar[str] = "context.history_repaired"
    problems: tuple[str, ...]


# Memory: sessions now, the ledger's events join them


@dataclass(frozen=True, slots=True)
class SessionResumed:
    """An earlier session goes on.

    Attributes:
        session_id: The session.
        entries: Entries in its journal.
        closed_calls: Ids of tool calls a crash left open; each now has an explicit result.
    """

    kind: ClassVar[str] = "memory.session_resumed"
    session_id: str
    entries: int
    closed_calls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JournalQuarantined:
    """A damaged tail of a journal was set aside; all before it is in use.

    Attributes:
        session_id: The session.
        seq: Sequence number of the first entry set aside.
        entries: How many were.
        reason: What was wrong with the first.
    """

    kind: ClassVar[str] = "memory.journal_quarantined"
    session_id: str
    seq: int
    entries: int
    reason: str


@dataclass(frozen=True, slots=True)
class MemoryRecalled:
    """Long-term memory reminds the agent of something for this turn.

    Attributes:
        records: Ids of the memories, pinned ones first, then best first.
        tokens: Counted size of the reminder.
    """

    kind: ClassVar[str] = "memory.recalled"
    records: tuple[str, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class MemoryDegraded:
    """A plugin of long-term memory could not help, or had to be rebuilt; nothing was lost.

    Attributes:
        name: The index by its registered name, or ``embedder``, ``reranker``, ``query expander``.
        reason: What happened.
    """

    kind: ClassVar[str] = "memory.degraded"
    name: str
    reason: str


# Backend: what `Backend.stream` yields


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
    """A complete tool call of the answer."""

    kind: ClassVar[str] = "backend.tool_called"
    call: ToolCall


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


# Agent


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


# Plugin


@dataclass(frozen=True, slots=True)
class PluginFailed:
    """A plugin could not be loaded, or failed while it was asked for something.

    Attributes:
        dist: The distribution.
        name: The entry point or the registered name.
        error: What it raised.
    """

    kind: ClassVar[str] = "plugin.failed"
    dist: str
    name: str
    error: str


FitEvent: TypeAlias = PlanRejected | StrategyFailed | StrategiesSuspended | BackgroundMissed
ContextEvent: TypeAlias = (
    ContextFitted | ContextMeasured | FitEvent | OverflowReported | HistoryRepaired
)
MemoryEvent: TypeAlias = SessionResumed | JournalQuarantined | MemoryRecalled | MemoryDegraded
Notice: TypeAlias = Waiting | CircuitOpened
BackendEvent: TypeAlias = (
    TextDelta | ReasoningDelta | ReasoningBlock | ToolCalled | Usage | Finished | Notice
)
AgentEvent: TypeAlias = MessageAppended | ToolStarted | ToolFinished | FallbackUsed | TurnFinished
PluginEvent: TypeAlias = PluginFailed
Event: TypeAlias = ContextEvent | MemoryEvent | BackendEvent | AgentEvent | PluginEvent
