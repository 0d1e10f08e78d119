"""Choosing what of a text is worth keeping, by rules alone.

*Atoms* are the specific words an agent needs again: paths, identifiers, numbers, ids. An atom
scores by where it stood (arguments of calls, what was said, results), how often, and how lately; it
is kept with the words around it, because a bare name says little.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from massgen_core.messages import Text, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from massgen_core.context import Group

_ATOM: Final = re.compile(
    r"""
    (?<![\w./@:#-])                      # at the beginning of a word
    (?=[A-Za-z0-9.:-]*                   # that is specific: it holds
       (?: [/_@#] | \d{3} | [a-z][A-Z]   # a path, snake_case, 404, camelCase,
         | [A-Za-z]\d | \d[A-Za-z]       # v2, 3rd,
         | \w\.\w ) )                    # or a dotted name
    [A-Za-z0-9_./@:#-]{4,64}+
    (?! \\?" \s* : )                    # and is no key of a JSON object: the schema names those
    """,
    re.VERBOSE | re.ASCII,
)
_AROUND: Final = 28
"""Characters kept on each side of an atom."""
_LONGEST_RESULT: Final = 4000
"""Characters of a result that are read, from its beginning: listings repeat themselves."""
_WEIGHTS: Final = {"call": 4.0, "user": 4.0, "assistant": 3.0, "result": 1.0}
_RECENCY: Final = 2.5
"""Weight of being last against the logarithm of the score; both by hand, on one session."""
_CARRIED: Final = 2.0
"""Score of an atom that an earlier digest kept, on top of its place at the beginning."""


@dataclass(slots=True)
class Atom:
    """A specific word, where it stood last, and how much it weighs."""

    score: float
    place: int
    around: str


def atoms_of(text: str) -> Iterator[re.Match[str]]:
    """The specific words of a text."""
    return _ATOM.finditer(text)


def name_of(match: re.Match[str]) -> str:
    """The atom itself, without the punctuation of its sentence."""
    return match[0].strip(".:-/#")


def names_in(group: Group) -> frozenset[str]:
    """All atoms of a group."""
    return frozenset([name_of(m) for _, text in sources(group) for m in atoms_of(text)])


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


def ranked(groups: Sequence[Group], known: Collection[str]) -> list[tuple[str, str]]:
    """The atoms of the groups with what surrounds them, most important first, none of `known`."""
    found: dict[str, Atom] = {}
    for place, group in enumerate(groups):
        for kind, text in sources(group):
            for match in atoms_of(text):
                word = name_of(match)
                if word not in known:
                    _add(found, word, _WEIGHTS[kind], place, _around(text, match))
    last = max(1, len(groups))

    def importance(item: tuple[str, Atom]) -> float:
        atom = item[1]
        return math.log1p(atom.score) + _RECENCY * atom.place / last

    best = sorted(found.items(), key=importance, reverse=True)
    return [(word, atom.around) for word, atom in best]


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


def _add(found: dict[str, Atom], word: str, weight: float, place: int, around: str) -> None:
    atom = found.get(word)
    if atom is None:
        found[word] = Atom(weight, place, around)
    else:
        atom.score += weight
        atom.place, atom.around = place, around


def _around(text: str, match: re.Match[str]) -> str:
    return text[max(0, match.start() - _AROUND) : match.end() + _AROUND]
