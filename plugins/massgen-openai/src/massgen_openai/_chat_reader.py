"""Events of a chat completion that arrives in chunks."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from massgen_core.clock import uuid7
from massgen_core.errors import Transient
from massgen_core.events import (
    Finished,
    FinishReason,
    ReasoningBlock,
    ReasoningDelta,
    TextDelta,
    ToolCalled,
)
from massgen_core.messages import Reasoning, ToolCall
from massgen_openai._thinking import ThinkTags
from massgen_openai._usage import chat_usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_core.events import BackendEvent, Usage
    from massgen_openai._thinking import Kind

REASONS: Final[Mapping[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "function_call": "tool_calls",  # OpenAI, before there were tools
    "eos": "stop",  # Together
    "eos_token": "stop",  # Text Generation Inference
    "end_turn": "stop",  # gateways to Anthropic
    "model_length": "length",  # Mistral: the window is full
    "model_context_window_exceeded": "length",  # Z.ai
    "sensitive": "content_filter",  # Z.ai
}
"""Words of providers for why an answer ended."""
_FAULTS: Final = {
    "abort": "the server aborted the answer",  # vLLM, SGLang
    "error": "the model behind the provider failed",  # OpenRouter, Mistral
    "insufficient_system_resource": "the provider ran out of resources",  # DeepSeek
    "network_error": "the model behind the provider failed",  # Z.ai
}
"""Words of providers for an answer that is none."""


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    def whole(self) -> bool:
        """Whether its arguments are complete, so that what has a name is another call."""
        try:
            return isinstance(json.loads("".join(self.arguments)), dict)
        except ValueError:
            return False


class ChatReader:
    """Puts an answer together; feed it every chunk, then ask for the end.

    Args:
        name: Registered name of the backend, for errors and reasoning.
        think_tags: Whether the text may begin with reasoning between ``<think>`` tags.
    """

    def __init__(self, name: str, *, think_tags: bool = False) -> None:
        self._name = name
        self._tags = ThinkTags() if think_tags else None
        self._thought: list[str] = []
        self._details: list[dict[str, Any]] = []
        self._calls: list[_Call] = []
        self._by_index: dict[object, _Call] = {}
        self._usage: Usage | None = None
        self._reason = ""
        self._model = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more needs to come: the SDK knows, for ``[DONE]`` is no chunk."""
        return False

    def feed(self, chunk: Mapping[str, Any]) -> list[BackendEvent]:
        """The events that the chunk completes."""
        if counted := chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage"):
            self._usage = chat_usage(counted)
        choices = chunk.get("choices")
        if not choices:
            return []
        choice = choices[0]
        if reason := choice.get("finish_reason"):
            self._reason = reason
            self._model = chunk.get("model") or ""
        if counted := choice.get("usage"):  # Moonshot
            self._usage = chat_usage(counted)
        delta = choice.get("delta")
        return self._delta(delta) if delta else []

    def end(self) -> list[BackendEvent]:
        """The last events: tool calls, usage, and why the answer ended.

        Raises:
            Transient: It broke off.
        """
        out = self._split(self._tags.end()) if self._tags else []
        if not self._reason:
            raise Transient("the answer broke off", backend=self._name)
        if self._reason in _FAULTS:
            raise Transient(_FAULTS[self._reason], backend=self._name)
        out += self._block()
        out += [ToolCalled(self._whole(call)) for call in self._calls]
        if self._usage is not None:
            out.append(self._usage)
        reason = REASONS.get(self._reason, "error")
        called = bool(self._calls) and reason == "stop"
        out.append(Finished("tool_calls" if called else reason, self._model))
        return out

    def _delta(self, delta: Mapping[str, Any]) -> list[BackendEvent]:
        content = delta.get("content")
        if len(delta) == 1 and content and self._tags is None and type(content) is str:
            return [*self._block(), TextDelta(content)]  # nearly every chunk
        out = self._reasoning(delta)
        if isinstance(content, list):
            out += self._mixed(content)
        elif content:
            out += self._text(content)
        if refusal := delta.get("refusal"):
            out += self._text(refusal)
        for call in delta.get("tool_calls") or ():
            out += self._block()
            self._call(call)
        return out

    def _text(self, text: object) -> list[BackendEvent]:
        if not isinstance(text, str):
            raise TypeError(f"the content is {type(text).__name__}, expected text")
        if self._tags is not None:
            return self._split(self._tags.feed(text))
        return [*self._block(), TextDelta(text)]

    def _split(self, pieces: list[tuple[Kind, str]]) -> list[BackendEvent]:
        out: list[BackendEvent] = []
        for kind, text in pieces:
            if kind == "reasoning":
                out += self._think(text)
            else:
                out += [*self._block(), TextDelta(text)]
        return out

    def _mixed(self, content: list[Mapping[str, Any]]) -> list[BackendEvent]:
        """Content as a list of typed pieces, the way Mistral's reasoning models write."""
        out: list[BackendEvent] = []
        for piece in content:
            if piece.get("type") == "thinking":
                for inner in piece.get("thinking") or ():
                    out += self._think(inner.get("text") or "")
            elif text := piece.get("text"):
                out += self._text(text)
        return out

    def _reasoning(self, delta: Mapping[str, Any]) -> list[BackendEvent]:
        details = delta.get("reasoning_details")
        if details:
            self._detail(details)
        text = delta.get("reasoning_content") or delta.get("reasoning")
        return self._think(text) if isinstance(text, str) else []

    def _think(self, text: str) -> list[BackendEvent]:
        if not text:
            return []
        self._thought.append(text)
        return [ReasoningDelta(text)]

    def _detail(self, details: list[dict[str, Any]]) -> None:
        """OpenRouter: pieces of one block have one index; their texts follow each other."""
        for detail in details:
            last = self._details[-1] if self._details else None
            keys = ("type", "index")
            same = last is not None and [last.get(k) for k in keys] == [detail.get(k) for k in keys]
            if last is None or not same or "data" in detail:  # encrypted ones come whole
                self._details.append(dict(detail))
                continue
            for key, value in detail.items():
                grows = key in ("text", "summary") and isinstance(last.get(key), str)
                if value is not None:
                    last[key] = last[key] + value if grows else value

    def _block(self) -> list[BackendEvent]:
        """The reasoning so far, complete, since something else follows."""
        if not self._thought and not self._details:
            return []
        text, self._thought = "".join(self._thought), []
        details, self._details = self._details, []
        data = {"reasoning_details": details} if details else {}
        return [ReasoningBlock(Reasoning(text, provider=self._name, data=data))]

    def _call(self, delta: Mapping[str, Any]) -> None:
        """Adds a piece of a call. Some servers give all calls the same index, or none."""
        function = delta.get("function") or {}
        index, known = delta.get("index"), str(delta.get("id") or "")
        name, arguments = function.get("name") or "", function.get("arguments")
        call = self._by_index.get(index)
        if call is None or (known and call.id and known != call.id) or (name and call.whole()):
            call = self._by_index[index] = _Call()
            self._calls.append(call)
        call.id = call.id or known
        if name != call.name:  # in pieces; some servers repeat it
            call.name += name
        if isinstance(arguments, dict):
            call.arguments.append(json.dumps(arguments))
        elif arguments:
            call.arguments.append(arguments)

    def _whole(self, call: _Call) -> ToolCall:
        cut = REASONS.get(self._reason) == "length" and call is self._calls[-1]
        empty = "" if cut else "{}"  # a cut call must not run with no arguments
        return ToolCall(call.id or f"call_{uuid7()}", call.name, "".join(call.arguments) or empty)
