"""One conversation: all that was said, the view of it, and the way back."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any

from massgen_core.context._background import Prepared
from massgen_core.context._breaker import Breaker
from massgen_core.context._groups import Group, handle_of, opened_by
from massgen_core.context._report import FitReport
from massgen_core.context._view import View
from massgen_core.errors import HandleNotFound, InvalidMessages
from massgen_core.events import BackgroundMissed
from massgen_core.messages import message_from_json, message_to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from massgen_core.context._engine import ContextEngine
    from massgen_core.context._report import Fit
    from massgen_core.events import FitEvent, Operation
    from massgen_core.messages import JSONValue, Message
    from massgen_core.tokens import TokenCounter


class ContextWindow:
    """The history of a conversation and the fitted view of it. Knows no disk.

    Attributes:
        engine: Fits the view.
        history: All groups, as they were said.
        view: What the model sees.
        operations: All that fits did so far, in order.
    """

    def __init__(self, engine: ContextEngine) -> None:
        self.engine = engine
        self.history: list[Group] = []
        self.view = View()
        self.operations: list[Operation] = []
        self._breaker = Breaker()
        self._prepared: Prepared | None = None
        self._drafted = False

    def append(self, message: Message, tokens: int | None = None) -> int:
        """Adds one message to history and view; O(1). Returns its tokens.

        Args:
            message: What was said.
            tokens: Its counted size by the engine's counter; counted here if omitted.

        Raises:
            InvalidMessages: A tool result that answers no call, or answers one twice.
        """
        size = self.engine.counter.count(message).tokens if tokens is None else tokens
        history = self.history
        old = history[-1] if history else None
        if message.role != "tool":
            if old is not None and old.open:
                self._close(old)
            group = opened_by(message, size, len(history))
            history.append(group)
            self.view = self.view.push(group)
        elif old is None or not old.open:
            self._answer_late(message, size)
        else:
            self._answer(old, message, size)
        return size

    def _answer(self, newest: Group, message: Message, size: int) -> None:
        """The result joins its call, in the history and in the view."""
        try:
            new = newest.answer(message, size)
        except ValueError:
            self._answer_late(message, size)
            return
        self.history[-1] = new
        seen = self.view.last
        if seen is newest:
            self.view = self.view.with_last(new)
        elif seen is not None and seen.number == new.number:
            self.view = self.view.with_last(seen.answer(message, size))

    def _close(self, newest: Group) -> None:
        """Calls of the newest group that have no result get a stand-in."""
        closed = self.history[-1] = newest.close(self._count)
        seen = self.view.last
        if seen is newest:
            self.view = self.view.with_last(closed)
        elif seen is not None and seen.number == newest.number:
            self.view = self.view.with_last(seen.close(self._count))

    def _count(self, message: Message) -> int:
        return self.engine.counter.count(message).tokens

    def fit(self, limit: int) -> FitReport:
        """Makes the view small enough for `limit` tokens; see `ContextEngine.fit`."""
        if not self.engine.due(self.view, limit, self._breaker):
            return FitReport(self.view.tokens, self.view.tokens, limit)
        return self._took(self.engine.fit(self.view, limit, self.history, self._breaker))

    async def fit_async(self, limit: int) -> FitReport:
        """As `fit`, on the running loop, where a text may be made ahead; see `Background`."""
        engine = self.engine
        if not engine.due(self.view, limit, self._breaker):
            return await self._prepare(limit)
        made = self._prepared is not None and self._prepared.made
        prepared = self._prepared if made else None
        missed: tuple[FitEvent, ...] = ()
        if prepared is not None:
            self._prepared = None
            if not prepared.holds(self.view):
                missed, prepared = (_changed(prepared),), None
        fit = await engine.fit_async(self.view, limit, self.history, self._breaker, prepared)
        return self._took(fit, missed)

    async def aclose(self) -> None:
        """Stops what is made ahead. The window can be used further."""
        prepared, self._prepared = self._prepared, None
        if prepared is not None:
            await prepared.stop()

    async def _prepare(self, limit: int) -> FitReport:
        """Begins a text ahead where one is wanted, once before each fit."""
        engine = self.engine
        if self._drafted or self._prepared or not engine.due_ahead(self.view, limit, self._breaker):
            return FitReport(self.view.tokens, self.view.tokens, limit)
        self._drafted = True
        view = self.view
        draft, fit = await engine.draft(view, limit, self.history, self._breaker)
        if draft is not None:
            self._prepared = Prepared(draft, view, engine.produce_timeout)
        self._breaker = fit.breaker
        return fit.report

    def restore(self, handle: str) -> tuple[Message, ...]:
        """The untouched messages behind a handle, in the order they were said.

        Raises:
            HandleNotFound: No operation and no message has this handle.
        """
        messages = {message.id: message for group in self.history for message in group.messages}
        for operation in reversed(self.operations):
            if operation.handle == handle:
                return tuple(messages[key] for key in operation.message_ids)
        for key, message in messages.items():
            if handle_of((key,)) == handle:
                return (message,)
        raise HandleNotFound(
            f"no handle {handle!r} in this conversation",
            handle=handle,
            hint="Handles are named in markers and reports: h and ten hexadecimal digits.",
        )

    def _took(self, fit: Fit, missed: tuple[FitEvent, ...] = ()) -> FitReport:
        self.view = fit.view
        self.operations.extend(fit.report.operations)
        self._breaker = fit.breaker
        self._drafted = self._drafted and not fit.report.operations
        late = self._prepared
        events = (*missed, *fit.report.events)
        if late is not None and not late.holds(self.view):
            late.cancel()
            self._prepared = None
            if all(getattr(event, "strategy", "") != late.strategy for event in events):
                events = (*events, _changed(late))
        return replace(fit.report, events=events) if events else fit.report

    def _answer_late(self, message: Message, size: int) -> None:
        """The result takes the place of the stand-in its call was closed with."""
        number = self._waiting_for(message)
        if number is None:
            ids = ", ".join(repr(result.call_id) for result in message.results) or "(empty)"
            raise InvalidMessages(
                f"tool result {ids} answers no open call",
                hint="A tool message follows the assistant message that holds its call, once each.",
            )
        self.history[number] = _answered(self.history[number], message, size)
        self.view = View(
            _answered(group, message, size) if group.number == number else group
            for group in self.view
        )

    def _waiting_for(self, message: Message) -> int | None:
        """Number of the group whose call still waits for this one result."""
        if len(message.results) != 1:
            return None
        call_id = message.results[0].call_id
        for group in reversed(self.history):
            if any(call.id == call_id for call in group.messages[0].calls):
                return None if _stand_in(group, call_id) is None else group.number
        return None


def _changed(prepared: Prepared) -> BackgroundMissed:
    return BackgroundMissed(
        prepared.strategy, "what it was made from is not the beginning of the view any more"
    )


def _stand_in(group: Group, call_id: str) -> int | None:
    for index, message in enumerate(group.messages):
        if message.meta.get("synthetic") is True and message.results[0].call_id == call_id:
            return index
    return None


def _answered(group: Group, message: Message, size: int) -> Group:
    place = _stand_in(group, message.results[0].call_id)
    if place is None:
        return group
    messages = (*group.messages[:place], message, *group.messages[place + 1 :])
    counts = (*group.counts[:place], size, *group.counts[place + 1 :])
    return group._replace(messages=messages, counts=counts, tokens=sum(counts))


def fit_to_json(view: View, report: FitReport) -> dict[str, JSONValue]:
    """A fit for the journal: what was done, and the view that came out of it.

    Unchanged groups are ranges of numbers; only changed ones are written out.
    """
    ranges: list[list[int]] = []
    changed: list[JSONValue] = []
    for group in view:
        if group.changed:
            changed.append(
                {
                    "number": group.number,
                    "messages": [message_to_json(message) for message in group.messages],
                    "counts": list(group.counts),
                }
            )
        elif ranges and ranges[-1][1] == group.number - 1:
            ranges[-1][1] = group.number
        else:
            ranges.append([group.number, group.number])
    return {
        "limit": report.limit,
        "tokens_before": report.tokens_before,
        "tokens_after": report.tokens_after,
        "cache_cost": report.cache_cost,
        "operations": [_plain(operation) for operation in report.operations],
        "events": [{"kind": event.kind, **asdict(event)} for event in report.events],
        "view": {"kept": ranges, "changed": changed},
    }


def view_from_json(history: Sequence[Group], body: Mapping[str, Any]) -> View:
    """The view that `fit_to_json` wrote, over the history as it was then."""
    return View(_view_groups(history, body["view"]))


def recounted(view: View, counter: TokenCounter) -> View:
    """The view with its changed groups counted by `counter`; the others are the history's own."""
    groups: list[Group] = []
    for group in view:
        if group.changed:
            counts = tuple([counter.count(message).tokens for message in group.messages])
            groups.append(group.with_messages(group.messages, counts))
        else:
            groups.append(group)
    return View(groups)


def _view_groups(history: Sequence[Group], data: Mapping[str, Any]) -> Iterable[Group]:
    groups = {n: history[n] for first, last in data["kept"] for n in range(first, last + 1)}
    for item in data["changed"]:
        messages = tuple([message_from_json(message) for message in item["messages"]])
        counts = tuple(item["counts"])
        answered = {result.call_id for message in messages for result in message.results}
        open_ = tuple(call.id for call in messages[0].calls if call.id not in answered)
        pinned = any(message.pinned for message in messages)
        groups[item["number"]] = Group(
            item["number"], messages, counts, sum(counts), open_, changed=True, pinned=pinned
        )
    return [groups[number] for number in sorted(groups)]


def _plain(operation: Operation) -> dict[str, JSONValue]:
    plain = {one.name: getattr(operation, one.name) for one in fields(operation)}
    return {**plain, "message_ids": list(operation.message_ids)}
