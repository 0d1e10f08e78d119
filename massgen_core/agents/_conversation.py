"""One agent's side of a session: what was said, what the model sees, what sizes taught."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from massgen_core._whole import whole
from massgen_core.agents._answer import CUT
from massgen_core.agents._journal import operation_from_json, usage_body
from massgen_core.agents._notice import Notice, notice_of
from massgen_core.agents._outgoing import Order
from massgen_core.agents._recall import Recall
from massgen_core.context import ContextWindow, fit_to_json, recounted, view_from_json
from massgen_core.errors import AgentError, InvalidArgument, SessionConflict
from massgen_core.events import MessageAppended
from massgen_core.messages import message_from_json, message_to_json, tool, user
from massgen_core.sessions import NewEntry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from massgen_core.agents._answer import Answer
    from massgen_core.agents._journal import Source
    from massgen_core.context import ContextEngine, FitReport
    from massgen_core.errors import ContextOverflow
    from massgen_core.events import Event
    from massgen_core.messages import JSONValue, Message, ToolCall
    from massgen_core.sessions import Entry, Session
    from massgen_core.tokens import Calibration

_AT_ONCE: Final = 256
"""Entries that are taken in before other work of the event loop has its turn: about 5 ms."""
SHRINK: Final = 0.8
"""After a refusal the next view is at most this share of the refused one."""
CANCELLED: Final = (
    "interrupted: the run was cancelled while this tool was running; its effects are unknown"
)


class Conversation:
    """Joins a session's journal, the context window over it, and the calibration of the model.

    Whatever changes it is on disk before it is in memory. What it journals besides messages:

    - ``fit``: `fit_to_json`, the agent and the tokenizer; before the request that needs it is sent.
    - ``usage``: ``counted``, what of it was ``beside`` the view, and what the provider reported
      for it; or its refusal as too long.
    - ``tool_state``: ``started``, before a tool runs.
    - ``recall``: the ids of what long-term memory gave for a user message.
    - ``note``: ``repaired``, what was put in order before a request was sent; or ``partial``, the
      text of an answer that broke off. That joins the conversation if the user goes on from it,
      and is left aside if the answer is asked for again.

    Attributes:
        window: History and view.
        recall: What left the view.
        order: Puts requests in order.
        calibration: From our counts to the provider's.
        limit: The model's window as the provider named it in a refusal; None if it did not.
        ceiling: Counted tokens a view may have, after a refusal without numbers; None if none came.
        beside: What the window held beside the view in the last request that was answered.
        torn: Whether something was appended in the middle of a turn that it does not have.
    """

    def __init__(
        self, session: Session, engine: ContextEngine, calibration: Calibration, source: Source
    ) -> None:
        self.window = ContextWindow(engine)
        self.recall = Recall(self.window)
        self.order = Order("openai", engine.counter)
        self.calibration = calibration
        self.limit: int | None = None
        self.ceiling: int | None = None
        self.beside: Mapping[str, int] = {}
        self._session = session
        self._source = source
        self._partial: Message | None = None
        self._reminder: tuple[int, Message, int] | None = None
        self._notice: Notice | None = None
        self._notice_is_known = False
        self._seq = 0
        self._busy = False
        self.torn = False
        self._catching_up = asyncio.Lock()

    async def catch_up(self) -> None:
        """Takes in what the journal has: first all of it, then what others appended.

        The view is then theirs, counted by this conversation's tokenizer.
        """
        async with self._catching_up:
            if not self._seq:
                await self._replay(self._session.entries)
            if self._session.seq > self._seq:
                await self._replay(await self._session.since(self._seq))

    async def aclose(self) -> None:
        """Stops what is made in the background."""
        await self.window.aclose()

    @property
    def finished(self) -> Message | None:
        """The last message, if it is an answer to which nothing is to be added; else None."""
        if not self.window.history:
            return None
        message = self.window.history[-1].messages[-1]
        return message if message.role == "assistant" and not message.calls else None

    @property
    def answer_text(self) -> str:
        """The text of the answer at the end, with what it goes on from where it was cut."""
        texts: list[str] = []
        for group in reversed(self.window.history):
            message = group.messages[-1]
            if texts and not message.meta.get(CUT):
                break
            texts.append(message.text)
        return "".join(reversed(texts))

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self._session.id

    @property
    def agent(self) -> str:
        """The agent's name."""
        return self._source.agent

    @property
    def newest_question(self) -> Message | None:
        """What the user said last; None if nothing was said."""
        for group in reversed(self.window.history):
            if group.role == "user":
                return group.messages[0]
        return None

    def remind(self, message: Message | None) -> None:
        """Lets requests hold `message` before the newest user message, until the next call."""
        self._reminder = None
        if message is None:
            return
        for group in reversed(self.window.history):
            if group.role == "user":
                size = self.window.engine.counter.count(message).tokens
                self._reminder = group.number, message, size
                return

    @property
    def reminder(self) -> Notice | None:
        """What long-term memory adds to the next request, and where; None if nothing."""
        if self._reminder is None:
            return None
        number, message, _ = self._reminder
        view = self.window.view
        for index in range(len(view) - 1, -1, -1):
            if view[index].number == number:
                return Notice(index, message)
        return None

    @property
    def reminder_tokens(self) -> int:
        """Its counted size."""
        return 0 if self._reminder is None else self._reminder[2]

    async def recalled(self, asked: str, ids: Sequence[str]) -> None:
        """Writes down what long-term memory gave for a message."""
        body: dict[str, JSONValue] = {"message": asked, "records": list(ids)}
        await self._write(NewEntry("recall", self._source.signed(body)))

    @property
    def notice(self) -> Notice | None:
        """The note on what left the view; made once after each fit."""
        if not self._notice_is_known:
            self._notice = notice_of(self.window)
            self._notice_is_known = True
        return self._notice

    @property
    def open_calls(self) -> list[ToolCall]:
        """The calls at the end that have no result yet, in order."""
        if not self.window.history:
            return []
        last = self.window.history[-1]
        return [call for call in last.messages[0].calls if call.id in last.open]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps other turns away while one runs.

        Raises:
            AgentError: One runs already.
        """
        if self._busy:
            raise AgentError(
                f"a turn of {self._source.agent!r} runs on session {self._session.id!r} already",
                hint="Read its events to the end, or close it, before the next turn.",
            )
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    async def begin(self, said: str | Message | None) -> list[Event]:
        """Makes the journal ready for a request: the new user message, if any, is its last."""
        events = await self._close_open_calls()
        if said is None:
            self._check_there_is_something()
            return events
        if self._partial is not None:
            events.append(await self.say(self._partial))
        events.append(await self.say(user(said) if isinstance(said, str) else said))
        return events

    async def fit(self, limit: int) -> FitReport:
        """Makes the view small enough; what was done is on disk when this returns.

        Raises:
            ContextOverflowError: What must be sent is larger than `limit`.
        """
        report = await self.window.fit_async(limit)
        if report.operations:
            self._notice_is_known = False
            body = fit_to_json(self.window.view, report)
            await self._write(NewEntry("fit", self._source.signed(body)))
        return report

    async def say(self, message: Message, *also: NewEntry) -> MessageAppended:
        """Adds one message to the end; `also` is journalled after it, atomically with it."""
        counter = self.window.engine.counter
        tokens = counter.count(message).tokens
        entry = NewEntry.message(message, tokens, counter.name)
        return await whole(self._say(message, tokens, (entry, *also)))

    async def answer(
        self, answer: Answer, counted: int, beside: Mapping[str, int], *, cut: bool = False
    ) -> MessageAppended:
        """Adds a complete answer and what the request for it, of `counted` tokens, used.

        Args:
            answer: What came.
            counted: Our count of the request.
            beside: What the window held beside the view, by use.
            cut: Whether the next answer goes on from it.
        """
        message = answer.message(self._source.agent, cut=cut)
        usage = answer.usage
        self.beside = beside
        if usage is None:
            return await self.say(message)
        size = self.window.engine.counter.count(message).tokens
        body = self._source.signed({**usage_body(usage, counted, size), "beside": dict(beside)})
        said = await self.say(message, NewEntry("usage", body))
        self._learn(body)
        return said

    async def broke_off(self, answer: Answer) -> None:
        """Keeps what an unfinished answer said so far."""
        message = answer.partial(self._source.agent)
        if message is not None:
            await self._write(NewEntry("note", {"partial": message_to_json(message)}))
            self._partial = message

    async def repaired(self, news: Sequence[str]) -> None:
        """Writes down what was put in order, and who asked for it."""
        self.order.told.update(news)
        body: dict[str, JSONValue] = {"repaired": list(news), "refusal": self.order.distrusted}
        await self._write(NewEntry("note", self._source.signed(body)))

    async def overflowed(self, error: ContextOverflow, counted: int) -> None:
        """Learns from a refusal of a request of `counted` tokens."""
        view = self.window.view.tokens
        body: dict[str, JSONValue] = {
            "refused": True,
            "counted": counted,
            "prompt": error.used,
            "limit": error.limit,
            "answer": error.answer,
            "view": view,
        }
        await self._write(NewEntry("usage", self._source.signed(body)))
        self._learn(body)

    async def started(self, calls: Sequence[ToolCall]) -> None:
        """Writes down that these calls are about to run."""
        bodies = [{"state": "started", "call_id": call.id, "name": call.name} for call in calls]
        await self._write(*[NewEntry("tool_state", body) for body in bodies])

    async def _say(
        self, message: Message, tokens: int, entries: Sequence[NewEntry]
    ) -> MessageAppended:
        written = await self._session.append(*entries)
        self._take(message, tokens)
        self._follow(written)
        return MessageAppended(message, written[0].seq, tokens)

    async def _write(self, *entries: NewEntry) -> None:
        async def write() -> None:
            self._follow(await self._session.append(*entries))

        await whole(write())

    def _follow(self, written: Sequence[Entry]) -> None:
        expected, self._seq = self._seq + 1, written[-1].seq
        if written[0].seq != expected:
            self.torn = True
            raise SessionConflict(
                f"entries {expected} to {written[0].seq - 1} were appended by someone else",
                session_id=self._session.id,
                hint="Run again without input: nobody else may append while a turn runs.",
            )

    def _take(self, message: Message, tokens: int | None) -> None:
        self.window.append(message, tokens)
        self._partial = None

    async def _close_open_calls(self) -> list[Event]:
        results = [
            tool(call.id, CANCELLED, name=call.name, is_error=True) for call in self.open_calls
        ]
        return [await self.say(result) for result in results]

    def _check_there_is_something(self) -> None:
        if all(group.role != "user" for group in self.window.history):
            raise InvalidArgument(
                f"session {self._session.id!r} has nothing to go on from",
                hint="Pass what the user says as the second argument of run.",
            )

    async def _replay(self, entries: Sequence[Entry]) -> None:
        newest = max((entry.seq for entry in entries if entry.kind == "fit"), default=0)
        for place, entry in enumerate(entries, 1):
            self._replay_entry(entry, newest=entry.seq == newest)
            self._seq = entry.seq
            if place % _AT_ONCE == 0:
                await asyncio.sleep(0)

    def _replay_entry(self, entry: Entry, *, newest: bool) -> None:
        match entry.kind:
            case "message":
                same = entry.tokenizer == self.window.engine.counter.name
                self._take(entry.message, entry.tokens if same else None)
            case "fit":
                self._replay_fit(entry.body, newest=newest)
            case "usage":
                self._replay_usage(entry.body)
            case "note":
                self._replay_note(entry.body)

    def _replay_fit(self, body: Mapping[str, Any], *, newest: bool) -> None:
        self.order.changed()
        self._notice_is_known = False
        self.window.operations.extend(map(operation_from_json, body["operations"]))
        if newest:
            view = view_from_json(self.window.history, body)
            counter = self.window.engine.counter
            same = body.get("tokenizer") == counter.name
            self.window.view = view if same else recounted(view, counter)

    def _replay_usage(self, body: Mapping[str, Any]) -> None:
        if self._source.made(body):
            self._learn(body)

    def _replay_note(self, body: Mapping[str, Any]) -> None:
        if "partial" in body:
            self._partial = message_from_json(body["partial"])
        if "repaired" in body and self._source.made(body):
            self.order.told.update(body["repaired"])
            self.order.distrusted = body["refusal"]

    def _learn(self, body: Mapping[str, Any]) -> None:
        used, limit = body["prompt"], body.get("limit")
        if used is not None:
            self.calibration.observe(counted=body["counted"], reported=used)
        if not body.get("refused"):
            self._learn_answer(body)
            return
        if limit is not None:
            self.limit = min(limit, self.limit or limit)
        if used is None or limit is None or used + (body.get("answer") or 0) <= limit:
            most = int(body["view"] * SHRINK)
            self.ceiling = min(most, self.ceiling or most)

    def _learn_answer(self, body: Mapping[str, Any]) -> None:
        size = body.get("answer")
        if size is not None:
            reported = body["completion"] - body["reasoning"]
            self.calibration.answered(counted=size, reported=reported)
