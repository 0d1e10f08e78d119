"""One turn: from what the user said to the final answer, through as many tool calls as it takes."""

from __future__ import annotations

import asyncio
import math
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from massgen_core.agents._answer import total
from massgen_core.agents._asking import Asking
from massgen_core.agents._conversation import Conversation
from massgen_core.agents._recall import NAME as RECALL
from massgen_core.agents._recall import ROOM_SHARE as RECALL_SHARE
from massgen_core.backends import Backend, Request
from massgen_core.context import measured
from massgen_core.errors import (
    ContextOverflow,
    ContextOverflowError,
    MassgenError,
    QuotaExceeded,
    RateLimited,
    TooManySteps,
    Transient,
)
from massgen_core.events import FallbackUsed, ToolFinished, ToolStarted, TurnFinished, Usage
from massgen_core.messages import Message, Text, ToolResult

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence

    from massgen_core.agents._notice import Notice
    from massgen_core.agents._tools import Tool
    from massgen_core.events import Event
    from massgen_core.messages import ToolCall

_ELSEWHERE: Final = (
    ContextOverflow,
    ContextOverflowError,
    QuotaExceeded,
    RateLimited,
    Transient,
)
"""What another model, or another account, may do better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How the window is shared out, in tokens.

    Attributes:
        window: Prompt and answer together.
        longest_prompt: What the provider takes as a prompt at most; 0 if only the window limits it.
        reserve: Kept free for the answer, though never more than half of the window.
        safety: Share of the window kept free besides.
        instructions: Counted size of the system message.
        tools: Counted size of the tools.
        recall: Counted size of the recall tool; 0 if it is never offered.
        notice: Counted size that the notice of what left has at most; 0 if it is never given.
    """

    window: int
    longest_prompt: int
    reserve: int
    safety: float
    instructions: int
    tools: int
    recall: int = 0
    notice: int = 0

    def request(self, conversation: Conversation) -> int:
        """Counted tokens of the next request."""
        recall = self._recall_sent(conversation)
        view = conversation.window.view.tokens + conversation.reminder_tokens
        return self.instructions + self.tools + recall + view

    def offers_recall(self, conversation: Conversation) -> bool:
        """Whether the next request has the recall tool: something left, and there is room for it.

        `room` leaves it free; but where the first thing left in the last fit, that did not.
        """
        room = self._room(conversation)
        recall = self._for_recall(conversation, room)
        return 0 < recall <= room - conversation.window.view.tokens

    def notices_for(self, conversation: Conversation) -> tuple[Notice, ...]:
        """What the next request says of what left, and what long-term memory adds to it."""
        both = (self._notice_for(conversation), conversation.reminder)
        return tuple(one for one in both if one is not None)

    def _notice_for(self, conversation: Conversation) -> Notice | None:
        """What the next request says of what left: nothing where it does not offer the way back."""
        return conversation.notice if self.notice and self.offers_recall(conversation) else None

    def beside(self, conversation: Conversation) -> dict[str, int]:
        """What the window holds beside the view; see `measured`."""
        room = recall = 0
        fixed = self.instructions + self.tools + conversation.reminder_tokens
        with suppress(ContextOverflowError):
            room = self.room(conversation)
            recall = self._recall_sent(conversation)
        return {
            "window": self._window(conversation),
            "instructions": self.instructions,
            "tools": self.tools + recall,
            "memory": conversation.reminder_tokens,
            "reserve": self.answer(conversation),
            "room": room,
            "full": conversation.calibration.upper(fixed + recall + room),
        }

    def answer(self, conversation: Conversation) -> int:
        """Tokens the answer may have."""
        return min(self.reserve, self._window(conversation) // 2)

    def room(self, conversation: Conversation) -> int:
        """Counted tokens the view may have.

        Raises:
            ContextOverflowError: Nothing is left for it.
        """
        room = self._room(conversation)
        return room - self._for_recall(conversation, room)

    def _for_recall(self, conversation: Conversation, room: int) -> int:
        """Tokens of the recall tool and of the notice at most.

        0 if nothing left, or if the tool would take too much of `room`.
        """
        offered = conversation.recall.needed and 0 < self.recall * RECALL_SHARE <= room
        return self.recall + self.notice if offered else 0

    def _recall_sent(self, conversation: Conversation) -> int:
        """Tokens that the recall tool and the notice take in the next request."""
        if not self.offers_recall(conversation):
            return 0
        notice = self._notice_for(conversation)
        count = conversation.window.engine.counter.count
        return self.recall + (count(notice.message).tokens if notice else 0)

    def _room(self, conversation: Conversation) -> int:
        """Counted tokens that messages and the recall tool may have together."""
        window = self._window(conversation)
        usable = window - self.answer(conversation)
        if self.longest_prompt:
            usable = min(usable, self.longest_prompt)
        usable -= math.ceil(self.safety * window)
        fixed = self.instructions + self.tools + conversation.reminder_tokens
        room = conversation.calibration.budget(usable) - fixed
        if room <= 0:  # by a careful estimate; the provider has the last word
            room = conversation.calibration.in_proportion(usable) - fixed
        if conversation.ceiling is not None:
            room = min(room, conversation.ceiling)
        if room > 0:
            return room
        table = sorted(
            [("instructions", self.instructions), ("tools", self.tools), ("answer", self.reserve)],
            key=lambda row: -row[1],
        )
        raise ContextOverflowError(
            f"instructions and tools leave no room for messages in a window of {window} tokens",
            limit=max(0, usable),
            used=fixed,
            table=table,
            hint="Shorten the instructions, give the agent fewer tools, lower "
            "context.output_reserve, or choose a model with a larger window.",
        )

    def _window(self, conversation: Conversation) -> int:
        return min(self.window, conversation.limit or self.window)


@dataclass(frozen=True, slots=True)
class Speaker:
    """A model that can answer in a conversation.

    Attributes:
        backend: Where the model runs.
        model: Its name there.
        conversation: Its side of what was said.
        budget: How its window is shared out.
    """

    backend: Backend
    model: str
    conversation: Conversation
    budget: Budget


class Turn:
    """One turn of an agent over a conversation whose last message waits for an answer.

    Args:
        speaker: Who answers.
        others: Make those ready who answer when the one before cannot, in order.
        head: What precedes the view in every request.
        tools: By name.
        max_steps: Model calls it may take.
    """

    def __init__(
        self,
        speaker: Speaker,
        others: Sequence[Callable[[], Awaitable[Speaker]]],
        head: tuple[Message, ...],
        tools: Mapping[str, Tool],
        max_steps: int,
    ) -> None:
        self.conversation = speaker.conversation
        self.budget = speaker.budget
        self._speaker = speaker
        self._others = list(others)
        self._head = head
        self._tools = tools
        self._max_steps = max_steps
        self._failures: list[MassgenError] = []

    async def run(self) -> AsyncGenerator[Event, None]:
        """All steps; the last event is `TurnFinished`."""
        used: list[Usage] = []
        steps = 0
        while self.conversation.finished is None:
            if steps == self._max_steps:
                raise TooManySteps(
                    f"the model called tools in {steps} answers and gave no final one",
                    steps=steps,
                    hint="Run again without input to let it go on, or raise agent.max_steps.",
                )
            steps += 1
            async with aclosing(self._step()) as events:
                async for event in events:
                    if isinstance(event, Usage):
                        used.append(event)
                    yield event
        if steps:
            yield measured(self.conversation.window.view, self.conversation.beside, recall=RECALL)
        yield TurnFinished(self.conversation.answer_text, steps, total(used))

    async def _step(self) -> AsyncGenerator[Event, None]:
        """One answer of the model, and the tools it calls."""
        async with aclosing(self._answer()) as events:
            async for event in events:
                yield event
        if calls := self.conversation.open_calls:
            async with aclosing(self._use(calls)) as events:
                async for event in events:
                    yield event

    async def _answer(self) -> AsyncGenerator[Event, None]:
        """One answer, of the first model that can give one."""
        while True:
            try:
                speaker = self._speaker
                asking = Asking(
                    speaker.backend, self.conversation, self.budget, self._head, self._request
                )
                async with aclosing(asking.run()) as events:
                    async for event in events:
                        yield event
            except _ELSEWHERE as exc:
                await self._fall_back(exc)
                yield FallbackUsed(self._speaker.backend.name, self._speaker.model, _said(exc))
            except MassgenError as exc:
                if not self._failures:
                    raise
                raise self._first(exc) from exc
            else:
                self._failures.clear()
                return

    async def _fall_back(self, failure: MassgenError) -> None:
        """Lets the next model speak that can.

        Raises:
            MassgenError: The first failure; there is none.
        """
        self._failures.append(failure)
        while self._others:
            ready = self._others.pop(0)
            try:
                self._speaker = await ready()
            except MassgenError as exc:
                self._failures.append(exc)
            else:
                reminder = self.conversation.reminder
                self.conversation = self._speaker.conversation
                self.conversation.remind(None if reminder is None else reminder.message)
                self.budget = self._speaker.budget
                return
        raise self._first()

    def _first(self, last: MassgenError | None = None) -> MassgenError:
        """The first failure, with a note on each that followed."""
        first, *later = self._failures if last is None else [*self._failures, last]
        for failure in later:
            first.add_note(f"fallback: {_said(failure)}")
        return first

    def _request(self, messages: tuple[Message, ...]) -> Request:
        return Request(
            self._speaker.model,
            messages,
            tools=tuple([tool.spec for tool in self._offered().values()]),
            max_output=self.budget.answer(self.conversation),
        )

    def _offered(self) -> Mapping[str, Tool]:
        """The tools of the next request, by name."""
        return self._known() if self.budget.offers_recall(self.conversation) else self._tools

    def _known(self) -> Mapping[str, Tool]:
        """The tools that a call is looked up in: recall is one once something left."""
        if not self.budget.recall or not self.conversation.recall.needed:
            return self._tools
        room = self.budget.room(self.conversation)
        return {**self._tools, RECALL: self.conversation.recall.tool(room)}

    async def _use(self, calls: list[ToolCall]) -> AsyncGenerator[Event, None]:
        """Runs the tools at the same time; results are written down in the order of the calls."""
        tools = self._known()
        await self.conversation.started(calls)
        for call in calls:
            yield ToolStarted(call)
        # Not a TaskGroup: one must not be held over a yield, the reader may be in another task.
        tasks = [asyncio.create_task(_result(call, tools)) for call in calls]
        try:
            for call, task in zip(calls, tasks, strict=True):
                result = await task
                said = await self.conversation.say(Message("tool", (result,)))
                yield ToolFinished(call, result.text, result.is_error)
                yield said
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _said(failure: MassgenError) -> str:
    return f"{type(failure).__name__}: {failure.message}"


async def _result(call: ToolCall, tools: Mapping[str, Tool]) -> ToolResult:
    tool = tools.get(call.name)
    if tool is not None:
        return await tool.run(call)
    known = f"the tools are: {', '.join(tools)}" if tools else "there are no tools"
    text = f"Error: there is no tool {call.name!r}; {known}"
    return ToolResult(call.id, (Text(text),), call.name, is_error=True)
