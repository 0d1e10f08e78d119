"""The answer of one model call, gathered from the events of its stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from massgen_core.events import (
    BackendEvent,
    Finished,
    ReasoningBlock,
    ReasoningDelta,
    TextDelta,
    ToolCalled,
    Usage,
)
from massgen_core.messages import Message, Part, Text

if TYPE_CHECKING:
    from massgen_core.messages import JSONValue

_USUAL: Final = frozenset({"stop", "tool_calls"})


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
            case ReasoningDelta():
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

    def message(self, author: str) -> Message:
        """The answer as a message, parts in the order they came."""
        meta: dict[str, JSONValue] = {"author": author}
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
    """The sum of what several calls used."""
    return Usage(
        prompt=sum(usage.prompt for usage in usages),
        completion=sum(usage.completion for usage in usages),
        cached=sum(usage.cached for usage in usages),
        reasoning=sum(usage.reasoning for usage in usages),
    )
