"""Atoms: the paths, identifiers and numbers an agent needs to go on."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from massgen_core.measure._subject import said

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from massgen_core.messages import Message

_WORD: Final = re.compile(r"[A-Za-z0-9_./@:-]{4,}")
_CAMEL: Final = re.compile(r"[a-z][A-Z]")
_SHORTEST: Final = 4
"""Characters of the shortest atom; without a mark inside it needs one or two more."""

_AROUND: Final = 25
"""Characters on either side that must survive with an atom for it to be in context."""

_OCCURRENCES: Final = 40
"""The newest occurrences of an atom; one of them must have survived."""


def atoms(text: str) -> set[str]:
    """What is specific in a text: paths, identifiers, ids, numbers with letters."""
    words = (word.strip(".:-/") for word in _WORD.findall(text))
    return {word for word in words if _is_specific(word)}


def _is_specific(word: str) -> bool:
    if len(word) < _SHORTEST:
        return False
    if "/" in word or "_" in word or _CAMEL.search(word):
        return True
    if len(word) > _SHORTEST and any(letter.isdigit() for letter in word):
        return True
    dotted = "." in word and not word.replace(".", "").isdigit()
    return dotted and len(word) > _SHORTEST + 1


def needed(messages: Sequence[Message], cut: int, calls: int) -> set[str]:
    """Atoms in the arguments of the next `calls` tool calls that only the history can give.

    They are in the messages before `cut`, not in the first message (the system prompt), and nothing
    between the cut and the call says them again.
    """
    history = "\n".join(map(said, messages[:cut]))
    known = said(messages[0])
    found: set[str] = set()
    made = 0
    for message in messages[cut:]:
        if message.calls:
            used = atoms("\n".join(map(_argument_text, (c.arguments for c in message.calls))))
            found |= {atom for atom in used if atom in history and atom not in known}
            made += len(message.calls)
            if made >= calls:
                break
        known += "\n" + said(message)
    return found


def surroundings(history: str, atom: str) -> list[str]:
    """The newest occurrences of an atom, with 25 characters on either side."""
    out: list[str] = []
    at = history.rfind(atom)
    while at >= 0 and len(out) < _OCCURRENCES:
        out.append(history[max(0, at - _AROUND) : at + len(atom) + _AROUND])
        at = history.rfind(atom, 0, at)
    return out


def _argument_text(arguments: str) -> str:
    try:
        value = json.loads(arguments or "{}")
    except ValueError:
        return arguments
    return " ".join(map(str, _leaves(value)))


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value
