"""The digest: what leaves the window leaves an extract behind. No model, always the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from massgen_core.context import Drop, FitContext, Goal, Plan, Replace, View, page_end
from massgen_digest.compose import EARLIER, QUOTE, Draft, is_digest, written
from massgen_digest.extract import Line
from massgen_digest.memory import Memory
from massgen_digest.room import Parting, is_summary, parting
from massgen_digest.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from massgen_core.context import Group
    from massgen_core.plugin import PluginContext

_FRAME: Final = 32
"""Tokens of the message around a digest: its frame and tag."""
_LEAST: Final = 64
"""Tokens below which a digest says too little to be worth its frame."""
_ATOMS: Final = (512, 16)
"""At least so many atoms are remembered, and one for so many tokens of the window."""
_CONVERSATIONS: Final = 16
"""So many conversations are remembered at a time; another one is read again from its beginning."""
_NOTHING: Final = "Nothing specific was said."
_SUMMARY: Final = re.compile(r"<summary [^>\n]*>\n(.*)\n</summary>", re.DOTALL)

_SHARES: Final = {"said": 0.5, "facts": 0.15, "decided": 0.06, "failed": 0.06, "earlier": 0.2}
"""What each kind of line may take of the digest's room; atoms get the rest."""
_HEADING: Final = 6
"""Tokens of a heading."""
_LONG: Final = (3, 96)
"""A line may take 1/3 of the room of its kind, or so many tokens; else its beginning is kept."""
_NARROW: Final = 12
"""Tokens of room in which hardly a line fits any more."""
_MISSES: Final = 24
"""How many lines that do not fit are tried."""


class Digest:
    """Replaces the oldest groups by an extract of them; user messages are the last to go."""

    name = "digest"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # By the id() of the first group, least recently used first. They only spare work: each is a
        # function of the history and the window.
        self._memories: dict[int, Memory] = {}

    def plan(self, view: View, goal: Goal, ctx: FitContext) -> Plan | None:
        """Evicts until the rest and a digest fit; the digest gets all the room that is left."""
        parted = parting(view, goal, ctx, self._settings)
        if not parted.leaving:
            return None
        clip = (parted.clip,) if parted.clip else ()
        numbers = tuple(group.number for group in parted.leaving)
        room = parted.room
        if room < _LEAST:
            return Plan((*clip, Drop(numbers, "no room is left for a digest")))
        draft = _draft(self._remembered(parted.staying, goal, ctx), parted, ctx)

        async def produce() -> str:
            return written(draft, room - _FRAME, ctx.counter) or _NOTHING

        return Plan((*clip, Replace(numbers, produce, room, "the oldest leave a digest behind")))

    def _remembered(self, staying: Sequence[Group], goal: Goal, ctx: FitContext) -> Memory:
        """The memory of all groups up to the newest that is not there any more."""
        history, here = ctx.history, {group.number for group in staying}
        until = len(history)
        while until and until - 1 in here:
            until -= 1
        least, tokens = _ATOMS
        most = max(least, 1 << (goal.limit // tokens).bit_length())
        memory = self._memories.pop(id(history[0]), None)
        if memory is None or not memory.is_of(history, until, most, ctx.counter):
            memory = Memory(most, ctx.counter)
        for number in range(memory.folded, until):
            memory.add(history[number])
        memory.keep_extracts(here)
        self._memories[id(history[0])] = memory
        if len(self._memories) > _CONVERSATIONS:
            del self._memories[next(iter(self._memories))]
        return memory


def make(settings: Settings | None, ctx: PluginContext) -> Digest:
    """The strategy; called by massgen-core."""
    del ctx
    return Digest(settings or Settings())


def _draft(memory: Memory, parted: Parting, ctx: FitContext) -> Draft:
    """What can be said of what is not there any more."""
    here = {group.number for group in parted.staying}
    known = _known(memory, parted.staying, ctx)

    def kept(kind: str, lines: Iterable[Line]) -> list[str]:
        room = int(_SHARES[kind] * (parted.room - _FRAME))
        return _fitting(lines, room - _HEADING, memory.size)

    said = [*memory.orders, *memory.statements]
    facts = [line for rank in sorted(memory.facts) for line in memory.facts[rank]]
    return Draft(
        kept("said", (_quoted(line) for line in said if line.place not in here)),
        kept("facts", (line for line in facts if line.name not in known)),
        kept("decided", (line for line in memory.decided if line.place not in here)),
        kept("failed", (line for line in reversed(memory.failed) if line.place not in here)),
        kept("earlier", _foreign(parted.leaving)),
        memory.best(known),
    )


def _known(memory: Memory, staying: Iterable[Group], ctx: FitContext) -> frozenset[str]:
    """The atoms that can be read in what stays."""
    known: set[str] = set()
    for group in staying:
        names = [spot.name for spot in memory.extract(ctx.history[group.number]).spots]
        if group.changed:
            text = group.text
            names = [name for name in names if name in text]
        known.update(names)
    return frozenset(known)


def _quoted(line: Line) -> Line:
    return line._replace(text=f"{QUOTE}{line.text}")


def _fitting(lines: Iterable[Line], room: int, count: Callable[[str], int]) -> list[str]:
    """The first lines that fit into `room` tokens together, oldest first."""
    part, short = _LONG
    longest, kept, misses = max(room // part, min(room, short)), {}, 0
    for line in lines:
        if room < _NARROW or misses == _MISSES:
            break
        text = line.text
        if len(text) > longest and count(text[: 8 * longest]) > longest:
            text = text[: page_end(text, 0, longest, count)]
        size = count(f"{text}\n")
        if size > room:
            misses += 1
        elif text not in kept:
            kept[text] = line.place
            room -= size
    return sorted(kept, key=lambda text: kept[text])


def _foreign(leaving: Iterable[Group]) -> Iterator[Line]:
    """The lines of summaries that others wrote, and of those that earlier digests took over."""
    for group in leaving:
        tagged = _SUMMARY.fullmatch(group.messages[0].text) if is_summary(group) else None
        if tagged is not None:
            text = tagged[1]
            if is_digest(text):
                text = text.partition(f"{EARLIER}\n")[2]
            for line in text.splitlines():
                yield Line(line, group.number)
