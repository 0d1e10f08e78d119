"""What users write type-checks: nothing here is run, mypy reads it."""

from __future__ import annotations

from typing import assert_type

from massgen_core import Conversation, Fitted, MassgenError, Message, Part, fit
from massgen_core.errors import ContextOverflow, RateLimited
from massgen_core.events import Event, TextDelta, Usage
from massgen_core.messages import (
    Audio,
    File,
    Image,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Unknown,
    user,
)


def fitting() -> list[str]:
    fitted = fit([{"role": "user", "content": "hi"}], budget=100)
    assert_type(fitted, Fitted)
    assert_type(fitted.report.tokens_after, int)
    return [operation.reason for operation in fitted.report.operations]


def talking() -> int:
    chat = Conversation(model="gpt-4o", budget=8000)
    chat.append({"role": "user", "content": "hi"})
    return len(chat.fit().messages)


def told(event: Event) -> str:
    match event:
        case TextDelta(text):
            return assert_type(text, str)
        case Usage(prompt, completion):
            return str(assert_type(prompt + completion, int))
        case _:
            return event.kind


def shown(part: Part) -> str:
    """A match over all kinds of parts is exhaustive: mypy asks for no return after it."""
    match part:
        case Text(text) | Reasoning(text):
            return text
        case Image() | Audio() | File():
            return part.media_type
        case ToolCall(_, name) | Unknown(name):
            return name
        case ToolResult():
            return part.text


def retry_after(error: MassgenError) -> float:
    match error:
        case RateLimited():
            return error.retry_after or 1.0
        case ContextOverflow(limit=int(limit)):
            return float(limit)
        case _:
            return 0.0


def message() -> Message:
    return user("hello", pinned=True, priority=3)
