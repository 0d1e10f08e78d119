"""What may happen to the texts a strategy leaves behind, and to the model that reads its views."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from massgen_core.context import Plan, Replace, View, fit_to_json, recounted, view_from_json
from massgen_core.messages import Message, Text
from massgen_core.testing._checks import floor_of

if TYPE_CHECKING:
    from massgen_core.context import (
        ContextWindow,
        FitContext,
        FitReport,
        Goal,
        PlanOperation,
        TruncationStrategy,
    )
    from massgen_core.tokens import Count, TokenCounter

NO_TEXTS: Final[tuple[str | Exception, ...]] = (
    TimeoutError("no answer"),
    ValueError("nonsense"),
    "",
    " \n\t",
    "Error code: 429 - rate limit exceeded",
    "openai.APIConnectionError: Connection error.",
    "I'm sorry, I can't help with that.",
)
"""What comes in the place of a summary when a model fails."""
AHEAD: Final = "What was said before, in short."


class Retold:
    """A strategy whose texts are paid for, and are all the same.

    Args:
        strategy: Plans.
        said: The text; or why there is none, which is raised.
        background: Whether it is made ahead.

    Attributes:
        made: How often the text was asked for.
        replaced: The number of the last group that a text is to stand for, and the beginning of the
            view up to it, for each text that was planned.
    """

    def __init__(
        self, strategy: TruncationStrategy, said: str | Exception, *, background: bool = False
    ) -> None:
        self.name = strategy.name
        self.background = background
        self.made = 0
        self.replaced: list[tuple[int, list[tuple[Message, ...]]]] = []
        self._strategy = strategy
        self._said = said

    def plan(self, view: View, goal: Goal, ctx: FitContext) -> Plan | None:
        """The plan of the strategy, with other texts."""
        plan = self._strategy.plan(view, goal, ctx)
        if plan is None:
            return None
        for operation in plan.operations:
            if isinstance(operation, Replace):
                last = max(operation.groups)
                self.replaced.append((last, beginning(view, last)))
        return Plan(tuple(map(self._retold, plan.operations)))

    def _retold(self, operation: PlanOperation) -> PlanOperation:
        if not isinstance(operation, Replace):
            return operation
        return replace(operation, produce=self._produce, price=max(1, operation.price))

    async def _produce(self) -> str:
        self.made += 1
        if isinstance(self._said, Exception):
            raise self._said
        return self._said


class Scaled:
    """A tokenizer that needs `factor` times the tokens, rounded up."""

    def __init__(self, counter: TokenCounter, factor: float) -> None:
        self.name = f"{counter.name}*{factor}"
        self._counter = counter
        self._factor = factor

    def count(self, item: Any, /) -> Count:
        """The tokens of a message, a part or tools."""
        return self._scaled(self._counter.count(item))

    def count_text(self, text: str, /) -> Count:
        """The tokens of a text."""
        return self._scaled(self._counter.count_text(text))

    def _scaled(self, count: Count) -> Count:
        return count._replace(tokens=math.ceil(count.tokens * self._factor))


def beginning(view: View, last: int) -> list[tuple[Message, ...]]:
    """The messages of the groups up to number `last`, group by group."""
    return [group.messages for group in view if group.number <= last]


def taken_over(window: ContextWindow, report: FitReport, counter: TokenCounter) -> ContextWindow:
    """The conversation as a model with another tokenizer finds it in the journal."""
    other = type(window)(window.engine.with_counter(counter))
    for group in window.history:
        for message in group.messages:
            other.append(message)
    view = view_from_json(other.history, fit_to_json(window.view, report))
    other.view = recounted(view, other.engine.counter)
    return other


class Ahead(NamedTuple):
    """A fit for which a text may have been made ahead.

    Attributes:
        report: What it did.
        before: The view it was made from, which was too large.
        made: Whether the text was made by then.
    """

    report: FitReport
    before: View
    made: bool


def fitted_ahead(window: ContextWindow, strategy: Retold, change: str, place: int) -> Ahead | None:
    """A fit of a window that fills up; None if there is no room to fit it into.

    Args:
        window: Its engine has `strategy`.
        strategy: Makes its text ahead.
        change: What happens to a group meanwhile: ``edit``, ``leave`` or ``nothing``.
        place: Which group that is.
    """
    limit = int(window.view.tokens / 0.95)
    if limit < 2 * floor_of(window):
        return None

    async def main() -> Ahead:
        try:
            await window.fit_async(limit)
            for _ in range(8):  # steps of the loop: a text that waits for nothing takes fewer
                await asyncio.sleep(0)
            made = strategy.made > 0
            window.view = _changed(window, change, place)
            _overfill(window, limit)
            before = window.view
            return Ahead(await window.fit_async(limit), before, made)
        finally:
            await window.aclose()

    return asyncio.run(main())


def _changed(window: ContextWindow, change: str, place: int) -> View:
    """The view with a group that is another one, or without it, as after a replay."""
    groups = window.engine.context(window.view, window.history).droppable(window.view)
    if change == "nothing" or not groups:
        return window.view
    group = groups[place % len(groups)]
    if change == "leave":
        return View([other for other in window.view if other is not group])
    head, *rest = group.messages
    head = replace(head, meta={**head.meta, "edited": True})
    edited = group.with_messages((head, *rest), group.counts)
    return View([edited if other is group else other for other in window.view])


def _overfill(window: ContextWindow, limit: int) -> None:
    excess = limit + limit // 20 - window.view.tokens
    text = "So it goes. " * max(1, excess // 3)
    window.append(Message("user", (Text(text),), "flood", 0.0))
