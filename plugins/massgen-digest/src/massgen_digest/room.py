"""Who leaves, and how much room that makes for a digest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from massgen_core.context import clip_newest
from massgen_digest.memory import is_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from massgen_core.context import Clip, FitContext, Goal, Group, View
    from massgen_digest.settings import Settings

_SMALL: Final = 400
"""Tokens of a digest in a small window, of which it may take half."""


class Parting(NamedTuple):
    """How a view is parted.

    Attributes:
        leaving: Groups that leave, earlier summaries among them, oldest first.
        staying: All others.
        room: Tokens that a digest may have.
        clip: Makes the newest group smaller, if nothing else has room beside it.
    """

    leaving: list[Group]
    staying: list[Group]
    room: int
    clip: Clip | None


def parting(view: View, goal: Goal, ctx: FitContext, settings: Settings) -> Parting:
    """Who leaves, so that the rest and a digest of its share of the room fit.

    Args:
        view: What is to be fitted.
        goal: How small it must be.
        ctx: Says what is protected.
        settings: The shares.
    """
    room = _Room.of(view, goal, ctx)
    size = max(int(settings.share * room.tokens), min(room.tokens // 2, _SMALL))
    droppable = ctx.droppable(view)
    leaving = [group for group in droppable if is_summary(group)]
    excess = sum(group.tokens for group in droppable) - room.tokens + size
    excess -= sum(group.tokens for group in leaving)
    users = _users_that_stay(droppable, 0 if room.narrow else settings.user_share * room.tokens)
    for group in droppable:
        if excess > 0 and group.number not in users and not is_summary(group):
            leaving.append(group)
            excess -= group.tokens
    if all(map(is_summary, leaving)):
        leaving = []
    out = {group.number for group in leaving}
    staying = [group for group in view if group.number not in out]
    left = sum(group.tokens for group in droppable if group.number not in out)
    leaving.sort(key=lambda group: group.number)
    return Parting(leaving, staying, room.tokens - left, room.clip)


def is_summary(group: Group) -> bool:
    """Whether the group is a text that stands for others."""
    return "summary" in group.messages[0].meta


def in_order_of_need(users: Iterable[Group]) -> list[Group]:
    """What the user said, standing orders first, the newest first among equals."""
    newest_first = sorted(users, key=lambda group: -group.number)
    return sorted(newest_first, key=lambda group: not is_order(group))


def _users_that_stay(groups: Sequence[Group], room: float) -> frozenset[int]:
    """Numbers of the user messages that stay where they are, in at most `room` tokens."""
    users = [group for group in groups if group.role == "user" and not is_summary(group)]
    out = set()
    for group in in_order_of_need(users):
        if group.tokens <= room:
            out.add(group.number)
            room -= group.tokens
    return frozenset(out)


class _Room(NamedTuple):
    """What all but the protected and the newest group may take.

    Attributes:
        tokens: How much that is.
        narrow: Whether the newest group takes all that is below the low-water mark, so that this is
            above it.
        clip: Makes the newest group smaller, if it takes all that is below the limit as well.
    """

    tokens: int
    narrow: bool = False
    clip: Clip | None = None

    @classmethod
    def of(cls, view: View, goal: Goal, ctx: FitContext) -> _Room:
        """The room in this view."""
        protected = sum(group.tokens for group in view if group.number in ctx.protected)
        newest = view.last
        if newest is None or newest.number in ctx.protected:
            return cls(goal.tokens - protected)
        below = goal.tokens - protected - newest.tokens
        above = goal.limit - protected - newest.tokens
        least = min((goal.tokens - protected) // 2, _SMALL)
        if below >= least:
            return cls(below)
        if above >= least:
            return cls(least, narrow=True)
        clip = clip_newest(view, goal.limit - least, ctx)
        if clip is None:
            return cls(max(below, above), narrow=True)
        clipped = clip.limit * len(newest.messages)
        return cls(min(least, goal.limit - protected - clipped), narrow=True, clip=clip)
