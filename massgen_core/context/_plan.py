"""What a strategy is asked, and the declarative answer it gives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

from massgen_core.context._groups import Group
from massgen_core.context._view import View  # noqa: TC001 - plugins resolve these hints
from massgen_core.tokens import TokenCounter


@dataclass(frozen=True, slots=True)
class Drop:
    """Leave whole groups out.

    Attributes:
        groups: Numbers of the groups.
        reason: Why, in words for a person.
    """

    kind: ClassVar[Literal["drop"]] = "drop"
    groups: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Clip:
    """Cut each text, result and argument in the groups to at most `limit` tokens, with a marker.

    Attributes:
        groups: Numbers of the groups.
        limit: Tokens each single text may have, marker included.
        reason: Why, in words for a person.
    """

    kind: ClassVar[Literal["clip"]] = "clip"
    groups: tuple[int, ...]
    limit: int
    reason: str


@dataclass(frozen=True, slots=True)
class Mask:
    """Put a one-line stub in the place of every tool result in the groups; the calls stay.

    Attributes:
        groups: Numbers of the groups.
        reason: Why, in words for a person.
    """

    kind: ClassVar[Literal["mask"]] = "mask"
    groups: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Offload:
    """Clip as `Clip` does, and put a stub in the place of every picture, sound and file.

    Attributes:
        groups: Numbers of the groups.
        limit: Tokens each single text may have, marker included.
        reason: Why, in words for a person.
    """

    kind: ClassVar[Literal["offload"]] = "offload"
    groups: tuple[int, ...]
    limit: int
    reason: str


@dataclass(frozen=True, slots=True)
class Produced:
    """A text, and a reason that says better than the plan could how it came about.

    Attributes:
        text: The text.
        reason: Takes the place of the operation's reason in the report.
    """

    text: str
    reason: str


Outcome: TypeAlias = str | Produced | Exception
"""What came of a `Replace.produce`."""


@dataclass(frozen=True, slots=True)
class Replace:
    """Put one text in the place of the groups.

    Attributes:
        groups: Numbers of the groups.
        produce: Makes the text; awaited only when the engine carries the plan out, and for a
            limited time. A `Produced` brings the reason to report with it.
        limit: Tokens the text may have; a longer one replaces nothing.
        reason: Why, in words for a person.
        price: Tokens that a paid model reads and writes to make it; 0 without a model.
    """

    kind: ClassVar[Literal["replace"]] = "replace"
    groups: tuple[int, ...]
    produce: Callable[[], Awaitable[str | Produced]] = field(repr=False)
    limit: int
    reason: str
    price: int = 0


@dataclass(frozen=True, slots=True)
class Restore:
    """Bring groups that left, or were changed, back as they were said.

    Attributes:
        groups: Numbers of the groups.
        reason: Why, in words for a person.
    """

    kind: ClassVar[Literal["restore"]] = "restore"
    groups: tuple[int, ...]
    reason: str


PlanOperation: TypeAlias = Drop | Clip | Mask | Offload | Replace | Restore


@dataclass(frozen=True, slots=True)
class Plan:
    """What a strategy proposes: operations, carried out in order, all or none."""

    operations: tuple[PlanOperation, ...]


@dataclass(frozen=True, slots=True)
class Goal:
    """What a fit is after.

    Attributes:
        tokens: Tokens the view should have at most when the fit is done (the low-water mark).
        limit: Tokens it must not pass.
        target: Low-water mark as a share of a limit, for strategies with a limit of their own.
    """

    tokens: int
    limit: int
    target: float = 1.0


@dataclass(frozen=True, slots=True)
class FitContext:
    """What a strategy may use while it plans.

    Attributes:
        counter: The tokenizer in force.
        history: All groups ever said, unchanged; ``history[n].number == n``.
        protected: Numbers of groups no plan may touch: system, pinned, the task (the first user
            message), the newest user message.
        newest: Number of the newest group; a plan may clip but not drop it. -1 in an empty view.
    """

    counter: TokenCounter
    history: Sequence[Group]
    protected: frozenset[int]
    newest: int

    def droppable(self, view: View) -> list[Group]:
        """The groups of the view that a plan may drop, oldest first."""
        kept = self.protected | {self.newest}
        return [group for group in view if group.number not in kept]


@runtime_checkable
class TruncationStrategy(Protocol):
    """Proposes how to make a view smaller; the engine checks, carries out and counts.

    `plan` is pure: it only reads. It sees groups, so it cannot part a call from its result.

    Example, complete: keep the newest groups that fit.
        >>> from massgen_core.context import Drop, FitContext, Goal, Plan, View
        >>> class Newest:
        ...     name = "newest"
        ...
        ...     def plan(self, view: View, goal: Goal, ctx: FitContext) -> Plan | None:
        ...         excess, out = view.tokens - goal.tokens, []
        ...         for group in ctx.droppable(view):
        ...             if excess <= 0:
        ...                 break
        ...             out.append(group.number)
        ...             excess -= group.tokens
        ...         return Plan((Drop(tuple(out), "oldest first"),)) if out else None
    """

    @property
    def name(self) -> str:
        """The registered name."""
        ...

    def plan(self, view: View, goal: Goal, ctx: FitContext) -> Plan | None:
        """What brings `view` down to ``goal.tokens``; None leaves it to the next strategy."""
        ...


@runtime_checkable
class Eager(Protocol):
    """A strategy with a limit of its own, below the window's."""

    def due(self, view: View) -> bool:
        """Whether `plan` shall be asked although the window has room; O(1), before each request."""
        ...


@runtime_checkable
class Prepares(Protocol):
    """A strategy that has to wait for something before it can plan, such as vectors of texts."""

    async def prepare(self, view: View, ctx: FitContext) -> None:
        """Gets what `plan` will need; awaited each time before it is asked.

        If it raises, that is told, and `plan` is asked all the same.
        """
        ...


@runtime_checkable
class Background(Protocol):
    """A strategy whose paid texts are made while the turn goes on.

    Midway between the low-water mark and the trigger it is asked ahead, once before each fit; the
    first `Replace` with a price in its plan is begun. It is carried out by the fit that is due
    later, if what it stands for still is the beginning of the view. No fit waits for it: what is
    not made by then is left to the strategies behind it. Where there is no loop that goes on
    (`ContextWindow.fit`), nothing is begun ahead and the text is waited for.
    """

    @property
    def background(self) -> bool:
        """Whether it wants that."""
        ...
