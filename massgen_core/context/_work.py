"""One fit in progress: checks what a strategy proposes, and carries it out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from massgen_core.context._apply import clip_group, is_summary, mask_group, summary_group
from massgen_core.context._breaker import PAUSE
from massgen_core.context._errortext import is_error_text
from massgen_core.context._floor import NAME as FLOOR
from massgen_core.context._floor import floor, system_within
from massgen_core.context._groups import handle_of
from massgen_core.context._plan import (
    Clip,
    Drop,
    Mask,
    Offload,
    Plan,
    PlanOperation,
    Produced,
    Replace,
    Restore,
)
from massgen_core.context._view import View
from massgen_core.events import Operation, PlanRejected, StrategiesSuspended, StrategyFailed
from massgen_core.messages import check_order

if TYPE_CHECKING:
    from collections.abc import Generator

    from massgen_core.context._breaker import Breaker, Trial
    from massgen_core.context._groups import Group
    from massgen_core.context._plan import FitContext, Goal, Outcome
    from massgen_core.events import FitEvent

_INTEGERS: Final = frozenset({int})
_WORTH_PAYING: Final = 0.05
"""Share of the limit that a paid text must free: less, and the next turns pay for it again."""


class _Refused(Exception):
    """A plan breaks an invariant."""

    def __init__(self, invariant: int, reason: str) -> None:
        super().__init__(reason)
        self.invariant = invariant
        self.reason = reason


class Work:
    """One fit in progress: the view so far and what was done to it.

    Attributes:
        view: The view so far.
        ctx: What strategies are given.
        operations: What was done.
        events: What went wrong.
        trials: What came of each strategy, by its place in the chain.
    """

    def __init__(self, view: View, ctx: FitContext) -> None:
        self.view = view
        self.ctx = ctx
        self.operations: list[Operation] = []
        self.events: list[FitEvent] = []
        self.trials: dict[int, Trial] = {}

    @property
    def failed(self) -> bool:
        """Whether a strategy failed; the breaker holds that against it alone."""
        return not {"failed", "lost"}.isdisjoint(self.trials.values())

    def take(self, index: int, strategy: str, answer: object) -> Plan | None:
        """The plan in an answer; None, with an event, if the strategy raised or spoke nonsense.

        Args:
            index: Its place in the chain.
            strategy: Its name.
            answer: What its ``plan`` returned or raised.
        """
        if answer is None or isinstance(answer, Plan):
            self.trials[index] = "sound"
            return answer
        if not isinstance(answer, Exception):
            kind = type(answer).__name__
            answer = TypeError(f"plan() returned {kind}, expected Plan or None")
        self._failed(index, strategy, answer)
        return None

    def _failed(self, index: int, strategy: str, error: Exception) -> None:
        self.trials[index] = "lost" if isinstance(error, TimeoutError) else "failed"
        self.events.append(StrategyFailed(strategy, f"{type(error).__name__}: {error}"))

    def take_ready(self, index: int, strategy: str, outcome: object) -> None:
        """Notes, with an event if it failed, what came of preparing; see `preparation_of`."""
        self.trials[index] = "sound"
        if isinstance(outcome, Exception):
            self._failed(index, strategy, outcome)

    def carry_out(
        self, index: int, strategy: str, plan: Plan, goal: Goal, *, prepaid: bool = False
    ) -> Generator[Replace, Any, None]:
        """Applies all of the plan, or, with an event, nothing of it.

        Args:
            index: The strategy's place in the chain.
            strategy: Its name.
            plan: What it proposes.
            goal: What it was asked for.
            prepaid: Whether its texts are paid for already.
        """
        view, records, paid = self.view, [], prepaid
        try:
            for operation in _operations(plan):
                self._check(view, operation)
                if not prepaid:
                    _check_price(view, operation, goal)
                text: Outcome = (yield operation) if isinstance(operation, Replace) else ""
                paid |= _price(operation) > 0
                done = operation
                if isinstance(text, Produced):
                    done = replace(operation, reason=text.reason or operation.reason)
                    text = text.text
                after = self._apply(view, operation, text)
                records.append(self._record(strategy, view, after, done))
                view = after
            _check_progress(self.view, view, plan, goal)
            if not all(isinstance(operation, Drop) for operation in plan.operations):
                _check_order(self.view, view)  # of whole groups that leave, nothing is left over
        except _Refused as refusal:
            self._refuse(index, strategy, refusal)
            if paid:
                self.trials[index] = "lost"
            return
        self.view = view
        self.trials[index] = "sound"
        self.operations.extend(record for record in records if record is not None)

    def paid_text(self, index: int, strategy: str, plan: Plan, goal: Goal) -> Replace | None:
        """The first paid text of a plan that may be made, nothing being carried out; else None."""
        try:
            for operation in _operations(plan):
                if _price(operation):
                    self._check(self.view, operation)
                    _check_price(self.view, operation, goal)
                    return operation if isinstance(operation, Replace) else None
        except _Refused as refusal:
            self._refuse(index, strategy, refusal)
        return None

    def _refuse(self, index: int, strategy: str, refusal: _Refused) -> None:
        self.trials[index] = "failed"
        self.events.append(PlanRejected(strategy, refusal.invariant, refusal.reason))

    def leave_out(
        self, index: int, strategies: tuple[str, ...], breaker: Breaker, reason: str
    ) -> None:
        """Notes that strategies are not asked; an event tells of it once."""
        self.trials[index] = "left_out"
        if breaker.begins(index):
            self.events.append(StrategiesSuspended(strategies, PAUSE, reason))

    def make_room(self, limit: int) -> None:
        """Cuts the system messages, if they leave no room; puts back what was cut, if they do."""
        step = system_within(self.view, limit, self.ctx)
        if step is not None:
            self._took(*step)

    def fall_to_floor(self, limit: int, *, clip_system: bool) -> None:
        """The last resort; raises ContextOverflowError if it is not enough."""
        for step in floor(self.view, limit, self.ctx, clip_system=clip_system):
            self._took(*step)

    def _took(self, view: View, operation: PlanOperation) -> None:
        """A step of the floor."""
        record = self._record(FLOOR, self.view, view, operation)
        if record is not None:
            self.operations.append(record)
        self.view = view

    def _check(self, view: View, operation: PlanOperation) -> None:
        if not _well_formed(operation):
            raise _Refused(11, f"{type(operation).__name__} is no operation over a tuple of groups")
        if type(operation.reason) is not str:
            raise _Refused(11, "its reason is no text")
        numbers = operation.groups
        if not _INTEGERS.issuperset(map(type, numbers)) or len(set(numbers)) < len(numbers):
            raise _Refused(11, "groups are named by number, each once")
        if isinstance(operation, Restore):
            known = len(self.ctx.history)
            if any(not 0 <= number < known for number in numbers):
                raise _Refused(11, "restores a group that was never said")
            return
        if foreign := set(numbers).difference([group.number for group in view]):
            first = next(number for number in numbers if number in foreign)
            raise _Refused(11, f"names group {first}, which is not in the view")
        if touched := self.ctx.protected.intersection(numbers):
            raise _Refused(5, f"touches group {min(touched)}, which is protected")
        if isinstance(operation, (Drop, Replace)) and self.ctx.newest in numbers:
            raise _Refused(3, f"drops group {self.ctx.newest}, the newest one")
        limit = getattr(operation, "limit", 1)
        if type(limit) is not int or limit <= 0:
            raise _Refused(8, f"limit {limit!r} is no positive number of tokens")

    def _apply(self, view: View, operation: PlanOperation, text: str | Exception) -> View:
        numbers = frozenset(operation.groups)
        match operation:
            case Drop():
                return View([g for g in view if g.number not in numbers])
            case Replace():
                return self._replace(view, operation, text)
            case Restore():
                return self._restore(view, numbers)
            case Clip() | Mask() | Offload():
                changed = (self._cut(g, operation) if g.number in numbers else g for g in view)
                return View(changed)

    def _cut(self, group: Group, operation: Clip | Mask | Offload) -> Group:
        """What stands for the group now; cut from what was said, not from an earlier cut."""
        said = group if is_summary(group) else self.ctx.history[group.number]
        if isinstance(operation, Mask):
            cut = mask_group(said, self.ctx.counter)
        else:
            binaries = isinstance(operation, Offload)
            cut = clip_group(said, operation.limit, self.ctx.counter, binaries=binaries)
        return cut if cut.tokens < group.tokens else group

    def _replace(self, view: View, operation: Replace, text: str | Exception) -> View:
        if isinstance(text, Exception):
            raise _Refused(13, f"its text could not be made: {type(text).__name__}: {text}")
        if not text.strip():
            raise _Refused(13, "its text is empty")
        if operation.price and is_error_text(text):
            raise _Refused(13, f"its text is an error: {' '.join(text.split())[:80]!r}")
        numbers = frozenset(operation.groups)
        groups = [group for group in view if group.number in numbers]
        summary = summary_group(groups, text, self.ctx.counter)
        if summary.tokens > operation.limit:
            raise _Refused(
                8, f"its text has {summary.tokens} tokens, {operation.limit} were allowed"
            )
        rest = (group for group in view if group.number not in numbers)
        return View(sorted((summary, *rest), key=lambda group: group.number))

    def _restore(self, view: View, numbers: frozenset[int]) -> View:
        groups = {group.number: group for group in view}
        groups.update({number: self.ctx.history[number] for number in numbers})
        return View(groups[number] for number in sorted(groups))

    def _record(
        self, strategy: str, before: View, after: View, operation: PlanOperation
    ) -> Operation | None:
        """What the operation did; None if it changed nothing."""
        numbers = frozenset(operation.groups)
        old = {group.number: group for group in before if group.number in numbers}
        new: dict[int, Group] = {}
        touched = sorted(old)
        if not isinstance(operation, Drop):
            new = {group.number: group for group in after if group.number in numbers}
            touched = [n for n in sorted(numbers) if old.get(n) is not new.get(n)]
        if not touched:
            return None
        history = self.ctx.history
        ids = [message.id for n in touched for message in history[n].messages]
        return Operation(
            operation.kind,
            strategy,
            operation.reason,
            tuple(ids),
            sum([old[n].tokens for n in touched if n in old]),
            sum([new[n].tokens for n in touched if n in new]),
            handle_of(ids),
        )


def _well_formed(operation: object) -> bool:
    return isinstance(operation, PlanOperation) and type(operation.groups) is tuple


def _operations(plan: Plan) -> tuple[PlanOperation, ...]:
    if type(plan.operations) is not tuple:
        raise _Refused(11, "operations are a tuple")
    return plan.operations


def _check_progress(before: View, after: View, plan: Plan, goal: Goal) -> None:
    if any(isinstance(operation, Restore) for operation in plan.operations):
        if after.tokens > goal.limit:
            raise _Refused(1, f"brings back more than fits: {after.tokens} of {goal.limit} tokens")
        return
    if after.tokens >= before.tokens:
        raise _Refused(8, f"frees nothing: {before.tokens} tokens before, {after.tokens} after")


def _price(operation: PlanOperation) -> int:
    """What the operation costs; 0 for anything that is no price."""
    price = operation.price if isinstance(operation, Replace) else 0
    return price if type(price) is int else 0


def is_paid(plan: Plan) -> bool:
    """Whether a model has to be paid to carry the plan out."""
    return type(plan.operations) is tuple and any(map(_price, plan.operations))


def _check_price(view: View, operation: PlanOperation, goal: Goal) -> None:
    """Whether a paid text promises enough; asked before anything is paid for."""
    if not isinstance(operation, Replace) or not _price(operation):
        return
    numbers = frozenset(operation.groups)
    promised = sum(group.tokens for group in view if group.number in numbers) - operation.limit
    least = max(int(_WORTH_PAYING * goal.limit), operation.limit)
    if promised < least:
        raise _Refused(
            8,
            f"its paid text is sure to free {max(0, promised)} tokens only, "
            f"{least} are the least that is paid for",
        )


def _check_order(before: View, after: View) -> None:
    """Whether each group that was changed still is what every provider takes."""
    kept = set(map(id, before))
    for group in after:
        if id(group) in kept:
            continue
        for problem in check_order(group.messages, "openai"):
            if problem.rule != "missing-result" or not group.open:
                raise _Refused(2, f"breaks the order of group {group.number}: {problem.text}")
