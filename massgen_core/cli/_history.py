"""What became of each group of a session, told from its journal alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from massgen_core.context import ContextEngine, ContextWindow, measured, view_from_json
from massgen_core.errors import InvalidArgument
from massgen_core.events import ContextMeasured, Operation
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
        segment: What its place in the view is used for: ``system``, ``summary`` or ``messages``.
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
    segment: str


@dataclass(frozen=True, slots=True)
class Change:
    """What one fit made of one group.

    Attributes:
        number: Its place in the conversation, from 0.
        role: Who speaks.
        tokens_before: Its size in the view before the fit; 0 if it was not in it.
        tokens_after: The same after.
        what: What was done: ``drop``, ``clip``, ``mask``, ``offload``, ``replace``, ``restore``.
        strategy: Who proposed it.
        reason: Why.
        handle: Gives back the untouched messages.
        before: What the model saw.
        after: What it sees since; empty if nothing.
    """

    number: int
    role: str
    tokens_before: int
    tokens_after: int
    what: str
    strategy: str
    reason: str
    handle: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class FitDiff:
    """What the last fit changed.

    Attributes:
        fit: Its number among the fits of the session, from 1.
        limit: Tokens the view was allowed.
        tokens_before: Tokens of the view before.
        tokens_after: The same after.
        cache_cost: Tokens after the first change: what the next request could not read from the
            provider's prompt cache.
        changes: The groups that changed, in order.
    """

    fit: int
    limit: int
    tokens_before: int
    tokens_after: int
    cache_cost: int
    changes: tuple[Change, ...]


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
        segment=_segment(group, seen),
    )


def until_turn(entries: Sequence[Entry], turn: int | None) -> Sequence[Entry]:
    """The entries up to the end of a turn; all of them if it is None.

    A turn is a user message with what follows it; the first is 1.

    Raises:
        InvalidArgument: The session has no such turn.
    """
    if turn is None:
        return entries
    begins = [
        index
        for index, entry in enumerate(entries)
        if entry.kind == "message" and entry.message.role == "user"
    ]
    if not 1 <= turn <= len(begins):
        raise InvalidArgument(
            f"there is no turn {turn}: the session has {len(begins)}",
            hint="Turns are counted from 1, one for each user message.",
        )
    return entries if turn == len(begins) else entries[: begins[turn]]


def last_fit(entries: Sequence[Entry]) -> FitDiff | None:
    """What the last fit changed; None if nothing was ever fitted."""
    fits = [index for index, entry in enumerate(entries) if entry.kind == "fit"]
    if not fits:
        return None
    entry = entries[fits[-1]]
    before = {group.number: group for group in window_of(entries[: fits[-1]]).view}
    after = {group.number: group for group in window_of(entries[: fits[-1] + 1]).view}
    by: dict[str, Operation] = {}
    for operation in map(_operation, _operations(entry)):
        by.update(dict.fromkeys(operation.message_ids, operation))
    changes = [
        _change(before.get(number), after.get(number), by)
        for number in sorted(before.keys() | after.keys())
        if _messages(before.get(number)) != _messages(after.get(number))
    ]
    body: Any = entry.body
    sizes = body["limit"], body["tokens_before"], body["tokens_after"], body.get("cache_cost", 0)
    return FitDiff(len(fits), *sizes, tuple(changes))


def usage_of(entries: Iterable[Entry]) -> ContextMeasured:
    """What the window is used for.

    What is beside the view is that of the last request that was answered, as the journal has it; 0
    if none was.
    """
    entries = list(entries)
    beside: Mapping[str, int] = {}
    for entry in entries:
        if entry.kind == "usage":
            body: Any = entry.body
            beside = body.get("beside", beside)
    return measured(window_of(entries).view, beside)


def _change(before: Group | None, after: Group | None, by: Mapping[str, Operation]) -> Change:
    there = [one for one in (before, after) if one is not None]
    ids = [message.id for one in there for message in one.messages]
    operation = next((by[key] for key in ids if key in by), None)
    return Change(
        number=there[0].number,
        role=there[0].role,
        tokens_before=before.tokens if before else 0,
        tokens_after=after.tokens if after else 0,
        what=operation.kind if operation else "",
        strategy=operation.strategy if operation else "",
        reason=operation.reason if operation else "",
        handle=operation.handle if operation else "",
        before=before.text if before else "",
        after=after.text if after else "",
    )


def _messages(group: Group | None) -> object:
    return None if group is None else group.messages


def _segment(group: Group, seen: Group | None) -> str:
    if seen is not None and "summary" in seen.messages[0].meta:
        return "summary"
    return "system" if group.role == "system" else "messages"


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
