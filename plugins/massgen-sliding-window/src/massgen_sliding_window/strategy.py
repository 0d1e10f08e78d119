"""The sliding window: oldest groups leave first."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from massgen_core.context import Drop, FitContext, Goal, Plan, View, clip_newest
from massgen_sliding_window.settings import Settings

if TYPE_CHECKING:
    from massgen_core.context import Group, PlanOperation
    from massgen_core.plugin import PluginContext


class SlidingWindow:
    """Drops the oldest groups until the rest fits, turns are few enough, or only pins remain."""

    name = "sliding_window"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pins = [re.compile(pattern) for pattern in settings.pin]

    def due(self, view: View) -> bool:
        """Whether a limit of the settings is passed, though the model's window is not."""
        tokens, turns = self._settings.max_tokens, self._settings.keep_last_turns
        return bool((tokens and view.tokens > tokens) or (turns and view.turns > turns))

    def plan(self, view: View, goal: Goal, ctx: FitContext) -> Plan | None:
        """Drops from the oldest on; a newest group larger than the window is clipped as well."""
        room, limit = goal.tokens, goal.limit
        own = self._settings.max_tokens
        if own and view.tokens > own:
            room, limit = min(room, int(own * goal.target)), min(limit, own)
        movable, pinned = ctx.droppable(view), 0
        if self._pins:
            pins = [group for group in movable if self._pinned(group)]
            pinned = sum(group.tokens for group in pins)
            kept = {group.number for group in pins}
            movable = [group for group in movable if group.number not in kept]
        excess = view.tokens - room
        if view.tokens <= limit:
            movable = [group for group in movable if not _is_summary(group)]
        operations: list[PlanOperation] = []
        clip = clip_newest(view, limit - pinned, ctx)
        if clip is not None:
            operations.append(clip)
            excess -= view[-1].tokens - clip.limit * len(view[-1].messages)
        out = self._leaving(view, movable, excess)
        if out:
            operations.append(Drop(out, "oldest first: the window is full"))
        return Plan(tuple(operations)) if operations else None

    def _pinned(self, group: Group) -> bool:
        text = group.text
        return any(pin.search(text) for pin in self._pins)

    def _leaving(self, view: View, movable: list[Group], excess: int) -> tuple[int, ...]:
        oldest = self._oldest_turn(view)
        out: list[int] = []
        for group in movable:
            if excess <= 0 and group.number >= oldest:
                break
            out.append(group.number)
            excess -= group.tokens
        return tuple(out)

    def _oldest_turn(self, view: View) -> int:
        """Number of the first group of the oldest turn that may stay."""
        turns = self._settings.keep_last_turns
        if turns is None or view.turns <= turns:
            return 0
        return [group.number for group in view if group.role == "user"][-turns]


def _is_summary(group: Group) -> bool:
    """Whether it stands for others, all of which would go with it."""
    return "summary" in group.messages[0].meta


def make(settings: Settings | None, ctx: PluginContext) -> SlidingWindow:
    """The strategy; called by massgen-core."""
    del ctx
    return SlidingWindow(settings or Settings())
