"""Requests, events and errors of backends as JSON, without secrets."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from massgen_core._redact import redacted, scrubbed
from massgen_core.errors import BackendError, Fatal
from massgen_core.events import (
    CircuitOpened,
    Finished,
    ReasoningBlock,
    ReasoningDelta,
    TextDelta,
    ToolCalled,
    Usage,
    Waiting,
)
from massgen_core.messages import Reasoning, ToolCall, message_to_json

if TYPE_CHECKING:
    from massgen_core.backends._protocol import Request
    from massgen_core.events import BackendEvent
    from massgen_core.messages import JSONValue

_EVENTS: Final = {
    cls.kind: cls for cls in (TextDelta, ReasoningDelta, Usage, Finished, Waiting, CircuitOpened)
}
_PASSING: Final = ("id", "created_at", "meta")
"""What two requests that say the same may differ in."""


def request_to_json(request: Request) -> dict[str, JSONValue]:
    """What is asked; equal for requests that ask the same."""
    messages = [message_to_json(message) for message in request.messages]
    said = [{k: v for k, v in one.items() if k not in _PASSING} for one in messages]
    tools = [dataclasses.asdict(tool) for tool in request.tools]
    return dict(
        clean(
            {
                "model": request.model,
                "messages": said,
                "tools": tools,
                "max_output": request.max_output,
                "temperature": request.temperature,
            }
        )
    )


def event_to_json(event: BackendEvent) -> dict[str, JSONValue]:
    """The event with its kind."""
    fields: Any = event
    if isinstance(event, ToolCalled):
        fields = event.call
    elif isinstance(event, ReasoningBlock):
        fields = event.reasoning
    return {"kind": event.kind, **clean(dataclasses.asdict(fields))}


def event_from_json(data: Mapping[str, Any]) -> BackendEvent:
    """The event that `event_to_json` wrote.

    Raises:
        KeyError: It is of a kind that this version does not know.
        TypeError: It lacks a field, or has one too many.
    """
    kind, fields = data["kind"], {k: v for k, v in data.items() if k != "kind"}
    if kind == ToolCalled.kind:
        return ToolCalled(ToolCall(**fields))
    if kind == ReasoningBlock.kind:
        return ReasoningBlock(Reasoning(**fields))
    event: BackendEvent = _EVENTS[kind](**fields)
    return event


def error_to_json(error: BackendError) -> dict[str, JSONValue]:
    """The error with its code and its attributes."""
    own = {k: v for k, v in vars(error).items() if isinstance(v, str | int | float | None)}
    return {"code": error.code, **clean({"message": error.message, **own})}


def error_from_json(data: Mapping[str, Any]) -> BackendError:
    """The error that `error_to_json` wrote; `Fatal` for one this version does not know."""
    own = {key: value for key, value in data.items() if key not in {"code", "message"}}
    cls = next((one for one in _kinds(BackendError) if one.code == data["code"]), Fatal)
    error = cls.__new__(cls, data["message"])
    error.args = (data["message"],)
    error.__dict__.update({"hint": "", "backend": "", "status": None, **own})
    return error


def clean(value: Any) -> Any:
    """The JSON value without secrets: under keys named like one, and where a text has a key's form.

    Texts that are JSON themselves, as arguments of tools are, are looked into.
    """
    return _scrubbed(redacted(value))


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        return scrubbed(_inside(value))
    if isinstance(value, Mapping):
        return {key: _scrubbed(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_scrubbed(inner) for inner in value]
    return value


def _inside(text: str) -> str:
    if text[:1] != "{":
        return text
    try:
        parsed = json.loads(text)
    except ValueError:
        return text
    safe = redacted(parsed)
    return text if safe == parsed else json.dumps(safe, ensure_ascii=False)


def _kinds(cls: type[BackendError]) -> list[type[BackendError]]:
    return [cls, *(kind for below in cls.__subclasses__() for kind in _kinds(below))]
