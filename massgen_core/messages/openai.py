"""OpenAI chat messages: ``{"role", "content", "tool_calls", "tool_call_id"}`` dicts.

`from_openai` and `to_openai` are pure and inverse to each other. What the model has no field for
(``name``, ``refusal``, …) is kept in ``Message.meta["openai"]`` under its own name; ``role``,
``content`` and ``tool_calls`` there say how these three were written: another word for the role, a
content given as a list or not at all, extra fields of calls.
Format: OpenAI API reference, "Create chat completion", field ``messages``.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from typing import TYPE_CHECKING, Any, Final

from massgen_core.clock import uuid7
from massgen_core.errors import InvalidMessages
from massgen_core.messages._model import (
    Audio,
    ContentPart,
    File,
    Image,
    JSONValue,
    Message,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Unknown,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

META = "openai"
_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
_OWN: Final = frozenset({"role", "content", "tool_calls", "tool_call_id"})
_FORMS: Final = frozenset({"role", "content", "tool_calls"})
_DATA_URL: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,", re.ASCII)
_CALL_KEYS: Final = frozenset({"id", "type", "function"})
_FUNCTION_KEYS: Final = frozenset({"name", "arguments"})
_CALL_FORM: Final = "a tool call needs an id and a function {name, arguments}"


def from_openai(
    data: Mapping[str, Any], *, index: int | None = None, message_id: str | None = None
) -> Message:
    """The message that an OpenAI chat dict says.

    Args:
        data: One element of ``messages``.
        index: Its position, for the error message.
        message_id: Id of the message; a new UUIDv7 if omitted.

    Raises:
        InvalidMessages: The role is unknown or a field has the wrong type.
    """
    try:
        wire_role = data["role"]
        role = _ROLES[wire_role]
    except (KeyError, TypeError) as exc:
        raise _invalid(data, index) from exc
    extra: dict[str, JSONValue] = {}
    if wire_role != role or not _OWN.issuperset(data):
        extra = {key: data[key] for key in data if key not in _OWN}
        if wire_role != role:
            extra["role"] = wire_role
    content = data.get("content")
    shown = (Text(content),) if isinstance(content, str) else _parts(data, extra, index)
    said: tuple[Part, ...] = shown
    if role == "tool":
        said = (_result(data, shown, index),)
    elif "tool_call_id" in data:
        _check_no_call_id(data, index)
        extra["tool_call_id"] = None
    if "tool_calls" in data:
        said = (*said, *_calls(data, role, extra, index))
    meta: dict[str, JSONValue] = {META: extra} if extra else {}
    return Message(role, said, message_id or uuid7(), time.time(), meta)


def to_openai(message: Message) -> dict[str, Any]:
    """The OpenAI chat dict of a message; a tool message must hold exactly one result.

    Reasoning is left out: the chat API does not take it back.

    Raises:
        InvalidMessages: A tool message with several results, or none.
    """
    extra: Any = message.meta.get(META) or {}
    out: dict[str, Any] = {"role": extra.get("role", message.role)}
    content: tuple[Part, ...] = message.parts
    if message.role == "tool":
        if len(message.parts) != 1 or not isinstance(result := message.parts[0], ToolResult):
            raise InvalidMessages(
                f"a tool message holds one result, this one has {len(message.parts)} parts",
                hint="Write one tool message per result.",
            )
        out["tool_call_id"] = result.call_id
        content = result.content
    calls = [part for part in content if isinstance(part, ToolCall)]
    said = [part for part in content if not isinstance(part, (ToolCall, Reasoning))]
    form = extra.get("content")
    if form == "list" or len(said) > 1 or (said and not isinstance(said[0], Text)):
        out["content"] = [_content_to_wire(part) for part in said]
    elif said and isinstance(said[0], Text):
        out["content"] = said[0].text
    elif form != "absent":
        out["content"] = None
    odd = extra.get("tool_calls") or {}
    if calls:
        out["tool_calls"] = [_call_to_wire(call, odd.get(str(i))) for i, call in enumerate(calls)]
    elif "tool_calls" in extra and not odd:
        out["tool_calls"] = extra["tool_calls"]
    return out | {key: value for key, value in extra.items() if key not in _FORMS}


def _at(index: int | None) -> str:
    return "" if index is None else f"message {index}: "


def _invalid(data: object, index: int | None) -> InvalidMessages:
    if not hasattr(data, "keys"):
        return InvalidMessages(
            f"{_at(index)}expected an object with role and content, got {type(data).__name__}",
            index=index,
        )
    role = data.get("role") if hasattr(data, "get") else None
    return InvalidMessages(
        f"{_at(index)}role {role!r} is none of {', '.join(_ROLES)}",
        index=index,
        hint="Messages are OpenAI chat messages: role, content, tool_calls, tool_call_id.",
    )


def _parts(
    data: Mapping[str, Any], extra: dict[str, JSONValue], index: int | None
) -> tuple[ContentPart, ...]:
    """The parts of a content that is no text."""
    content = data.get("content")
    if isinstance(content, list):
        extra["content"] = "list"
        return tuple([_content_part(item, index) for item in content])
    if content is not None:
        raise InvalidMessages(
            f"{_at(index)}content is {type(content).__name__}, expected text, a list or null",
            index=index,
        )
    if "content" not in data:
        extra["content"] = "absent"
    return ()


def _check_no_call_id(data: Mapping[str, Any], index: int | None) -> None:
    if data["tool_call_id"] is not None:
        raise InvalidMessages(
            f"{_at(index)}only a tool message has tool_call_id, this one is {data['role']!r}",
            index=index,
        )


def _result(
    data: Mapping[str, Any], content: tuple[ContentPart, ...], index: int | None
) -> ToolResult:
    call_id = data.get("tool_call_id")
    if not isinstance(call_id, str):
        raise InvalidMessages(
            f"{_at(index)}a tool message needs tool_call_id, the id of the call it answers",
            index=index,
        )
    name = data.get("name")
    return ToolResult(call_id, content, name if isinstance(name, str) else "")


def _calls(
    data: Mapping[str, Any], role: Role, extra: dict[str, JSONValue], index: int | None
) -> list[Part]:
    calls = data["tool_calls"]
    if not calls:
        extra["tool_calls"] = calls
        return []
    if role != "assistant":
        raise InvalidMessages(f"{_at(index)}only an assistant message has tool_calls", index=index)
    if not isinstance(calls, list):
        raise InvalidMessages(f"{_at(index)}tool_calls is not a list", index=index)
    out: list[Part] = []
    odd: dict[str, JSONValue] = {}
    for at, call in enumerate(calls):
        if rest := _call_extra(call, index):
            odd[str(at)] = rest
        function = call["function"]
        out.append(ToolCall(call["id"], function["name"], function["arguments"]))
    if odd:
        extra["tool_calls"] = odd
    return out


def _call_extra(call: Any, index: int | None) -> dict[str, JSONValue] | None:
    """What a well-formed call says beyond id, name and arguments; None in the usual case."""
    try:
        function = call["function"]
        call_id, name, arguments = call["id"], function["name"], function["arguments"]
    except (KeyError, TypeError) as exc:
        raise InvalidMessages(_at(index) + _CALL_FORM, index=index) from exc
    if not (isinstance(call_id, str) and isinstance(name, str)):
        raise InvalidMessages(_at(index) + _CALL_FORM, index=index)
    if not isinstance(arguments, str):
        raise InvalidMessages(
            f"{_at(index)}function.arguments is {type(arguments).__name__}, expected JSON text",
            index=index,
        )
    usual = len(call) == len(_CALL_KEYS) and len(function) == len(_FUNCTION_KEYS)
    if usual and call.get("type") == "function":
        return None
    return {
        **{key: call[key] for key in call.keys() - {"id", "function"}},
        "function": {key: function[key] for key in function.keys() - _FUNCTION_KEYS},
    }


def _call_to_wire(call: ToolCall, odd: Mapping[str, Any] | None) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    if odd is None:
        return {"id": call.id, "type": "function", "function": function}
    return {"id": call.id, **odd, "function": {**function, **odd["function"]}}


def _content_part(item: Any, index: int | None) -> ContentPart:
    try:
        kind = item["type"]
        body = item.get(kind)
    except (KeyError, TypeError, AttributeError) as exc:
        raise InvalidMessages(f"{_at(index)}a content part needs a type", index=index) from exc
    if not isinstance(kind, str):
        raise InvalidMessages(
            f"{_at(index)}the type of a content part is {kind!r}, expected text", index=index
        )
    part: ContentPart | None = None
    if kind == "text" and isinstance(body, str):
        part = Text(body)
    elif kind == "image_url" and isinstance(body, dict) and isinstance(body.get("url"), str):
        part = _image(body)
    elif kind == "input_audio" and isinstance(body, dict):
        part = Audio(f"audio/{body.get('format')}", _unbase64(body.get("data")))
    elif kind == "file" and isinstance(body, dict):
        part = _file(body)
    if part is not None and _is_sound(part) and _content_to_wire(part) == item:
        return part
    return Unknown(kind, {key: value for key, value in item.items() if key != "type"})


def _is_sound(part: ContentPart) -> bool:
    """Whether what the wire put in its fields are texts: a journal gives nothing else back."""
    texts = (getattr(part, name, None) for name in ("detail", "file_id", "name"))
    return all(text is None or isinstance(text, str) for text in texts)


def _content_to_wire(part: Part) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Image):
        url = {"url": part.url if part.data is None else _data_url(part.media_type, part.data)}
        return {
            "type": "image_url",
            "image_url": {**url, **({"detail": part.detail} if part.detail else {})},
        }
    if isinstance(part, Audio):
        body = {"data": _base64(part.data or b""), "format": part.media_type.removeprefix("audio/")}
        return {"type": "input_audio", "input_audio": body}
    if isinstance(part, File):
        name = {"filename": part.name} if part.name else {}
        if part.data is not None:
            return {
                "type": "file",
                "file": {**name, "file_data": _data_url(part.media_type, part.data)},
            }
        return {"type": "file", "file": {**name, "file_id": part.file_id}}
    if isinstance(part, Unknown):
        return {"type": part.name, **part.data}
    raise InvalidMessages(f"a {part.kind} part has no place in the content of an OpenAI message")


def _image(body: Mapping[str, Any]) -> Image:
    detail = body.get("detail") or ""
    if match := _DATA_URL.match(body["url"]):
        data = _unbase64(body["url"][match.end() :])
        return Image(media_type=match[1], data=data, detail=detail)
    return Image(url=body["url"], detail=detail)


def _file(body: Mapping[str, Any]) -> File:
    name = body.get("filename") or ""
    wire = body.get("file_data")
    if isinstance(wire, str) and (match := _DATA_URL.match(wire)):
        return File(media_type=match[1], data=_unbase64(wire[match.end() :]), name=name)
    return File(file_id=body.get("file_id"), name=name)


def _data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{_base64(data)}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unbase64(data: object) -> bytes | None:
    try:
        return base64.b64decode(data, validate=True) if isinstance(data, str) else None
    except (binascii.Error, ValueError):
        return None
