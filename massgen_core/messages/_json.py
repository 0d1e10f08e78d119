"""The JSON form of a message: lossless, and open to part kinds of later versions."""

from __future__ import annotations

import base64
import binascii
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
        role = data["role"]
        if role not in ROLES:
            raise InvalidMessages(f"role {role!r} is none of {', '.join(sorted(ROLES))}")
        return Message(
            role=role,
            parts=tuple([_part_from_json(part) for part in data["parts"]]),
            id=data["id"],
            created_at=data["created_at"],
            meta=data.get("meta", {}),
        )
    except (KeyError, TypeError, AttributeError, binascii.Error) as exc:
        raise InvalidMessages(
            f"not a message: {type(exc).__name__}: {exc}",
            hint="Expected an object with id, role, created_at and parts, as message_to_json writes it.",
        ) from exc


_PARTS: Final[dict[str, type[Any]]] = {
    cls.kind: cls for cls in (Text, Image, Audio, File, ToolCall, ToolResult, Reasoning)
}


def _part_to_json(part: Part) -> dict[str, JSONValue]:
    if isinstance(part, Text):
        return {"kind": "text", "text": part.text}
    if isinstance(part, ToolCall):
        return {"kind": "tool_call", "id": part.id, "name": part.name, "arguments": part.arguments}
    if isinstance(part, Unknown):
        return {**part.data, "kind": part.name}
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


def _part_from_json(data: Mapping[str, Any]) -> Any:
    kind = data["kind"]
    if kind == "text" and len(data) == 2:  # noqa: PLR2004 - the common case: kind and text
        return Text(data["text"])
    cls = _PARTS.get(kind)
    fields = {name: value for name, value in data.items() if name != "kind"}
    if cls is None or not fields.keys() <= cls.__dataclass_fields__.keys():
        return Unknown(kind, fields)
    if isinstance(fields.get("data"), str):
        fields["data"] = base64.b64decode(fields["data"], validate=True)
    if "content" in fields:
        fields["content"] = tuple(_part_from_json(item) for item in fields["content"])
    return cls(**fields)
