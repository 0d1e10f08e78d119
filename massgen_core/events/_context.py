"""What happens to a context: fitted, measured, refused; and what plans did not hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias


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


FitEvent: TypeAlias = PlanRejected | StrategyFailed | StrategiesSuspended | BackgroundMissed
ContextEvent: TypeAlias = (
    ContextFitted | ContextMeasured | FitEvent | OverflowReported | HistoryRepaired
)
