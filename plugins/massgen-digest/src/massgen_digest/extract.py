"""What of a group is worth keeping, found by rules alone.

*Atoms* are the specific words an agent needs again: paths, identifiers, numbers, ids. *Lines* are
kept whole: what a tool answered in few words, what was decided, what failed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from massgen_core.messages import Text, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from massgen_core.context import Group

_WORD: Final = re.compile(r"[A-Za-z0-9_./@:#\u00c0-\u024f\u0370-\u04ff-]{4,64}")
_SPECIFIC: Final = re.compile(r"[/_@#]|\d{3}|[a-z][A-Z]|[A-Za-z]-?\d|\d-?[A-Za-z]|\w\.\w")
"""A path, snake_case, 404, camelCase, v2, 3rd, room-12, or a dotted name."""
_KEY: Final = re.compile(r'\\?"\s*:')
"""What follows the key of a JSON object: keys are known from the schema, values are not."""
_READ: Final = 16_000
"""Characters of a text that are read, from its beginning: listings repeat themselves."""
_WEIGHTS: Final = {"call": 4.0, "user": 4.0, "assistant": 3.0, "result": 1.0}
_SHARED: Final = 12.0
"""Weight that the atoms of a text share: where few are named, each matters. All by hand."""
_FEW: Final = 4
"""A result with up to so many atoms states facts; with more it is a listing."""
_PLAIN: Final = range(20, 200)
"""Characters of a one-line result that states a fact though it has no atom."""
_REACH: Final = 90
"""Characters on each side of a place that belong to its line; tables have longer ones."""
_FAILED: Final = (
    *("error", "exception", "traceback", "fatal", "failed", "failure", "panic", "denied"),
    *("not found", "no such", "exited with", "exit code", "timed out"),
    *("fehler", "erreur", "ошибка", "错误", "失败", "エラー"),
)
_CODE: Final = ("{", ";", ",", "(", "*/")
"""Ends of a line of source code, which only speaks of errors."""
_LISTING: Final = 4000
"""Characters of a result that is more likely a file than a failure."""
_DECIDED: Final = (
    *("decided", "decision", "instead of", "going with", "agreed", "i chose", "we chose"),
    *("the plan is", "i'll use", "we'll use", "entschied", "stattdessen", "décidé", "decidido"),
    *("решил", "决定", "決定"),
)


class Spot(NamedTuple):
    """Where an atom stands.

    Attributes:
        name: The atom.
        weight: How much it matters for being there.
        place: Number of the group.
        source: Which text of the group it is, from 0.
        text: All of that text.
        start: Where the atom begins in it.
        tool: The tool's name, if the text is the arguments of a call.
    """

    name: str
    weight: float
    place: int
    source: int
    text: str
    start: int
    tool: str


class Line(NamedTuple):
    """A line that is kept whole.

    Attributes:
        text: The line.
        place: Number of the group.
        name: An atom in it, if it is a fact; the line itself if it has none.
        rank: How many atoms the result has, if it is a fact: the fewer, the surer.
    """

    text: str
    place: int
    name: str = ""
    rank: int = 0


class Extract(NamedTuple):
    """What is worth keeping of a group, each in the order it was said."""

    spots: list[Spot]
    facts: list[Line]
    decided: list[Line]
    failed: list[Line]


def extract(group: Group) -> Extract:
    """What is worth keeping of a group."""
    out = Extract([], [], [], [])
    for source, (kind, text, tool) in enumerate(_sources(group)):
        found = atoms_of(text[:_READ])
        weight = _WEIGHTS[kind] + _SHARED / max(1, len(found))
        out.spots.extend(
            [
                Spot(name, weight, group.number, source, text, start, tool)
                for name, start in found.items()
            ]
        )
        if kind == "result":
            out.facts.extend(_facts(text, found, group.number))
            out.failed.extend(Line(line, group.number) for line in _failures(text))
        elif kind == "assistant":
            lines = _last_line_with(_DECIDED, text)
            out.decided.extend(Line(line, group.number) for line in lines)
    return out


def atoms_of(text: str) -> dict[str, int]:
    """The specific words of a text, in order, and where each stands last, but not as a key."""
    out: dict[str, int] = {}
    for word in dict.fromkeys(_WORD.findall(text)):
        name = _atom(word)
        if name:
            start = _last(text, word)
            if start >= 0:
                out[name] = start + word.index(name)
    return out


def words_of(text: str) -> frozenset[str]:
    """All specific words of a text, keys of JSON objects too."""
    return frozenset(map(_atom, _WORD.findall(text)))


@lru_cache(maxsize=1 << 15)
def _atom(word: str) -> str:
    """The word without the punctuation of its sentence; empty if it is not specific."""
    return word.strip(".:-/#") if _SPECIFIC.search(word) else ""


def _last(text: str, word: str) -> int:
    """Where the word stands last; -1 if only as a key."""
    start = text.rfind(word)
    while start >= 0 and _KEY.match(text, start + len(word)):
        start = text.rfind(word, 0, start)
    return start


def _facts(text: str, found: dict[str, int], place: int) -> Iterator[Line]:
    if not found and len(text) in _PLAIN and "\n" not in text.strip():
        yield Line(text.strip(), place, text.strip(), _FEW)
    if len(found) <= _FEW:
        for name, start in found.items():
            if not name.isdigit():
                yield Line(_line_at(text, start), place, name, len(found))


def _failures(text: str) -> list[str]:
    lines = _last_line_with(_FAILED, text) if len(text) <= _LISTING else []
    return [line for line in lines if not line.endswith(_CODE)]


def _last_line_with(words: tuple[str, ...], text: str) -> list[str]:
    lowered = text.lower()
    place = max([lowered.rfind(word) for word in words])
    return [_line_at(text, place)] if place >= 0 and len(lowered) == len(text) else []


def _line_at(text: str, place: int) -> str:
    """The line around a place; of a long one what is near."""
    start = max(text.rfind("\n", 0, place) + 1, place - _REACH)
    end = text.find("\n", place, place + _REACH)
    return text[start : place + _REACH if end < 0 else end].strip()


def _sources(group: Group) -> Iterator[tuple[str, str, str]]:
    """The texts of a group: what each is (a key of `_WEIGHTS`), the text, the tool of a call."""
    for message in group.messages:
        for part in message.parts:
            if isinstance(part, Text):
                yield ("user" if message.role == "user" else "assistant"), part.text, ""
            elif isinstance(part, ToolCall):
                yield "call", part.arguments, part.name
            elif isinstance(part, ToolResult):
                yield "result", part.text, ""
