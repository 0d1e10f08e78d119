"""From the events of a stream to ours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from massgen_anthropic._blocks import PROVIDER
from massgen_core.errors import ContentFiltered, Transient
from massgen_core.events import (
    Finished,
    FinishReason,
    ReasoningBlock,
    ReasoningDelta,
    TextDelta,
    ToolCalled,
    Usage,
)
from massgen_core.messages import Reasoning, ToolCall

if TYPE_CHECKING:
    from anthropic.types import RawContentBlockDeltaEvent, RawMessageStreamEvent

    from massgen_core.events import BackendEvent

REASONS: Final[dict[str, FinishReason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}


class Answer:
    """An answer as far as it was streamed.

    Args:
        model: Who was asked: the thinking is for this model only.

    Attributes:
        ended: Whether all of it came.
    """

    def __init__(self, model: str) -> None:
        self._asked = model
        self._model = model
        self._blocks: dict[int, _Block] = {}
        self._counted: dict[str, int] = {}
        self._reason = ""
        self._why = "the model refused"
        self._said = False
        self._held: _Block | None = None
        self.ended = False

    def feed(self, event: RawMessageStreamEvent) -> list[BackendEvent]:
        """What the next event of the stream says."""
        out = self._read(event)
        self._said = self._said or any(isinstance(each, TextDelta | ToolCalled) for each in out)
        return out

    def end(self) -> list[BackendEvent]:
        """The last events.

        Raises:
            Transient: The stream ended before the answer did.
            ContentFiltered: The model refused before its first word.
        """
        if not self._reason:
            raise Transient("the answer broke off", backend=PROVIDER)
        if self._reason == "refusal" and not self._said:
            raise ContentFiltered(self._why, backend=PROVIDER)
        cut = REASONS.get(self._reason) == "length"
        out = self._let_go(cut=cut)
        for block in self._blocks.values():  # some servers do not say where a block ends
            out += block.ended(self._asked, cut=cut)
        if self._counted:
            out.append(self._usage())
        out.append(Finished(REASONS.get(self._reason, "error"), self._model))
        return out

    def _read(self, event: RawMessageStreamEvent) -> list[BackendEvent]:
        match event.type:
            case "content_block_delta":
                return self._blocks[event.index].add(event)
            case "content_block_start":
                block = _Block(event.content_block)
                self._blocks[event.index] = block
                return [*self._let_go(), *block.begun()]
            case "content_block_stop":
                block = self._blocks.pop(event.index)
                if block.is_empty_call:
                    self._held = block
                    return []
                return block.ended(self._asked)
            case "message_start":
                self._model = event.message.model or self._asked
                self._count(event.message.usage)
            case "message_delta":
                self._reason = event.delta.stop_reason or self._reason
                if event.delta.stop_details is not None:
                    self._why = event.delta.stop_details.explanation or self._why
                self._count(event.usage)
            case "message_stop":
                self.ended = True
        return []

    def _let_go(self, *, cut: bool = False) -> list[BackendEvent]:
        """A call without arguments, once it is known whether they were cut."""
        held, self._held = self._held, None
        return [] if held is None else held.ended(self._asked, cut=cut)

    def _count(self, usage: Any) -> None:
        """Keeps what is named: the counts of a stream are cumulative, later ones replace."""
        for name in _COUNTS:
            if (number := getattr(usage, name, None)) is not None:
                self._counted[name] = number
        if (details := getattr(usage, "output_tokens_details", None)) is not None:
            self._counted["thinking_tokens"] = details.thinking_tokens

    def _usage(self) -> Usage:
        """The API counts what it read from the cache, and wrote there, apart from the rest."""
        count = self._counted.get
        cached, written = count("cache_read_input_tokens", 0), count(_WRITTEN, 0)
        return Usage(
            prompt=count("input_tokens", 0) + cached + written,
            completion=count("output_tokens", 0),
            cached=cached,
            cache_write=written,
            reasoning=min(count("thinking_tokens", 0), count("output_tokens", 0)),
        )


_WRITTEN: Final = "cache_creation_input_tokens"
_COUNTS: Final = ("input_tokens", "output_tokens", "cache_read_input_tokens", _WRITTEN)


class _Block:
    """A content block that is still written."""

    def __init__(self, start: Any) -> None:
        self._start = start
        self._pieces: list[str] = []
        self._signature: list[str] = []

    def begun(self) -> list[BackendEvent]:
        text = getattr(self._start, "text", "")
        return [TextDelta(text)] if text else []

    def add(self, event: RawContentBlockDeltaEvent) -> list[BackendEvent]:
        delta = event.delta
        match delta.type:
            case "text_delta":
                return _text(delta.text)
            case "input_json_delta":
                self._pieces.append(delta.partial_json)
            case "thinking_delta":
                self._pieces.append(delta.thinking)
                return [ReasoningDelta(delta.thinking)] if delta.thinking else []
            case "signature_delta":
                self._signature.append(delta.signature)
            case "citations_delta":
                pass
        return []

    @property
    def is_empty_call(self) -> bool:
        """Whether it is a call without arguments, or one that was cut before them."""
        return self._start.type == "tool_use" and not any((*self._pieces, self._start.input))

    def ended(self, model: str, *, cut: bool = False) -> list[BackendEvent]:
        start = self._start
        match start.type:
            case "tool_use":
                empty = "" if cut else "{}"
                given = json.dumps(start.input) if start.input else empty
                arguments = "".join(self._pieces) or given
                return [ToolCalled(ToolCall(start.id, start.name, arguments))]
            case "thinking":
                text = (start.thinking or "") + "".join(self._pieces)
                seal = (getattr(start, "signature", "") or "") + "".join(self._signature)
                return [ReasoningBlock(Reasoning(text, seal, PROVIDER, {"model": model}))]
            case "redacted_thinking":
                data = {"redacted": start.data, "model": model}
                return [ReasoningBlock(Reasoning(provider=PROVIDER, data=data))]
            case _:
                return []


def _text(text: object) -> list[BackendEvent]:
    if not isinstance(text, str):
        raise TypeError(f"the text is {type(text).__name__}")
    return [TextDelta(text)] if text else []
