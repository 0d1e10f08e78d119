"""What a view is used for, in tokens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from massgen_core.context._apply import is_summary
from massgen_core.events import ContextMeasured

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def measured(view: View, beside: Mapping[str, int], *, recall: str = "recall") -> ContextMeasured:
    """What a model's window is used for, in the provider's tokens.

    Args:
        view: What the model sees.
        beside: Counted tokens of ``instructions``, ``tools``, of what long-term ``memory`` adds,
            and of the ``room`` that the view may have; what the provider would count of all of
            them when they are ``full``; its ``window`` and the answer's ``reserve``. What is
            missing is 0.
        recall: Name of the tool whose results count as memory.
    """
    parts = segments_of(view, recall=recall)
    instructions, tools = beside.get("instructions", 0), beside.get("tools", 0)
    full, added = beside.get("full", 0), beside.get("memory", 0)
    counted = instructions + tools + added + beside.get("room", 0)
    scale = full / counted if full and counted else 1.0

    def scaled(tokens: int) -> int:
        return round(scale * tokens)

    used = ContextMeasured(
        window=beside.get("window", 0),
        system=scaled(instructions + parts.system),
        tools=scaled(tools),
        memory=scaled(added + parts.memory),
        summary=scaled(parts.summary),
        messages=scaled(parts.messages),
        free=0,
        reserve=beside.get("reserve", 0),
    )
    return replace(used, free=max(0, full - used.used))


def _recalled(group: Group, recall: str) -> int:
    sizes = zip(group.messages[1:], group.counts[1:], strict=True)
    return sum(
        tokens
        for message, tokens in sizes
        if all(result.name == recall for result in message.results)
    )
