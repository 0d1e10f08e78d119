"""Events of a response that arrives as events of the Responses API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from massgen_core.errors import Transient
from massgen_core.events import (
    Finished,
    FinishReason,
    ReasoningBlock,
    ReasoningDelta,
    TextDelta,
    ToolCalled,
)
from massgen_openai._errors import ProviderError
from massgen_openai._usage import responses_usage
from massgen_openai.responses_wire import call_from_item, reasoning_from_item

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_core.events import BackendEvent, Usage

_TEXT: Final = frozenset({"response.output_text.delta", "response.refusal.delta"})
_THOUGHT: Final = frozenset(
    {"response.reasoning_summary_text.delta", "response.reasoning_text.delta"}
)
_CUT: Final[Mapping[str, FinishReason]] = {
    "max_output_tokens": "length",
    "content_filter": "content_filter",
}


class ResponsesReader:
    """Puts an answer together; feed it every event, then ask for the end.

    Args:
        name: Registered name of the backend, for errors and reasoning.
        most: Tokens that were asked for as an answer; None if no number was named.
        window: Tokens of prompt and answer together.
    """

    def __init__(self, name: str, *, most: int | None = None, window: int | None = None) -> None:
        self._name = name
        self._most = most
        self._window = window
        self._called = False
        self._texted = False
        self._last: list[BackendEvent] | None = None

    def feed(self, event: Mapping[str, Any]) -> list[BackendEvent]:
        """The events that this event completes.

        Raises:
            ProviderError: The provider says that it failed.
        """
        kind = event.get("type")
        if kind in _TEXT:
            self._texted = True
            return [TextDelta(text)] if (text := _text(event)) else []
        if kind in _THOUGHT:
            return [ReasoningDelta(text)] if (text := _text(event)) else []
        match kind:
            case "response.output_item.done":
                return self._item(event["item"])
            case "response.completed" | "response.incomplete":
                self._last = self._end(event["response"])
            case "response.failed":
                raise ProviderError(event["response"].get("error") or {})
            case "error":
                raise ProviderError(event.get("error") or event)
        return []

    def end(self) -> list[BackendEvent]:
        """The last events: usage, and why the answer ended.

        Raises:
            Transient: It broke off.
        """
        if self._last is None:
            raise Transient("the answer broke off", backend=self._name)
        return self._last

    def _item(self, item: Mapping[str, Any]) -> list[BackendEvent]:
        match item.get("type"):
            case "message":
                texted, self._texted = self._texted, False
                return [] if texted else _whole_text(item)
            case "function_call":
                self._called = True
                return [ToolCalled(call_from_item(item))]
            case _:
                return [ReasoningBlock(reasoning_from_item(item, self._name))]

    @property
    def ended(self) -> bool:
        """Whether the answer is complete, so that nothing more needs to come."""
        return self._last is not None

    def _end(self, response: Mapping[str, Any]) -> list[BackendEvent]:
        why = (response.get("incomplete_details") or {}).get("reason")
        counted = response.get("usage")
        usage = responses_usage(counted) if counted else None
        reason: FinishReason = "tool_calls" if self._called else "stop"
        if response.get("status") == "incomplete" or why:
            reason = _CUT.get(str(why), "error")
        elif reason == "stop" and usage is not None and self._is_full(usage):
            reason = "length"
        finished = Finished(reason, response.get("model") or "")
        return [usage, finished] if usage is not None else [finished]

    def _is_full(self, usage: Usage) -> bool:
        """Whether all room was used; llama.cpp calls such an answer completed."""
        if self._most is not None and usage.completion >= self._most:
            return True
        return self._window is not None and usage.prompt + usage.completion >= self._window


def _whole_text(item: Mapping[str, Any]) -> list[BackendEvent]:
    """The text of a message that did not come in pieces."""
    parts = item.get("content") or ()
    text = "".join(part.get("text") or part.get("refusal") or "" for part in parts)
    return [TextDelta(text)] if text else []


def _text(event: Mapping[str, Any]) -> str:
    text = event["delta"]
    if not isinstance(text, str):
        raise TypeError(f"the delta is {type(text).__name__}, expected text")
    return text
