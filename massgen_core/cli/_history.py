"""What became of each group of a session, told from its journal alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from massgen_core.context import ContextEngine, ContextWindow, view_from_json
from massgen_core.events import Operation
from massgen_core.tokens import estimating_counter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from massgen_core.context import Group
    from massgen_core.sessions import Entry

IN_VIEW: Final = "in view"
_WORDS: Final = {
    "drop": "left",
    "clip": "clipped",
    "mask": "masked",
    "offload": "offloaded",
    "replace": "replaced",
    "restore": IN_VIEW,
}


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one group.

    Attributes:
        number: Its place in the conversation, from 0.
        role: Who speaks.
        tokens: Its size as it was said.
        tokens_in_view: Its size as the model sees it; 0 if it does not.
        fate: ``in view``, ``left``, ``clipped``, ``masked``, ``offloaded`` or ``replaced``.
        strategy: Who proposed the change; empty if there was none.
        reason: Why.
        handle: Gives back the untouched messages.
        message_ids: The messages of the group.
        text: What was said.
    """

    number: int
    role: str
    tokens: int
    tokens_in_view: int
    fate: str
    strategy: str
    reason: str
    handle: str
    message_ids: tuple[str, ...]
    text: str


def window_of(entries: Iterable[Entry]) -> ContextWindow:
    """History and view as the journal has them; sizes are those that were journalled."""
    window = ContextWindow(ContextEngine((), estimating_counter()))
    for entry in entries:
        if entry.kind == "message":
            window.append(entry.message, entry.tokens)
        elif entry.kind == "fit":
            window.view = view_from_json(window.history, entry.body)
            window.operations.extend(map(_operation, _operations(entry)))
    return window


def fates(entries: Iterable[Entry]) -> list[Fate]:
    """What became of each group, in the order of the conversation."""
    window = window_of(entries)
    seen = {group.number: group for group in window.view}
    last: dict[str, Operation] = {}
    for operation in window.operations:
        last.update(dict.fromkeys(operation.message_ids, operation))
    return [_fate(group, seen.get(group.number), last) for group in window.history]


def _fate(group: Group, seen: Group | None, last: Mapping[str, Operation]) -> Fate:
    ids = tuple(message.id for message in group.messages)
    operation = next((last[key] for key in ids if key in last), None)
    untouched = seen is not None and not seen.changed
    if untouched or operation is None:
        operation = None
    return Fate(
        number=group.number,
        role=group.role,
        tokens=group.tokens,
        tokens_in_view=0 if seen is None else seen.tokens,
        fate=_word(seen, operation),
        strategy=operation.strategy if operation else "",
        reason=operation.reason if operation else "",
        handle=operation.handle if operation else "",
        message_ids=ids,
        text=group.text,
    )


def _word(seen: Group | None, operation: Operation | None) -> str:
    if operation is not None:
        return _WORDS[operation.kind]
    return "left" if seen is None else IN_VIEW


def _operations(entry: Entry) -> Sequence[Mapping[str, Any]]:
    body: Any = entry.body
    operations: Sequence[Mapping[str, Any]] = body["operations"]
    return operations


def _operation(data: Mapping[str, Any]) -> Operation:
    return Operation(**{**data, "message_ids": tuple(data["message_ids"])})
