"""The JSON form of a message: lossless, and open to part kinds of later versions."""

from __future__ import annotations

import base64
import dataclasses
from typing import TYPE_CHECKING, Any, Final

from massgen_core.errors import InvalidMessages
from massgen_core.messages._model import (
    ROLES,
    Audio,
    File,
    Image,
    JSONValue,
    Message,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Unknown,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


def message_to_json(message: Message) -> dict[str, JSONValue]:
    """The message as JSON values; `message_from_json` is its exact inverse.

    Bytes become base64 text. Fields that hold their default are left out.
    """
    out: dict[str, JSONValue] = {
        "id": message.id,
        "role": message.role,
        "created_at": message.created_at,
        "parts": [_part_to_json(part) for part in message.parts],
    }
    if message.meta:
        out["meta"] = message.meta
    return out


def message_from_json(data: Mapping[str, Any]) -> Message:
    """The message that `message_to_json` wrote, by this or another version.

    Raises:
        InvalidMessages: A field is missing or has the wrong type.
    """
    try:
        return Message(
            role=_role(data["role"]),
            parts=tuple([_part_from_json(part) for part in data["parts"]]),
            id=_checked("id", data["id"]),
            created_at=_checked("created_at", data["created_at"]),
            meta=_checked("meta", data.get("meta", {})),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as exc:
        raise InvalidMessages(
            f"not a message: {type(exc).__name__}: {exc}",
            hint="Expected id, role, created_at and parts, as message_to_json writes them.",
        ) from exc


_PARTS: Final[dict[str, type[Any]]] = {
    cls.kind: cls for cls in (Text, Image, Audio, File, ToolCall, ToolResult, Reasoning)
}
_CALL: Final = frozenset({"kind", "id", "name", "arguments"})
_WRAPPED: Final = frozenset({"kind", "name", "data"})
_TYPES: Final[dict[str, type[Any] | tuple[type[Any], ...]]] = {
    "created_at": (int, float),
    "meta": dict,
    "data": (bytes, dict),
    "width": int,
    "height": int,
    "seconds": (int, float),
    "is_error": bool,
    "content": tuple,
}


def _part_to_json(part: Part) -> dict[str, JSONValue]:
    if isinstance(part, Text):
        return {"kind": "text", "text": part.text}
    if isinstance(part, ToolCall):
        return {"kind": "tool_call", "id": part.id, "name": part.name, "arguments": part.arguments}
    if isinstance(part, Unknown):
        return _unknown_to_json(part)
    out: dict[str, JSONValue] = {"kind": part.kind}
    for spec in dataclasses.fields(part):
        value = getattr(part, spec.name)
        if isinstance(value, bytes):
            out[spec.name] = base64.b64encode(value).decode("ascii")
        elif spec.name == "content":
            out[spec.name] = [_part_to_json(item) for item in value]
        elif value != spec.default and (value or spec.default_factory is dataclasses.MISSING):
            out[spec.name] = value
    return out


def _unknown_to_json(part: Unknown) -> dict[str, JSONValue]:
    """As it was read; wrapped when it would be read back as something else (an odd OpenAI text)."""
    if part.name in _PARTS or part.name == Unknown.kind or "kind" in part.data:
        return {"kind": Unknown.kind, "name": part.name, "data": part.data}
    return {**part.data, "kind": part.name}


def _part_from_json(data: Mapping[str, Any]) -> Any:
    kind = data["kind"]
    if kind == "text" and len(data) == 2:  # noqa: PLR2004 - the common case: kind and text
        return Text(_checked("text", data["text"]))
    if kind == "tool_call" and data.keys() == _CALL:
        return ToolCall(
            _checked("id", data["id"]),
            _checked("name", data["name"]),
            _checked("arguments", data["arguments"]),
        )
    if kind == Unknown.kind and data.keys() == _WRAPPED:
        return Unknown(_checked("name", data["name"]), data["data"])
    cls = _PARTS.get(kind)
    fields = {name: value for name, value in data.items() if name != "kind"}
    if cls is None or not fields.keys() <= cls.__dataclass_fields__.keys():
        return Unknown(_checked("kind", kind), fields)
    if "data" in fields and cls is not Reasoning:
        fields["data"] = base64.b64decode(fields["data"], validate=True)
    if "content" in fields:
        fields["content"] = tuple(_part_from_json(item) for item in fields["content"])
    return cls(**{name: _checked(name, value) for name, value in fields.items()})


def _role(value: Any) -> Any:
    if value not in ROLES:
        raise ValueError(f"role {value!r} is none of {', '.join(sorted(ROLES))}")
    return value


def _checked(name: str, value: Any) -> Any:
    """The value, if its type is that of fields of this name: text unless `_TYPES` says else."""
    if not isinstance(value, expected := _TYPES.get(name, str)):
        raise TypeError(f"field {name!r} is {type(value).__name__}, expected {_names(expected)}")
    return value


def _names(expected: type[Any] | tuple[type[Any], ...]) -> str:
    types = expected if isinstance(expected, tuple) else (expected,)
    return " or ".join(cls.__name__ for cls in types)
