"""What a fit waits for, and doing it within its time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from massgen_core.context._bounded import (
    Workers,
    call_within,
    call_within_async,
    produced,
    produced_sync,
)
from massgen_core.context._plan import Replace

if TYPE_CHECKING:
    from collections.abc import Generator

    from massgen_core.context._bounded import Running
    from massgen_core.context._plan import FitContext, Goal, Prepares, TruncationStrategy
    from massgen_core.context._view import View

T = TypeVar("T")


class Ask(NamedTuple):
    """A call of a strategy's ``plan``; `at` is its place in the chain."""

    at: int
    strategy: TruncationStrategy
    view: View
    goal: Goal
    ctx: FitContext

    def plan(self) -> object:
        """What it answers."""
        return self.strategy.plan(self.view, self.goal, self.ctx)


class Preparation(NamedTuple):
    """A call of a strategy's ``prepare``."""

    strategy: Prepares
    view: View
    ctx: FitContext

    @property
    def request(self) -> Replace:
        """The same, as if it made a text, of no groups; it has a price, for it has to wait."""

        async def prepare() -> str:
            await self.strategy.prepare(self.view, self.ctx)
            return "ready"

        return Replace((), prepare, limit=1, reason="", price=1)


Job: TypeAlias = "Ask | Preparation | Replace"
"""What a fit waits for: a plan, what a plan needs, or a text."""


class Jobs:
    """Does what fits wait for.

    Args:
        strategy_timeout: Seconds that a plan, and preparing for it, may take.
        produce_timeout: Seconds that a text may take.
    """

    def __init__(self, strategy_timeout: float, produce_timeout: float) -> None:
        self._plans = strategy_timeout
        self._texts = produce_timeout
        self._workers = Workers()
        self._given_up: dict[int, Running] = {}

    def drive(self, steps: Generator[Job, Any, T]) -> T:
        """What `steps` return, with all done that they yield."""
        try:
            job = next(steps)
            while True:
                job = steps.send(self._done(job))
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # a generator's return value is untyped here

    async def drive_async(self, steps: Generator[Job, Any, T]) -> T:
        """As `drive`, on the running loop."""
        try:
            job = next(steps)
            while True:
                job = steps.send(await self._done_async(job))
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # see drive

    def _done(self, job: Job) -> object:
        match job:
            case Replace():
                return produced_sync(self._workers, job, self._texts)
            case Preparation():
                return produced_sync(self._workers, job.request, self._plans)
            case Ask():
                return self._still_asked(job) or call_within(
                    self._workers, self._plans, job.plan, lambda call: self._give_up(job, call)
                )

    async def _done_async(self, job: Job) -> object:
        match job:
            case Replace():
                return await produced(job, self._texts)
            case Preparation():
                return await produced(job.request, self._plans)
            case Ask():
                return self._still_asked(job) or await call_within_async(
                    self._workers, self._plans, job.plan, lambda call: self._give_up(job, call)
                )

    def _still_asked(self, ask: Ask) -> TimeoutError | None:
        """The error of a strategy that still is busy with an earlier fit, of any conversation."""
        call = self._given_up.get(ask.at)
        if call is None or call.over:
            return None
        return TimeoutError("it is busy with an earlier fit, which gave it up")

    def _give_up(self, ask: Ask, call: Running) -> None:
        self._given_up[ask.at] = call
