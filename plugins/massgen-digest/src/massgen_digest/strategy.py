"""The digest: what leaves the window leaves an extract behind. No model, always the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from massgen_core.context import Drop, FitContext, Goal, Plan, Replace, View
from massgen_digest.extract import Spot, fill, in_order_of_need, ranked, spots_in
from massgen_digest.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from massgen_core.context import Group
    from massgen_core.plugin import PluginContext
    from massgen_core.tokens import TokenCounter

_TINY: Final = 250
"""Tokens of a digest in a tiny window, of which it may take half."""
_FRAME: Final = 48
"""Tokens of the message around a digest: its frame, tag and headings."""
_SAID: Final = "The user said:"
_QUOTE: Final = "> "
_NOTHING: Final = "Nothing specific was said."
_LEAST: Final = 64
"""Tokens below which a digest says too little to be worth its frame."""
NAMES_BELOW: Final = 300
"""Tokens below which a digest is a list of names: more of them fit than of excerpts."""


class Digest:
    """Replaces the oldest groups by an extract of them; user messages are the last to go."""

    name = "digest"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen: dict[int, tuple[Group, list[Spot]]] = {}

    def plan(self, view: View, goal: Goal, ctx: FitContext) -> Plan | None:
        """Evicts until the rest and a digest fit; the digest gets all the room that is left."""
        leaving = self._leaving(view, goal, ctx)
        if not leaving:
            return None
        numbers = tuple(group.number for group in leaving)
        left = view.tokens - sum(group.tokens for group in leaving)
        room = goal.tokens - left
        if room < _LEAST:
            return Plan((Drop(numbers, "no room is left for a digest"),))
        said = [group if _is_digest(group) else ctx.history[group.number] for group in leaving]
        out = frozenset(numbers)
        staying = [group for group in view if group.number not in out]

        async def produce() -> str:
            return self._digest(said, staying, room - _FRAME, ctx.counter)

        return Plan((Replace(numbers, produce, room, "the oldest leave a digest behind"),))

    def _digest(
        self, said: Sequence[Group], staying: Sequence[Group], room: int, counter: TokenCounter
    ) -> str:
        spots = [self._spots(group) for group in said]
        self._seen = {
            group.number: (group, self._spots(group)) for group in staying
        }  # what left is not needed again
        known = {spot.name for _, found in self._seen.values() for spot in found}
        statements = [one for group in said for one in _statements(group)]
        return digest(statements, ranked(spots, known), room, counter) or _NOTHING

    def _spots(self, group: Group) -> list[Spot]:
        """The atoms of the group; those of one that was seen before are remembered."""
        before = self._seen.get(group.number)
        return before[1] if before is not None and before[0] is group else spots_in(group)

    def _leaving(self, view: View, goal: Goal, ctx: FitContext) -> list[Group]:
        """The oldest groups that have to go, earlier digests among them, oldest first."""
        free = goal.tokens - sum(g.tokens for g in view if g.number in ctx.protected)
        excess = view.tokens - goal.tokens + self._size(free)
        droppable = ctx.droppable(view)
        users = self._users_that_stay(droppable, free)
        out: list[Group] = []
        for group in droppable:
            if _is_digest(group):
                out.append(group)
                excess -= group.tokens
        for group in droppable:
            if excess <= 0:
                break
            if group.number not in users and not _is_digest(group):
                out.append(group)
                excess -= group.tokens
        if all(_is_digest(group) for group in out):
            return []
        return sorted(out, key=lambda group: group.number)

    def _size(self, free: int) -> int:
        """Tokens of the digest: a share of what may be filled, more of it where that is little."""
        return max(int(self._settings.share * free), min(free // 2, _TINY))

    def _users_that_stay(self, groups: Sequence[Group], free: int) -> frozenset[int]:
        """Numbers of the user messages that may stay: standing orders first, then the newest."""
        room = self._settings.user_share * free
        users = [group for group in groups if group.role == "user" and not _is_digest(group)]
        out = set()
        for group in in_order_of_need(users, text=lambda group: group.text):
            if group.tokens <= room:
                out.add(group.number)
                room -= group.tokens
        return frozenset(out)


def digest(said: Sequence[str], spots: Sequence[Spot], room: int, counter: TokenCounter) -> str:
    """An extract in at most `room` tokens.

    Args:
        said: What the user said, oldest first.
        spots: Atoms, most important first.
        room: Tokens.
        counter: The tokenizer in force.
    """

    def count(text: str) -> int:
        return counter.count_text(text).tokens

    quotes = [f"{_QUOTE}{line}" for line in said]
    kept = set(fill(in_order_of_need(quotes, text=str), room // 2, count))
    statements = [line for line in quotes if line in kept]
    left = room - sum(count(f"{line}\n") for line in statements)
    names_only = left < NAMES_BELOW
    lines = fill((spot.name if names_only else spot.around for spot in spots), left, count)
    text = _composed(statements, lines, names_only=names_only)
    while count(text) > room and (lines or statements):  # what stands together can take more
        (lines or statements).pop()
        text = _composed(statements, lines, names_only=names_only)
    return text


def _composed(statements: Sequence[str], lines: Sequence[str], *, names_only: bool) -> str:
    parts = ["\n".join([_SAID, *statements])] if statements else []
    if lines and names_only:
        parts.append("Names: " + " ".join(lines))
    elif lines:
        parts.append("\n".join(["Excerpts:", *lines]))
    return "\n".join(parts)


def _statements(group: Group) -> list[str]:
    """What the user says in a group, or is quoted with in an earlier digest."""
    if not _is_digest(group):
        return [group.text] if group.role == "user" else []
    quoted = group.text.partition(_SAID)[2].partition("\nExcerpts:")[0].partition("\nNames:")[0]
    return [line for line in quoted.partition("\n</summary>")[0].split(f"\n{_QUOTE}") if line]


def make(settings: Settings | None, ctx: PluginContext) -> Digest:
    """The strategy; called by massgen-core."""
    del ctx
    return Digest(settings or Settings())


def _is_digest(group: Group) -> bool:
    return "summary" in group.messages[0].meta
