"""The engine asks strategies, checks what they propose, carries it out and counts."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from massgen_core._quick import quick
from massgen_core.context._floor import newest_user
from massgen_core.context._plan import Eager, FitContext, Goal, Prepares, Produced, Replace
from massgen_core.context._view import View
from massgen_core.context._work import Work
from massgen_core.errors import InvalidArgument
from massgen_core.events import Operation, PlanRejected, StrategyFailed

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from massgen_core.context._groups import Group
    from massgen_core.context._plan import Outcome, TruncationStrategy
    from massgen_core.tokens import TokenCounter


@quick
@dataclass(frozen=True, slots=True)
class FitReport:
    """What a fit did.

    Attributes:
        tokens_before: Counted tokens of the view before.
        tokens_after: The same after.
        limit: Tokens the view may have.
        operations: What was done, in order; empty if the view was left as it was.
        events: Plans that were rejected and strategies that failed, in order.
        cache_cost: Tokens of the view after that follow its first change: what the next request
            cannot read from the provider's prompt cache. 0 if the view was left as it was.
    """

    tokens_before: int
    tokens_after: int
    limit: int
    operations: tuple[Operation, ...] = ()
    events: tuple[PlanRejected | StrategyFailed, ...] = ()
    cache_cost: int = 0


@dataclass(frozen=True, slots=True)
class Fit:
    """The fitted view and the report of how it came about."""

    view: View
    report: FitReport


class ContextEngine:
    """Fits views into a limit by a chain of strategies, with the floor as the last resort.

    Args:
        strategies: Asked in order until the view is small enough.
        counter: The tokenizer in force.
        trigger: Share of the limit above which a fit is made, 0 < trigger <= 1.
        target: Share of the limit a fit aims for, 0 < target <= trigger. Between fits the beginning
            of the view stays as it is, byte by byte, so that provider prompt caches keep hitting.

    Raises:
        InvalidArgument: `trigger` or `target` is out of range.
    """

    def __init__(
        self,
        strategies: Sequence[TruncationStrategy],
        counter: TokenCounter,
        *,
        trigger: float = 1.0,
        target: float = 0.6,
    ) -> None:
        if not 0 < target <= trigger <= 1:
            raise InvalidArgument(
                f"trigger {trigger!r} and target {target!r}: expected 0 < target <= trigger <= 1",
                hint="Set context.trigger_threshold and context.target_ratio.",
            )
        self.strategies = tuple(strategies)
        self.counter = counter
        self.trigger = trigger
        self.target = target
        self._eager = tuple(s for s in self.strategies if isinstance(s, Eager))

    def fit(self, view: View, limit: int, history: Sequence[Group]) -> Fit:
        """The view, made small enough for `limit`; the same view if it is already.

        Args:
            view: What would be sent.
            limit: Tokens it may have, by this engine's counter.
            history: All groups ever said, numbered from 0 without gaps.

        Raises:
            InvalidArgument: `limit` is not a positive whole number.
            ContextOverflowError: What may not be cut is larger than `limit`.
        """
        if not self.due(view, limit):
            return Fit(view, FitReport(view.tokens, view.tokens, limit))
        steps = self._steps(view, limit, history)
        try:
            request = next(steps)
            while True:
                request = steps.send(_produce_sync(request))
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # a generator's return value is untyped here

    async def fit_async(self, view: View, limit: int, history: Sequence[Group]) -> Fit:
        """As `fit`; texts that a plan asks for are awaited on the running loop."""
        if not self.due(view, limit):
            return Fit(view, FitReport(view.tokens, view.tokens, limit))
        steps = self._steps(view, limit, history)
        try:
            request = next(steps)
            while True:
                request = steps.send(await _produce(request))
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # see fit

    def context(self, view: View, history: Sequence[Group]) -> FitContext:
        """What strategies are given for `view`."""
        protected = {
            group.number for group in view if group.pinned or group.messages[0].role == "system"
        }
        protected.update(group.number for group in (_task(history), newest_user(view)) if group)
        newest = view.last
        return FitContext(
            self.counter, history, frozenset(protected), -1 if newest is None else newest.number
        )

    def due(self, view: View, limit: int) -> bool:
        """Whether `fit` would have something to do; O(1).

        Raises:
            InvalidArgument: `limit` is not a positive whole number.
        """
        if type(limit) is not int or limit <= 0:
            raise invalid_budget(limit)
        if view.tokens > self.trigger * limit:
            return True
        for strategy in self._eager:  # noqa: SIM110 - a generator costs more than the question
            if strategy.due(view):
                return True
        return False

    def _eager_for(self, strategy: TruncationStrategy, view: View) -> bool:
        return any(eager is strategy and eager.due(view) for eager in self._eager)

    def _steps(
        self, view: View, limit: int, history: Sequence[Group]
    ) -> Generator[Replace, Outcome, Fit]:
        """The fit, without a loop: yields each `Replace` and is sent its text or error."""
        over = view.tokens > self.trigger * limit
        low = int(self.target * limit) if over else view.tokens
        goal = Goal(low, limit, self.target)
        work = Work(view, self.context(view, history))
        for strategy in self.strategies:
            if work.view.tokens <= goal.tokens and not self._eager_for(strategy, work.view):
                continue
            if isinstance(strategy, Prepares):
                failed = yield _preparation(strategy, work)
                if isinstance(failed, Exception):
                    error = f"{type(failed).__name__}: {failed}"
                    work.events.append(StrategyFailed(strategy.name, error))
            plan = work.ask(strategy, goal)
            if plan is not None:
                yield from work.carry_out(strategy.name, plan, goal)
        if work.view.tokens > limit:
            work.fall_to_floor(limit)
        report = FitReport(
            view.tokens,
            work.view.tokens,
            limit,
            tuple(work.operations),
            tuple(work.events),
            work.view.tokens_since_change(view) if work.operations else 0,
        )
        return Fit(work.view, report)


def invalid_budget(value: object) -> InvalidArgument:
    """The error for a budget that is no positive whole number of tokens."""
    shown = "NaN" if isinstance(value, float) and math.isnan(value) else repr(value)
    return InvalidArgument(
        f"budget is {shown}, expected a positive whole number of tokens",
        hint="Pass the tokens the messages may have, e.g. budget=8000.",
    )


def _task(history: Sequence[Group]) -> Group | None:
    return next((group for group in history if group.role == "user"), None)


def _preparation(strategy: Prepares, work: Work) -> Replace:
    """A request that is waited for as if it made a text, of no groups."""

    async def prepare() -> str:
        await strategy.prepare(work.view, work.ctx)
        return "ready"

    return Replace((), prepare, limit=1, reason="", price=1)


async def _produce(request: Replace) -> Outcome:
    try:
        made: object = await request.produce()
        text = made.text if isinstance(made, Produced) else made
        if isinstance(made, (str, Produced)) and isinstance(text, str):
            return made
        return TypeError(f"{type(text).__name__}, expected text")
    except Exception as exc:  # noqa: BLE001 - the strategy fence, as in Work.ask
        return exc


def _without_loop(request: Replace) -> Outcome:
    """The text, if it is made without waiting for anything.

    Raises:
        RuntimeError: It needs an event loop.
    """
    work = _produce(request)
    try:
        work.send(None)
    except StopIteration as done:
        if isinstance(done.value, RuntimeError):  # "no running event loop", or its own
            raise done.value from None
        return done.value  # type: ignore[no-any-return]  # a coroutine's return value is untyped here
    work.close()
    raise RuntimeError("it waits")


def _produce_sync(request: Replace) -> Outcome:
    """The text, from a loop of its own; in a thread, where this thread already runs one."""
    if not request.price:  # no model is asked: most likely nothing is awaited at all
        with contextlib.suppress(RuntimeError):
            return _without_loop(request)
    import asyncio  # noqa: PLC0415 - 30 ms that few sync users need
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    running = False
    with contextlib.suppress(RuntimeError):
        running = asyncio.get_running_loop() is not None
    if not running:
        return asyncio.run(_produce(request))
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(_produce(request))).result()
