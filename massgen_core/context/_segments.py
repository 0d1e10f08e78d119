"""What a view is used for, in tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from massgen_core.context._apply import is_summary

if TYPE_CHECKING:
    from massgen_core.context._groups import Group
    from massgen_core.context._view import View


@dataclass(frozen=True, slots=True)
class Segments:
    """Tokens of a view by what they are used for; together they are all of it.

    Attributes:
        system: System messages.
        memory: What was brought back on request: results of the recall tool.
        summary: Texts that stand for others.
        messages: All else that was said.
    """

    system: int = 0
    memory: int = 0
    summary: int = 0
    messages: int = 0


def segments_of(view: View, *, recall: str = "recall") -> Segments:
    """The segments of `view`; O(n).

    Args:
        view: What a model sees.
        recall: Name of the tool whose results count as memory.
    """
    system = memory = summary = 0
    for group in view:
        if group.role == "system":
            system += group.tokens
        elif is_summary(group):
            summary += group.tokens
        else:
            memory += _recalled(group, recall)
    return Segments(system, memory, summary, view.tokens - system - memory - summary)


def _recalled(group: Group, recall: str) -> int:
    sizes = zip(group.messages[1:], group.counts[1:], strict=True)
    return sum(
        tokens
        for message, tokens in sizes
        if all(result.name == recall for result in message.results)
    )
