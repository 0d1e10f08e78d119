"""Tool pruning: a masking window.

The newest messages stay verbatim. In older ones results that a later call repeats are masked,
pictures become stubs, and results, arguments and answers are clipped by the largest common limit
with which everything fits. Masking old tool output costs as little quality as summarising it, at
half the price (Lindenbauer et al., arXiv 2508.21433).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_core.context import FitContext, Goal, Mask, Offload, Plan, View
from massgen_tool_pruning.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from massgen_core.context import Group, PlanOperation
    from massgen_core.plugin import PluginContext


_STUB = 32
"""Tokens of the stub that stands for a masked result, its frame included."""
_FRAME = 16
"""Tokens of a message that are not its text: a clip leaves them."""
_STEP = 1.2
"""Ratio of one step of the clip limit to the next."""
_INGEST_SHARE = 2
"""A result over the limit is clipped to half of it: head and tail, not nearly all."""


class ToolPruning:
    """Clips old tool output, and a new result that is too large to be let in whole."""

    name = "tool_pruning"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def due(self, view: View) -> bool:
        """Whether the newest result is larger than ``ingest_tokens``."""
        most, newest = self._settings.ingest_tokens, view.last
        return most is not None and newest is not None and _is_bulky(newest, most)

    def plan(self, view: View, goal: Goal, ctx: FitContext) -> Plan | None:
        """Masks repeated results, then clips older groups by the largest limit that is enough."""
        operations = self._ingest(view, ctx)
        older = self._older(view, goal, ctx)
        excess = view.tokens - goal.tokens
        repeated = _repeated(view, older) if excess > 0 else ()
        if repeated:
            numbers = tuple(group.number for group in repeated)
            operations.append(Mask(numbers, "the same call was made again later"))
            excess -= sum(
                sum(group.counts[1:]) - _STUB * len(group.counts[1:]) for group in repeated
            )
            older = [group for group in older if group not in repeated]
        if older and excess > 0:
            level = _step(_level(older, excess) - _FRAME, self._settings.least_tokens)
            most = level + _FRAME
            if bulky := tuple(group.number for group in older if max(group.counts) > most):
                operations.append(Offload(bulky, level, "older than what stays verbatim"))
        return Plan(tuple(operations)) if operations else None

    def _ingest(self, view: View, ctx: FitContext) -> list[PlanOperation]:
        newest = view.last
        if newest is None or newest.number in ctx.protected or not self.due(view):
            return []
        limit = (self._settings.ingest_tokens or 0) // _INGEST_SHARE
        return [Offload((newest.number,), limit, "a result too large to be let in")]

    def _older(self, view: View, goal: Goal, ctx: FitContext) -> list[Group]:
        """Groups before those that stay verbatim; what the user said stays as it is."""
        free = goal.tokens - sum(g.tokens for g in view if g.number in ctx.protected)
        verbatim = view.cut(max(0, int(free * self._settings.keep_share)))
        return [
            group
            for group in list(view)[: min(verbatim, len(view) - 1)]
            if group.role == "assistant" and group.number not in ctx.protected
        ]


def make(settings: Settings | None, ctx: PluginContext) -> ToolPruning:
    """The strategy; called by massgen-core."""
    del ctx
    return ToolPruning(settings or Settings())


def _is_bulky(group: Group, most: int) -> bool:
    return len(group.counts) > 1 and group.counts[-1] > most


def _repeated(view: View, older: Sequence[Group]) -> list[Group]:
    """Older groups all of whose calls were made again, with the same arguments, further down."""
    last_place = {
        (call.name, call.arguments): group.number
        for group in view
        for call in group.messages[0].calls
    }
    return [
        group
        for group in older
        if (calls := group.messages[0].calls)
        and max(group.counts[1:], default=0) > 2 * _STUB
        and all(last_place[call.name, call.arguments] > group.number for call in calls)
    ]


def _step(level: int, least: int) -> int:
    """The next lower of few steps, so that what an earlier fit clipped mostly stays as it is."""
    step = float(least)
    while step * _STEP <= level:
        step *= _STEP
    return int(step)


def _level(groups: Sequence[Group], excess: int) -> int:
    """The largest limit per message that makes the groups `excess` tokens smaller; 0 if none."""
    sizes = sorted((size for group in groups for size in group.counts), reverse=True)
    freed = 0
    for place, size in enumerate(sizes, 1):
        lower = sizes[place] if place < len(sizes) else 0
        if freed + (size - lower) * place >= excess:
            return size - -(-(excess - freed) // place)
        freed += (size - lower) * place
    return 0
