"""Choosing what of a text is worth keeping, by rules alone.

*Atoms* are the specific words an agent needs again: paths, identifiers, numbers, ids. An atom
scores by where it stood (arguments of calls, what was said, results), how often, and how lately; it
is kept with the words around it, because a bare name says little.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from massgen_core.messages import Text, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from massgen_core.context import Group

T = TypeVar("T")

_WORD: Final = re.compile(r"[A-Za-z0-9_./@:#-]{4,64}")
_SPECIFIC: Final = re.compile(r"[/_@#]|\d{3}|[a-z][A-Z]|[A-Za-z]\d|\d[A-Za-z]|\w\.\w")
"""A path, snake_case, 404, camelCase, v2, 3rd, or a dotted name."""
_KEY: Final = re.compile(r'\\?"\s*:')
"""What follows the key of a JSON object: keys are known from the schema, values are not."""
_ORDER: Final = re.compile(
    r"\b(always|never|must|do not|don't|only|every time|from now on|make sure|remember|rule)\b",
    re.IGNORECASE,
)
"""Words of a statement that holds for more than its own turn."""
_AROUND: Final = 28
"""Characters kept on each side of an atom."""
_LONGEST_RESULT: Final = 4000
"""Characters of a result that are read, from its beginning: listings repeat themselves."""
_WEIGHTS: Final = {"call": 4.0, "user": 4.0, "assistant": 3.0, "result": 1.0}
_RECENCY: Final = 2.5
"""Weight of being last against the logarithm of the score; both by hand, on one session."""


class Spot(NamedTuple):
    """Where an atom stands."""

    name: str
    weight: float
    text: str
    start: int
    end: int

    @property
    def around(self) -> str:
        """The atom with the words around it."""
        return self.text[max(0, self.start - _AROUND) : self.end + _AROUND]


def atoms_of(text: str) -> Iterator[tuple[str, int, int]]:
    """The specific words of a text, without the punctuation of their sentence; start and end."""
    for match in _WORD.finditer(text):
        word = match[0]
        if word.isalpha() and word.islower():  # most words; cheaper to ask than a pattern
            continue
        if _SPECIFIC.search(word) and not _KEY.match(text, match.end()):
            yield word.strip(".:-/#"), match.start(), match.end()


def spots_in(group: Group) -> list[Spot]:
    """All atoms of a group, in order."""
    return [
        Spot(name, _WEIGHTS[kind], text, start, end)
        for kind, text in sources(group)
        for name, start, end in atoms_of(text)
    ]


def sources(group: Group) -> Iterator[tuple[str, str]]:
    """The texts of a group with what they are: ``call``, ``user``, ``assistant`` or ``result``."""
    for message in group.messages:
        for part in message.parts:
            if isinstance(part, Text):
                yield ("user" if message.role == "user" else "assistant"), part.text
            elif isinstance(part, ToolCall):
                yield "call", part.arguments
            elif isinstance(part, ToolResult):
                yield "result", part.text[:_LONGEST_RESULT]


def ranked(groups: Sequence[Sequence[Spot]], known: Collection[str]) -> list[Spot]:
    """Where each atom stood last, most important first, without those that are `known`.

    Args:
        groups: The atoms of each group, oldest first.
        known: Names that need no place.
    """
    scores: dict[str, float] = {}
    last: dict[str, tuple[int, Spot]] = {}
    for place, spots in enumerate(groups):
        for spot in spots:
            name = spot.name
            scores[name] = scores.get(name, 0.0) + spot.weight
            last[name] = place, spot
    share = _RECENCY / max(1, len(groups))
    best = sorted(
        (name for name in last if name not in known),
        key=lambda name: math.log1p(scores[name]) + share * last[name][0],
        reverse=True,
    )
    return [last[name][1] for name in best]


def in_order_of_need(items: Sequence[T], text: Callable[[T], str]) -> list[T]:
    """What the user said, standing orders first, the newest first among equals.

    Args:
        items: Oldest first.
        text: What is said in one of them.
    """
    newest_first = list(items)[::-1]
    newest_first.sort(key=lambda item: not _ORDER.search(text(item)))
    return newest_first


def fill(lines: Iterable[str], room: int, count: Callable[[str], int]) -> list[str]:
    """The first lines that fit into `room` tokens together, none that another contains."""
    out: list[str] = []
    taken = ""
    for line in lines:
        if line in taken:
            continue
        size = count(f"{line}\n")
        if size > room:
            if room < _NARROW:
                break
            continue
        room -= size
        out.append(line)
        taken += f"{line}\n"
    return out


_NARROW: Final = 24
"""Tokens of room in which hardly a line fits any more."""
