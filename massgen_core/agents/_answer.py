"""The answer of one model call, gathered from the events of its stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from massgen_core.events import (
    BackendEvent,
    CircuitOpened,
    Finished,
    ReasoningBlock,
    ReasoningDelta,
    TextDelta,
    ToolCalled,
    Usage,
    Waiting,
)
from massgen_core.messages import Message, Part, Text

if TYPE_CHECKING:
    from massgen_core.messages import JSONValue

CUT: Final = "cut"
"""Key in `Message.meta` of an answer that the window ended and that the next message continues."""
_USUAL: Final = frozenset({"stop", "tool_calls"})
_ALL_OF_IT: Final = 0.9
"""Share of the tokens asked for from which on an answer is ended by them, not by the window."""
_FULL: Final = 0.99
"""Share of the window from which on a prompt leaves no room for a word."""


class Answer:
    """What a stream said so far.

    Attributes:
        usage: What the provider counted; None if it did not say.
        finished: The last event; None while the stream runs.
    """

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.finished: Finished | None = None
        self._parts: list[Part] = []
        self._text: list[str] = []

    def add(self, event: BackendEvent) -> None:
        """Takes the next event in."""
        match event:
            case TextDelta(text):
                self._text.append(text)
            case ReasoningBlock(reasoning):
                self._put(reasoning)
            case ToolCalled(call):
                self._put(call)
            case Usage():
                self.usage = event
            case Finished():
                self.finished = event
            case ReasoningDelta() | Waiting() | CircuitOpened():
                pass
            case _:
                assert_never(event)

    @property
    def text(self) -> str:
        """All text so far."""
        return "".join([part.text for part in self._whole() if isinstance(part, Text)])

    @property
    def empty(self) -> bool:
        """Whether neither text nor a call came."""
        return not any(isinstance(part, Text) or part.kind == "tool_call" for part in self._whole())

    def cut_by_window(self, most: int | None) -> bool:
        """Whether the window ended the text, not `most`, the tokens that were asked for."""
        if self.finished is None or self.finished.reason != "length" or self.empty:
            return False
        calls = any(part.kind == "tool_call" for part in self._parts)
        usage = self.usage
        if calls or usage is None or most is None:
            return False
        return usage.completion < _ALL_OF_IT * most

    def unanswered(self, most: int | None, window: int) -> bool:
        """Whether nothing was answered because the window was full."""
        if self.finished is None or not self.empty:
            return False
        usage = self.usage
        if self.finished.reason == "length":
            return usage is None or most is None or usage.completion < most
        return usage is not None and usage.prompt >= _FULL * window

    def message(self, author: str, *, cut: bool = False) -> Message:
        """The answer as a message, parts in the order they came; `cut` if it is to go on."""
        meta: dict[str, JSONValue] = {"author": author}
        if cut:
            meta[CUT] = True
        if self.finished is not None and self.finished.reason not in _USUAL:
            meta["finish"] = self.finished.reason
        return Message("assistant", self._whole() or (Text(""),), meta=meta)

    def partial(self, author: str) -> Message | None:
        """What was said before the stream broke off: its text; None if there was none."""
        if not (text := self.text):
            return None
        return Message("assistant", (Text(text),), meta={"author": author, "partial": True})

    def _put(self, part: Part) -> None:
        self._parts, self._text = [*self._whole(), part], []

    def _whole(self) -> tuple[Part, ...]:
        text = "".join(self._text)
        return (*self._parts, Text(text)) if text else tuple(self._parts)


def total(usages: list[Usage]) -> Usage:
    """The sum of what several calls used; its cost is known if that of each is."""
    costs = [usage.cost for usage in usages if usage.cost is not None]
    return Usage(
        prompt=sum(usage.prompt for usage in usages),
        completion=sum(usage.completion for usage in usages),
        cached=sum(usage.cached for usage in usages),
        reasoning=sum(usage.reasoning for usage in usages),
        cache_write=sum(usage.cache_write for usage in usages),
        cost=sum(costs) if costs and len(costs) == len(usages) else None,
    )
