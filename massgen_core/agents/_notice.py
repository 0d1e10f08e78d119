"""The notice: one note in a request that tells the agent what is not in it, and the way to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from massgen_core.agents._recall import NAME as RECALL
from massgen_core.messages import Message, Text

if TYPE_CHECKING:
    from massgen_core.context import ContextWindow

_MOST: Final = 999_999_999
"""No conversation has more messages; the notice is budgeted as if they all had left."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A note that no journal holds.

    It stands where the first group is missing: there the last fit changed the request anyway, so
    that the note costs the provider's prompt cache next to nothing, and it stays as it is until
    the next fit.

    Attributes:
        place: Groups of the view that precede it.
        message: What is said.
    """

    place: int
    message: Message


def notice_of(window: ContextWindow) -> Notice | None:
    """The note on what left the view; None if nothing did. O(n)."""
    seen = 0
    place = None
    for index, group in enumerate(window.view):
        if place is None and group.number != index:
            place = index
        if "summary" not in group.messages[0].meta:
            seen += len(group.messages)
    left = sum(len(group.messages) for group in window.history) - seen
    if place is None and len(window.view) == len(window.history):
        return None
    return Notice(len(window.view) if place is None else place, _note(left))


def largest_notice() -> Message:
    """The longest note there can be, for the budget."""
    return _note(_MOST)


def _note(left: int) -> Message:
    text = (
        f"[Messages left out of this conversation to make room: {left}. To read them as they were "
        f"said, call the tool {RECALL} with a query, or with a handle that a marker names.]"
    )
    return Message("user", (Text(text),), "notice", 0.0, {"synthetic": True})
