"""One answer of the model, and the ways on when the window is too small or the order is refused."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from massgen_core.agents._answer import Answer
from massgen_core.agents._conversation import SHRINK
from massgen_core.agents._outgoing import Outgoing
from massgen_core.errors import (
    ContentFiltered,
    ContextOverflow,
    ContextOverflowError,
    MalformedHistory,
    Transient,
)
from massgen_core.events import (
    ContextFitted,
    Finished,
    HistoryRepaired,
    OverflowReported,
)
from massgen_core.messages import user

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from massgen_core.agents._conversation import Conversation
    from massgen_core.agents._turn import Budget
    from massgen_core.backends import Backend, Request
    from massgen_core.events import Event, FinishReason
    from massgen_core.messages import Message

RETRIES: Final = 3
"""How often a request is made smaller after a refusal, and an answer is continued."""
GO_ON: Final = (
    "[The context window was full and your answer was cut off. "
    "Go on exactly where it ends; repeat nothing.]"
)


class Asking:
    """One answer, by as many requests as it takes; no request is sent twice.

    - Refused as too long, or left unanswered because the window was full: what the numbers teach is
      learned, and a view of at most `SHRINK` of the last is sent, at most `RETRIES` times.
    - Cut while it was written because the window was full: the text is kept, the view is made
      smaller, and the model is asked to go on, at most `RETRIES` times.
    - Answered although it was longer than the window: the next request is smaller.
    - Out of order: put right before it is sent. Refused as out of order: put right by the strictest
      rules and sent once more.

    Args:
        backend: Where the model runs.
        conversation: What was said.
        budget: How the window is shared out.
        head: What precedes the view in every request.
        request: Makes a request of messages.
    """

    def __init__(
        self,
        backend: Backend,
        conversation: Conversation,
        budget: Budget,
        head: Sequence[Message],
        request: Callable[[tuple[Message, ...]], Request],
    ) -> None:
        self._backend = backend
        self._conversation = conversation
        self._budget = budget
        self._head = head
        self._request = request
        self._limit = budget.room(conversation)
        self._refused: list[tuple[Request, ContextOverflow | MalformedHistory]] = []
        self._refusals = self._continued = self._counted = 0
        self._cut = self._mended = False
        self._outgoing = Outgoing(())

    async def run(self) -> AsyncGenerator[Event, None]:
        """The events until the answer is in the conversation.

        Raises:
            ContextOverflow: Refused as too long although it was made smaller `RETRIES` times.
            ContextOverflowError: What must be sent does not fit, whatever is cut.
            MalformedHistory: The order is refused, and cannot be put right.
        """
        while True:
            self._cut = False
            try:
                async with aclosing(self._attempt()) as events:
                    async for event in events:
                        yield event
            except ContextOverflow as exc:
                self._refusals += 1
                yield OverflowReported(exc.limit, exc.used, self._refusals)
                if self._refusals > RETRIES:
                    raise
                await self._learn(exc)
            except MalformedHistory as exc:
                self._mend(exc)
            except ContextOverflowError as exc:
                if self._continued:
                    return
                raise exc from (self._refused[-1][1] if self._refused else exc.__cause__)
            else:
                if not self._cut:
                    return
                self._continued += 1

    async def _learn(self, refusal: ContextOverflow) -> None:
        """What the provider's numbers teach; the next view is smaller in any case."""
        sent = self._conversation.window.view.tokens
        await self._conversation.overflowed(refusal, self._counted)
        self._shrink(sent)

    def _shrink(self, sent: int) -> None:
        room = self._budget.room(self._conversation)
        self._limit = min(room, max(1, int(SHRINK * min(sent, self._limit))))

    def _mend(self, refusal: MalformedHistory) -> None:
        """Once: the order is put right by the strictest rules."""
        order = self._conversation.order
        if self._mended:
            order.distrusted = ""
            raise refusal
        self._mended = True
        order.distrusted = refusal.message

    async def _attempt(self) -> AsyncGenerator[Event, None]:
        """Fits, asks once, and writes the answer down before its last events are told."""
        async with aclosing(self._fitted()) as events:
            async for event in events:
                yield event
        request = self._request(self._outgoing.messages)
        self._check_is_new(request)
        if news := self._outgoing.news:
            await self._conversation.repaired(news)
            yield HistoryRepaired(news)
        answer = Answer()
        sent = self._conversation.window.view.tokens
        async with aclosing(self._stream(request, answer)) as events:
            async for event in events:
                yield event
        self._cut = self._continued < RETRIES and answer.cut_by_window(request.max_output)
        beside = self._budget.beside(self._conversation)
        said = await self._conversation.answer(answer, self._counted, beside, cut=self._cut)
        if answer.finished is not None:
            yield answer.finished
        yield said
        if self._cut:
            self._shrink(sent)
        for event in self._too_full(answer):
            yield event

    async def _fitted(self) -> AsyncGenerator[Event, None]:
        """Fits the view, and puts what is sent of it in order."""
        conversation = self._conversation
        tail = (user(GO_ON, synthetic=True),) if self._continued else ()
        extra = sum(conversation.window.engine.counter.count(one).tokens for one in tail)
        for _ in range(2):
            report = await conversation.fit(max(1, self._limit - extra))
            for happened in report.events:
                yield happened
            if report.operations:
                before, after = report.tokens_before, report.tokens_after
                yield ContextFitted(
                    before, after, report.limit, report.operations, report.cache_cost
                )
            view = conversation.window.view
            notices = self._budget.notices_for(conversation)
            self._outgoing = conversation.order.outgoing(self._head, view, tail, notices)
            if self._outgoing.more <= 0 or view.tokens + self._outgoing.more + extra <= self._limit:
                break
            extra += self._outgoing.more
        spoken = sum(conversation.window.engine.counter.count(one).tokens for one in tail)
        self._counted = self._budget.request(conversation) + self._outgoing.more + spoken

    def _check_is_new(self, request: Request) -> None:
        for sent, refusal in self._refused:
            if sent == request:
                raise refusal

    async def _stream(self, request: Request, answer: Answer) -> AsyncGenerator[Event, None]:
        """All events but the last; what came before a break is kept."""
        try:
            async with aclosing(self._backend.stream(request)) as events:
                async for event in events:
                    answer.add(event)
                    if not isinstance(event, Finished):
                        yield event
            if answer.finished is None:
                raise Transient("the answer broke off", backend=self._backend.name)
            self._check_is_answered(answer, request)
        except (ContextOverflow, MalformedHistory) as exc:
            self._refused.append((request, exc))
            raise
        finally:
            if answer.finished is None:
                await self._conversation.broke_off(answer)

    def _check_is_answered(self, answer: Answer, request: Request) -> None:
        if answer.empty and answer.finished is not None:
            self._check_is_none(answer.finished.reason)
        if answer.unanswered(request.max_output, self._window):
            raise ContextOverflow(
                "the window was full before the answer began",
                used=answer.usage.prompt if answer.usage else None,
                backend=self._backend.name,
            )

    def _check_is_none(self, reason: FinishReason) -> None:
        """Why there is no answer at all, where the provider says that."""
        if reason == "content_filter":
            raise ContentFiltered("the provider withheld the answer", backend=self._backend.name)
        if reason == "error":
            raise Transient("the provider failed to answer", backend=self._backend.name)

    def _too_full(self, answer: Answer) -> list[Event]:
        """What is told of an answer that was given although the window was full."""
        usage = answer.usage
        if usage is None:
            return []
        if self._cut:
            used = usage.prompt + usage.completion
            return [OverflowReported(None, used, self._continued + 1, "cut")]
        if usage.prompt > self._window:
            return [OverflowReported(self._window, usage.prompt, 1, "over")]
        return []

    @property
    def _window(self) -> int:
        return min(self._budget.window, self._conversation.limit or self._budget.window)
