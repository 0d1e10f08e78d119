"""Priorities: what matters least leaves first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from massgen_core.context import Drop, FitContext, Goal, Plan, View, clip_newest
from massgen_priority.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from massgen_core.context import Group, PlanOperation
    from massgen_core.plugin import PluginContext
    from massgen_priority.settings import Kind

_SUMMARY: Final = "summary"
"""Key in the meta of a text that stands for many messages: it leaves after all others."""


class Priority:
    """Drops groups, lowest priority first and oldest first within one, until the rest fits.

    Messages of other authors have a share of their own, if the settings say so: what is beyond it
    leaves before anything else.
    """

    name = "priority"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def plan(self, view: View, goal: Goal, ctx: FitContext) -> Plan | None:
        """Drops by priority; a newest group larger than the window is clipped as well."""
        operations: list[PlanOperation] = []
        excess = view.tokens - goal.tokens
        if excess <= 0:
            return None
        clip = clip_newest(view, goal.limit, ctx)
        if clip is not None:
            operations.append(clip)
            excess -= view[-1].tokens - clip.limit * len(view[-1].messages)
        movable = sorted(ctx.droppable(view), key=self._rank)
        peers = self._peers_beyond(view, movable, goal)
        if peers:
            operations.append(Drop(_numbers(peers), "peers' messages are beyond their share"))
            excess -= sum(group.tokens for group in peers)
        gone = {group.number for group in peers}
        others = _least([group for group in movable if group.number not in gone], excess)
        if others:
            operations.append(Drop(_numbers(others), "lowest priority first, oldest first"))
        return Plan(tuple(operations)) if operations else None

    def _rank(self, group: Group) -> tuple[bool, int, int]:
        """What leaves first sorts first."""
        return _SUMMARY in group.messages[0].meta, self._priority(group), group.number

    def _priority(self, group: Group) -> int:
        """The highest that a message of the group was given; else its author's, then its role's."""
        given = [found for m in group.messages if type(found := m.meta.get("priority")) is int]
        if given:
            return max(given)
        author = group.messages[0].meta.get("author")
        if isinstance(author, str) and author in self._settings.authors:
            return self._settings.authors[author]
        roles = self._settings.roles
        if "peer" in roles and self._is_peer(group):
            return roles["peer"]
        kind = _kind(group)
        return 0 if kind is None else roles.get(kind, 0)

    def _peers_beyond(self, view: View, movable: Sequence[Group], goal: Goal) -> list[Group]:
        """The peers' groups that must leave for the others to keep to their share."""
        share = self._settings.peer_share
        if share is None:
            return []
        said = sum(group.tokens for group in view if self._is_peer(group))
        peers = [group for group in movable if self._is_peer(group)]
        return _least(peers, said - int(share * goal.tokens))

    def _is_peer(self, group: Group) -> bool:
        author = group.messages[0].meta.get("author")
        return isinstance(author, str) and author not in ("", self._settings.self_name)


def make(settings: Settings | None, ctx: PluginContext) -> Priority:
    """The strategy; called by massgen-core."""
    del ctx
    return Priority(settings or Settings())


def _kind(group: Group) -> Kind | None:
    first = group.messages[0]
    if first.calls:
        return "tool"
    match first.role:
        case "user" | "assistant":
            return first.role
    return None


def _least(groups: Sequence[Group], excess: int) -> list[Group]:
    """The first of `groups` that together free `excess` tokens."""
    out: list[Group] = []
    for group in groups:
        if excess <= 0:
            break
        out.append(group)
        excess -= group.tokens
    return out


def _numbers(groups: Sequence[Group]) -> tuple[int, ...]:
    return tuple(sorted(group.number for group in groups))
