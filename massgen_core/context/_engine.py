"""The engine asks strategies, checks what they propose, carries it out and counts."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from massgen_core.context._background import Draft
from massgen_core.context._breaker import CHAIN, Breaker, preparation_of
from massgen_core.context._floor import newest_user
from massgen_core.context._jobs import Ask, Jobs, Preparation
from massgen_core.context._plan import Background, Eager, FitContext, Goal, Plan, Prepares
from massgen_core.context._report import Fit, FitReport
from massgen_core.context._work import Work, is_paid
from massgen_core.errors import InvalidArgument
from massgen_core.events import BackgroundMissed

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from massgen_core.context._background import Prepared
    from massgen_core.context._groups import Group
    from massgen_core.context._jobs import Job
    from massgen_core.context._plan import TruncationStrategy
    from massgen_core.context._view import View
    from massgen_core.tokens import TokenCounter

_LOW_SHARE: Final = 2
"""A fit aims for no less than what must stay and 1/2 of the target share of the room beside it."""
_WORTH_A_FIT: Final = 0.05
"""Share of the limit that strategies must free together: less, and they are asked again for it."""


class ContextEngine:
    """Fits views into a limit by a chain of strategies, with the floor as the last resort.

    Args:
        strategies: Asked in order until the view is small enough.
        counter: The tokenizer in force.
        trigger: Share of the limit above which a fit is made, 0 < trigger <= 1.
        target: Share of the limit a fit aims for, 0 < target <= trigger; more only where what must
            stay leaves too little of it. Between fits the beginning of the view stays as it is,
            byte by byte, so that provider prompt caches keep hitting.
        strategy_timeout: Seconds a strategy may take to plan. It runs in a thread, which is given
            up then, not stopped.
        produce_timeout: Seconds a text may take that stands for others. One that blocks the running
            loop instead of waiting on it cannot be given up.
        clip_system: Whether system messages that leave no room for anything else are cut, with a
            mark, and told of in the report; if not, that is an error.

    Raises:
        InvalidArgument: A number is out of range.
    """

    def __init__(
        self,
        strategies: Sequence[TruncationStrategy],
        counter: TokenCounter,
        *,
        trigger: float = 1.0,
        target: float = 0.6,
        strategy_timeout: float = 10.0,
        produce_timeout: float = 300.0,
        clip_system: bool = True,
    ) -> None:
        if not 0 < target <= trigger <= 1:
            raise InvalidArgument(
                f"trigger {trigger!r} and target {target!r}: expected 0 < target <= trigger <= 1",
                hint="Set context.trigger_threshold and context.target_ratio.",
            )
        if not (strategy_timeout > 0 and produce_timeout > 0):
            raise InvalidArgument(
                f"strategy_timeout {strategy_timeout!r} and produce_timeout {produce_timeout!r}: "
                "expected seconds, more than 0",
                hint="Set context.strategy_timeout and context.produce_timeout.",
            )
        self.strategies = tuple(strategies)
        self.counter = counter
        self.trigger = trigger
        self.target = target
        self.strategy_timeout = strategy_timeout
        self.produce_timeout = produce_timeout
        self.clip_system = clip_system
        self._eager = tuple((i, s) for i, s in enumerate(self.strategies) if isinstance(s, Eager))
        self._background = frozenset(
            i for i, s in enumerate(self.strategies) if isinstance(s, Background) and s.background
        )
        self._jobs = Jobs(strategy_timeout, produce_timeout)

    def with_counter(self, counter: TokenCounter) -> ContextEngine:
        """The same engine for another tokenizer."""
        return ContextEngine(
            self.strategies,
            counter,
            trigger=self.trigger,
            target=self.target,
            strategy_timeout=self.strategy_timeout,
            produce_timeout=self.produce_timeout,
            clip_system=self.clip_system,
        )

    def fit(
        self, view: View, limit: int, history: Sequence[Group], breaker: Breaker | None = None
    ) -> Fit:
        """The view, made small enough for `limit`; the same view if it is already.

        Args:
            view: What would be sent.
            limit: Tokens it may have, by this engine's counter.
            history: All groups ever said, numbered from 0 without gaps.
            breaker: What the fit before taught.

        Raises:
            InvalidArgument: `limit` is not a positive whole number.
            ContextOverflowError: What may not be cut is larger than `limit`.
        """
        breaker = breaker or Breaker()
        if not self.due(view, limit, breaker):
            return Fit(view, FitReport(view.tokens, view.tokens, limit), breaker)
        return self._jobs.drive(self._steps(view, limit, history, breaker))

    async def fit_async(
        self,
        view: View,
        limit: int,
        history: Sequence[Group],
        breaker: Breaker | None = None,
        prepared: Prepared | None = None,
    ) -> Fit:
        """As `fit`; texts that a plan asks for are awaited on the running loop.

        A text of a `Background` strategy is not waited for, but `prepared` is used.
        """
        breaker = breaker or Breaker()
        if not self.due(view, limit, breaker):
            return Fit(view, FitReport(view.tokens, view.tokens, limit), breaker)
        steps = self._steps(view, limit, history, breaker, prepared, waits=False)
        return await self._jobs.drive_async(steps)

    async def draft(
        self, view: View, limit: int, history: Sequence[Group], breaker: Breaker
    ) -> tuple[Draft | None, Fit]:
        """The text that should be made ahead, if any; and a fit that only tells what went wrong."""
        steps = self._draft(view, limit, history, breaker)
        return await self._jobs.drive_async(steps)

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

    def due(self, view: View, limit: int, breaker: Breaker | None = None) -> bool:
        """Whether `fit` would have something to do; O(1).

        Raises:
            InvalidArgument: `limit` is not a positive whole number.
        """
        if type(limit) is not int or limit <= 0:
            raise invalid_budget(limit)
        if view.tokens > (limit if breaker is not None and breaker.stuck else self.trigger * limit):
            return True
        for index, strategy in self._eager:
            if breaker is not None and breaker.leaves_out(index):
                continue
            if _is_due(strategy, view) is not False:
                return True
        return False

    def due_ahead(self, view: View, limit: int, breaker: Breaker) -> bool:
        """Whether the view is so full that a `Background` strategy should be asked; O(1)."""
        if not self._background or breaker.stuck or breaker.leaves_out(CHAIN):
            return False
        return view.tokens > self._midway(limit)

    def _midway(self, limit: int) -> float:
        return (self.target + self.trigger) / 2 * limit

    def _low(self, work: Work, limit: int) -> int:
        """The low-water mark: the target share of the limit.

        More beside a system prompt that takes most of that itself: nothing else would stay.
        """
        protected = work.ctx.protected
        stays = sum(group.tokens for group in work.view if group.number in protected)
        beside = int(self.target * max(0, limit - stays)) // _LOW_SHARE
        return min(limit, max(int(self.target * limit), stays + beside))

    def _steps(
        self,
        view: View,
        limit: int,
        history: Sequence[Group],
        breaker: Breaker,
        prepared: Prepared | None = None,
        *,
        waits: bool = True,
    ) -> Generator[Job, Any, Fit]:
        """The fit, without a loop: yields what it waits for and is sent the outcome."""
        over = view.tokens > (limit if breaker.stuck else self.trigger * limit)
        work = Work(view, self.context(view, history))
        if over and self.clip_system:
            work.make_room(limit)
        goal = Goal(self._low(work, limit) if over else view.tokens, limit, self.target)
        if over and prepared is not None:
            goal = yield from self._use(prepared, work, goal)
        resting = over and breaker.leaves_out(CHAIN)
        for index, strategy in enumerate(self.strategies):
            if index in work.trials:  # its text was used, or was none
                continue
            wanted = work.view.tokens > goal.tokens and not resting
            if not (wanted or self._wants(index, strategy, work, breaker)):
                continue
            if breaker.leaves_out(index):
                work.leave_out(index, (strategy.name,), breaker, "failed in the fits before")
            else:
                yield from self._try(index, strategy, work, goal, breaker, waits=waits)
        if resting:
            names = tuple([strategy.name for strategy in self.strategies])
            work.leave_out(CHAIN, names, breaker, "could not make room in the fit before")
        elif over and "sound" in work.trials.values() and not work.failed:
            futile = view.tokens - work.view.tokens < _WORTH_A_FIT * limit
            futile = futile and work.view.tokens > self.trigger * limit
            work.trials[CHAIN] = "lost" if futile else "sound"
        if work.view.tokens > limit:
            work.fall_to_floor(limit, clip_system=self.clip_system)
        report = FitReport(
            view.tokens,
            work.view.tokens,
            limit,
            tuple(work.operations),
            tuple(work.events),
            work.view.tokens_since_change(view) if work.operations else 0,
        )
        stuck = work.view.tokens > self.trigger * limit
        return Fit(work.view, report, breaker.after(work.trials, stuck=stuck))

    def _use(self, prepared: Prepared, work: Work, goal: Goal) -> Generator[Job, Any, Goal]:
        """Puts a text in its place; what then still is to be done.

        It was planned for a view that is full, so a little more than the low-water mark is good.
        """
        plan = Plan((prepared.operation(),))
        yield from work.carry_out(prepared.at, prepared.strategy, plan, goal, prepaid=True)
        if work.operations and work.view.tokens <= self._midway(goal.limit):
            return replace(goal, tokens=max(goal.tokens, work.view.tokens))
        return goal

    def _wants(
        self, index: int, strategy: TruncationStrategy, work: Work, breaker: Breaker
    ) -> bool:
        """Whether the strategy has a limit of its own that was passed."""
        if not isinstance(strategy, Eager) or breaker.leaves_out(index):
            return False
        due = _is_due(strategy, work.view)
        if isinstance(due, Exception):
            work.take(index, strategy.name, due)
            return False
        return due

    def _try(
        self,
        index: int,
        strategy: TruncationStrategy,
        work: Work,
        goal: Goal,
        breaker: Breaker,
        *,
        waits: bool,
    ) -> Generator[Job, Any, None]:
        """Asks one strategy, and carries out what it proposes."""
        plan = yield from self._ask(index, strategy, work, goal, breaker)
        if plan is None:
            return
        if not waits and index in self._background and is_paid(plan):
            missed = BackgroundMissed(strategy.name, "it was not made before the view was full")
            work.events.append(missed)
            return
        yield from work.carry_out(index, strategy.name, plan, goal)

    def _ask(
        self, index: int, strategy: TruncationStrategy, work: Work, goal: Goal, breaker: Breaker
    ) -> Generator[Job, Any, Plan | None]:
        """The plan of a strategy, which may get ready first; why there is none is an event."""
        if isinstance(strategy, Prepares):
            ahead = preparation_of(index)
            if breaker.leaves_out(ahead):
                why = "could not prepare in the fits before, and plans without"
                work.leave_out(ahead, (strategy.name,), breaker, why)
            else:
                ready = yield Preparation(strategy, work.view, work.ctx)
                work.take_ready(ahead, strategy.name, ready)
        answer = yield Ask(index, strategy, work.view, goal, work.ctx)
        return work.take(index, strategy.name, answer)

    def _draft(
        self, view: View, limit: int, history: Sequence[Group], breaker: Breaker
    ) -> Generator[Job, Any, tuple[Draft | None, Fit]]:
        """What would be done if the view were full, up to the first text to make ahead."""
        work = Work(view, self.context(view, history))
        low = self._low(work, limit)
        growth = max(0, int(self.trigger * limit) - view.tokens)
        goal = Goal(max(low - growth, low // 2, 1), limit, self.target)
        draft: Draft | None = None
        for index, strategy in enumerate(self.strategies):
            if draft is not None or work.view.tokens <= goal.tokens:
                break
            if breaker.leaves_out(index):
                continue
            plan = yield from self._ask(index, strategy, work, goal, breaker)
            if plan is None:
                continue
            if not is_paid(plan):
                yield from work.carry_out(index, strategy.name, plan, goal)
            elif index in self._background:
                text = work.paid_text(index, strategy.name, plan, goal)
                draft = None if text is None else Draft(index, strategy.name, text)
        report = FitReport(view.tokens, view.tokens, limit, (), tuple(work.events))
        return draft, Fit(view, report, breaker.after(work.trials, stuck=breaker.stuck))


def invalid_budget(value: object) -> InvalidArgument:
    """The error for a budget that is no positive whole number of tokens."""
    shown = "NaN" if isinstance(value, float) and math.isnan(value) else repr(value)
    return InvalidArgument(
        f"budget is {shown}, expected a positive whole number of tokens",
        hint="Pass the tokens the messages may have, e.g. budget=8000.",
    )


def _task(history: Sequence[Group]) -> Group | None:
    return next((group for group in history if group.role == "user"), None)


def _is_due(strategy: Eager, view: View) -> bool | Exception:
    try:
        return bool(strategy.due(view))
    except Exception as exc:  # noqa: BLE001 - the strategy fence: the fit tells of it
        return exc
