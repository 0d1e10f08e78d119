"""What left, as one text, and that text in pieces."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from massgen_core.messages import Text, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from massgen_core.context import Group
    from massgen_core.messages import Message, Part

_TAGGED: Final = re.compile(r"<summary [^>\n]*>\n(.*)\n</summary>", re.DOTALL)
_SLACK: Final = 0.2
"""Share of a piece that may be given up to end it between two entries, lines or words."""
_USUAL: Final = 4
"""Characters of a token, to begin with."""


def is_summary(group: Group) -> bool:
    """Whether the group is a text that stands for others."""
    return "summary" in group.messages[0].meta


def transcript(groups: Sequence[Group]) -> str:
    """All text in the groups, each part under a line that says what it is."""
    return "\n\n".join(entry for group in groups for entry in _entries(group))


def piece_of(text: str, room: int, count: Callable[[str], int]) -> str:
    """The longest beginning of the text that has at most `room` tokens, ending where it reads well.

    It has one character at least, so that a text is used up.
    """
    end = _reach(text, room, count)
    if end == len(text):
        return text
    least = max(1, end - int(end * _SLACK))
    for mark in ("\n\n", "\n", " "):
        place = text.rfind(mark, least, end)
        if place > 0:
            return text[: place + len(mark)]
    return text[:end]


def _entries(group: Group) -> Iterator[str]:
    if is_summary(group):
        said = group.messages[0].text
        tagged = _TAGGED.fullmatch(said)
        yield f"[earlier summary]\n{tagged[1] if tagged else said}"
        return
    for message in group.messages:
        for part in message.parts:
            entry = _entry(message, part)
            if entry:
                yield entry


def _entry(message: Message, part: Part) -> str:
    if isinstance(part, Text):
        return f"[{message.role}]\n{part.text}"
    if isinstance(part, ToolCall):
        return f"[call of {part.name}]\n{part.arguments}"
    if isinstance(part, ToolResult):
        return f"[result of {part.name or part.call_id}]\n{part.text}"
    return "" if part.kind == "reasoning" else f"[{message.role}: {part.kind}]"


def _reach(text: str, room: int, count: Callable[[str], int]) -> int:
    """Characters at the beginning of the text that have at most `room` tokens, about the most."""
    length = min(len(text), room * _USUAL)
    used = count(text[:length])
    while used < room * (1 - _SLACK) and length < len(text):
        length = min(len(text), int(length * room / max(1, used)) + 1)
        used = count(text[:length])
    while used > room and length > 1:
        length = max(1, min(length - 1, int(length * room / used * 0.98)))
        used = count(text[:length])
    return length
