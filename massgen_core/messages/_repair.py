"""Putting messages into an order that a provider takes, losing as little as can be."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from massgen_core.messages._model import Message, Reasoning, Text, ToolCall, ToolResult
from massgen_core.messages.order import REQUIREMENTS, check_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from massgen_core.messages._model import Part
    from massgen_core.messages.order import Requirements, Rules

DEAD_CALL: Final = "[no result was recorded: the call was interrupted]"
NOTHING_SAID: Final = "[an empty message]"
OPENING: Final = "[the assistant speaks first]"
GO_ON: Final = "[go on]"


def repair_order(
    messages: Sequence[Message], rules: Rules, *, reasoning: bool = True
) -> tuple[Message, ...]:
    """The messages in an order the provider takes; those it takes already are the same objects.

    Results go right after their call; a second one, and one without a call, is left out; a call
    without one gets a result that says so. Call ids that are used again get a suffix. What is empty
    is left out, or says that it is. Pure, O(n); repairing twice is repairing once.

    Args:
        messages: All of a request, oldest first; at least one that is not a system message.
        rules: Whose rules.
        reasoning: Whether reasoning stays; a provider refuses the reasoning of another.
    """
    if reasoning and not check_order(messages, rules):
        return tuple(messages)
    needs = REQUIREMENTS[rules]
    cleaned = [_cleaned(message, needs, reasoning=reasoning) for message in messages]
    slots = _matched([message for message in cleaned if message is not None])
    out = _named_apart(slots, needs)
    return tuple(_ends(out, needs))


@dataclass(slots=True)
class _Slot:
    """A message in its new place, and for each of its calls what answers it, by index."""

    message: Message
    results: dict[int, tuple[ToolResult, Message]] = field(default_factory=dict)


def _cleaned(message: Message, needs: Requirements, *, reasoning: bool) -> Message | None:
    """The message with only the parts that may be there; None if nothing is left worth saying."""
    parts = [part for part in message.parts if _allowed(part, message.role)]
    if not reasoning:
        parts = [part for part in parts if not isinstance(part, Reasoning)]
    if needs.reasoning_first:
        parts.sort(key=lambda part: not isinstance(part, Reasoning))
    if not _says_something(parts, needs):
        if message.role != "user":
            return None
        parts = [Text(NOTHING_SAID)]
    if len(parts) == len(message.parts) and all(map(_is, parts, message.parts)):
        return message
    return replace(message, parts=tuple(parts))


def _is(one: object, other: object) -> bool:
    return one is other


def _allowed(part: Part, role: str) -> bool:
    if isinstance(part, ToolResult):
        return role == "tool"
    if isinstance(part, (ToolCall, Reasoning)):
        return role == "assistant"
    return role != "tool"


def _says_something(parts: Sequence[Part], needs: Requirements) -> bool:
    return any(
        needs.reasoning_first
        if isinstance(part, Reasoning)
        else not (isinstance(part, Text) and needs.blank_is_nothing and not part.text.strip())
        for part in parts
    )


def _matched(messages: Sequence[Message]) -> list[_Slot]:
    """Each result with the nearest call before it that still waits for one."""
    slots: list[_Slot] = []
    waiting: dict[str, list[tuple[_Slot, int]]] = {}
    for message in messages:
        if message.role == "tool":
            for result in message.results:
                if calls := waiting.get(result.call_id):
                    slot, index = calls.pop(0)
                    slot.results[index] = (result, message)
            continue
        slot = _Slot(message)
        slots.append(slot)
        calls_here = message.calls
        for call in calls_here:
            waiting[call.id] = []  # an id used again means the newer call
        for index, call in enumerate(calls_here):
            waiting[call.id].append((slot, index))
    return slots


def _named_apart(slots: Sequence[_Slot], needs: Requirements) -> list[Message]:
    """All messages again, each call with an id of its own and its result right after it."""
    out: list[Message] = []
    used: set[str] = set()
    for slot in slots:
        calls = slot.message.calls
        if not needs.unique_calls:
            used = set()
        ids = [_fresh(call.id, used) for call in calls]
        out.append(_renamed(slot.message, ids))
        out += _answers(slot, calls, ids, whole=not needs.one_result)
    return out


def _fresh(call_id: str, used: set[str]) -> str:
    name, number = call_id, 1
    while name in used:
        number += 1
        name = f"{call_id}-{number}"
    used.add(name)
    return name


def _renamed(message: Message, ids: Sequence[str]) -> Message:
    if [call.id for call in message.calls] == list(ids):
        return message
    fresh = iter(ids)
    parts = tuple(
        [replace(p, id=next(fresh)) if isinstance(p, ToolCall) else p for p in message.parts]
    )
    return replace(message, parts=parts)


def _answers(
    slot: _Slot, calls: Sequence[ToolCall], ids: Sequence[str], *, whole: bool
) -> list[Message]:
    """The tool messages for the calls of one message, in the order their results came."""
    gathered: dict[str, tuple[Message, list[ToolResult]]] = {}
    for index, (result, message) in slot.results.items():
        kept = result if result.call_id == ids[index] else replace(result, call_id=ids[index])
        key = message.id if whole else f"{message.id}/{ids[index]}"
        gathered.setdefault(key, (message, []))[1].append(kept)
    out = [_holding(message, results) for message, results in gathered.values()]
    for index, call in enumerate(calls):
        if index not in slot.results:
            out.append(_dead(slot.message, replace(call, id=ids[index])))
    return out


def _holding(message: Message, results: Sequence[ToolResult]) -> Message:
    if len(results) == len(message.parts) and all(map(_is, results, message.parts)):
        return message
    name = message.id if len(message.parts) == 1 else f"{message.id}/{results[0].call_id}"
    return replace(message, id=name, parts=tuple(results))


def _dead(message: Message, call: ToolCall) -> Message:
    result = ToolResult(call.id, (Text(DEAD_CALL),), call.name, is_error=True)
    meta = {"synthetic": True}
    return Message("tool", (result,), f"{message.id}/{call.id}", message.created_at, meta)


def _ends(messages: list[Message], needs: Requirements) -> list[Message]:
    first = next((i for i, m in enumerate(messages) if m.role != "system"), len(messages))
    if first == len(messages):
        return messages
    if needs.user_last and messages[-1].role == "assistant":
        messages = [*messages, _stand_in(messages[-1], GO_ON, "go-on")]
    if needs.user_first and messages[first].role == "assistant":
        opening = _stand_in(messages[first], OPENING, "opening")
        messages = [*messages[:first], opening, *messages[first:]]
    return messages


def _stand_in(beside: Message, text: str, name: str) -> Message:
    meta = {"synthetic": True}
    return Message("user", (Text(text),), f"{beside.id}/{name}", beside.created_at, meta)
