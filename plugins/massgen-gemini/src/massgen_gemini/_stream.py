"""From the chunks of a stream to our events."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final

from massgen_core.clock import uuid7
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
from massgen_gemini._parts import ON_CALL, ON_TEXT, PROVIDER

if TYPE_CHECKING:
    from google.genai.types import GenerateContentResponse, Part

    from massgen_core.events import BackendEvent

REASONS: Final[dict[str, FinishReason]] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(
        (
            "BLOCKLIST",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
            "IMAGE_SAFETY",
            "LANGUAGE",
            "PROHIBITED_CONTENT",
            "RECITATION",
            "SAFETY",
            "SPII",
        ),
        "content_filter",
    ),
}
"""Of the others (a malformed call, say) nothing is known but that the answer is not whole."""


class Answer:
    """An answer as far as it was streamed.

    Args:
        model: Who was asked.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._thoughts: list[str] = []
        self._counted: Any = None
        self._reason = ""
        self._why = ""
        self._said = self._called = False

    def feed(self, chunk: GenerateContentResponse) -> list[BackendEvent]:
        """What the next chunk says.

        Raises:
            ContentFiltered: The prompt was blocked.
        """
        self._model = chunk.model_version or self._model
        self._counted = chunk.usage_metadata or self._counted
        feedback = chunk.prompt_feedback
        if feedback is not None and feedback.block_reason is not None:
            why = feedback.block_reason_message or feedback.block_reason.value
            raise ContentFiltered(f"the prompt was blocked: {why}", backend=PROVIDER)
        out: list[BackendEvent] = []
        for candidate in (chunk.candidates or ())[:1]:
            for part in (candidate.content.parts if candidate.content else None) or ():
                out += self._part(part)
            if candidate.finish_reason is not None:
                self._reason = candidate.finish_reason.value
                self._why = candidate.finish_message or self._reason
        return out

    def end(self) -> list[BackendEvent]:
        """The last events.

        Raises:
            Transient: The stream ended before the answer did.
            ContentFiltered: The answer was blocked before its first word.
        """
        if not self._reason:
            raise Transient("the answer broke off", backend=PROVIDER)
        reason = REASONS.get(self._reason, "error")
        if reason == "content_filter" and not self._said:
            raise ContentFiltered(f"the answer was blocked: {self._why}", backend=PROVIDER)
        out = self._thought()
        if self._counted is not None:
            out.append(_usage(self._counted))
        if self._called and reason == "stop":
            reason = "tool_calls"
        out.append(Finished(reason, self._model))
        return out

    def _part(self, part: Part) -> list[BackendEvent]:
        seal = base64.b64encode(part.thought_signature or b"").decode()
        if part.thought:
            self._thoughts.append(part.text or "")
            return [ReasoningDelta(part.text)] if part.text else []
        out = self._thought()
        if (call := part.function_call) is not None:
            self._said = self._called = True
            if seal:
                out.append(ReasoningBlock(Reasoning("", seal, PROVIDER, ON_CALL)))
            arguments = json.dumps(call.args or {}, ensure_ascii=False)
            out.append(
                ToolCalled(ToolCall(call.id or f"call-{uuid7()}", call.name or "", arguments))
            )
            return out
        if text := part.text or _named(part):
            self._said = True
            out.append(TextDelta(text))
        if seal:
            out.append(ReasoningBlock(Reasoning("", seal, PROVIDER, ON_TEXT)))
        return out

    def _thought(self) -> list[BackendEvent]:
        """The thoughts before the next part, as they are kept; they are never sent back."""
        text, self._thoughts = "".join(self._thoughts), []
        return [ReasoningBlock(Reasoning(text, provider=PROVIDER))] if text else []


def _named(part: Part) -> str:
    """What an answer holds beside text, as a text that names it; empty if there is nothing."""
    if part.executable_code is not None:
        return f"[code: {part.executable_code.code or ''}]"
    if part.code_execution_result is not None:
        return f"[result: {part.code_execution_result.output or ''}]"
    media = part.inline_data or part.file_data
    return "" if media is None else f"[{media.mime_type or 'file'}, not shown]"


def _usage(counted: Any) -> Usage:
    thoughts = counted.thoughts_token_count or 0
    prompt = (counted.prompt_token_count or 0) + (counted.tool_use_prompt_token_count or 0)
    return Usage(
        prompt=prompt,
        completion=(counted.candidates_token_count or 0) + thoughts,
        cached=min(counted.cached_content_token_count or 0, prompt),
        reasoning=thoughts,
    )
