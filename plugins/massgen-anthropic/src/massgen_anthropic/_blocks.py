"""One part of a message and the content block that says it, both ways; pure.

Format: Anthropic API reference, "Create a Message", the content blocks of ``messages``.

What the API has no block for (sounds, archives, parts of other providers) is named in a text, so
that the model knows of it. Blank texts are refused by the API and say nothing: they get no block.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias, assert_never

from massgen_core.messages import (
    Audio,
    File,
    Image,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Unknown,
    without_surrogates,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from massgen_core.messages import ContentPart

Block: TypeAlias = dict[str, Any]

PROVIDER: Final = "anthropic"
PICTURES: Final = frozenset({"image/gif", "image/jpeg", "image/png", "image/webp"})
NATIVE: Final = frozenset(
    {"container_upload", "search_result", "server_tool_use", "tool_reference"}
    | {f"{name}_tool_result" for name in ("code_execution", "web_fetch", "web_search")}
)
"""Blocks the model of messages has no part for; they are kept as they came."""

_ID: Final = re.compile(r"[a-zA-Z0-9_-]+")
_NOT_IN_AN_ID: Final = re.compile(r"[^a-zA-Z0-9_-]")
_INVALID: Final = "invalid_json"
"""Key under which arguments stand that are no JSON object: the API takes nothing else."""


def block_of(part: Part) -> Block | None:
    """The block that says the part; None if it says nothing to this provider."""
    match part:
        case Text(text):
            return {"type": "text", "text": without_surrogates(text)} if text.strip() else None
        case ToolCall():
            return {
                "type": "tool_use",
                "id": wire_id(part.id),
                "name": without_surrogates(part.name),
                "input": _input(part.arguments),
            }
        case ToolResult():
            return _result(part)
        case Reasoning():
            return _thinking(part)
        case Unknown(name) if name in NATIVE:
            return {"type": name, **part.data}
        case Image() | Audio() | File() | Unknown():
            return _media(part) or _told(part)
        case _:
            assert_never(part)


def part_of(block: Mapping[str, Any]) -> Part:
    """The part that a block says."""
    match block["type"]:
        case "text":
            return Text(block["text"])
        case "tool_use":
            return ToolCall(block["id"], block["name"], _json(block["input"]))
        case "tool_result":
            content = block.get("content") or ()
            blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
            parts = tuple([_content(each) for each in blocks])
            return ToolResult(block["tool_use_id"], parts, is_error=block.get("is_error") is True)
        case "thinking":
            return Reasoning(block["thinking"], block.get("signature", ""), PROVIDER)
        case "redacted_thinking":
            return Reasoning(provider=PROVIDER, data={"redacted": block["data"]})
        case _:
            return _content(block)


def wire_id(call_id: str) -> str:
    """The id as the API takes it: other providers' ids may hold other characters."""
    if _ID.fullmatch(call_id):
        return call_id
    digest = hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{_NOT_IN_AN_ID.sub('_', call_id)[:40]}-{digest[:12]}"


def _content(block: Mapping[str, Any]) -> ContentPart:
    kind, source = block["type"], block.get("source") or {}
    match kind, source.get("type"):
        case "text", _:
            part: ContentPart = Text(block["text"])
        case "image", "base64":
            part = Image(source["media_type"], base64.b64decode(source["data"]))
        case "image", "url":
            part = Image(url=source["url"])
        case "document", "base64" | "text" | "url" | "file":
            part = _file(source, block.get("title") or "")
        case _:
            part = Unknown(kind, {key: value for key, value in block.items() if key != "type"})
    return part


def _file(source: Mapping[str, Any], name: str) -> File:
    match source["type"]:
        case "base64":
            return File(source["media_type"], base64.b64decode(source["data"]), name=name)
        case "text":
            return File("text/plain", source["data"].encode(), name=name)
        case "url":
            return File(url=source["url"], name=name)
        case _:
            return File(file_id=source["file_id"], name=name)


def _input(arguments: str) -> dict[str, Any]:
    try:
        value = json.loads(arguments or "{}", parse_constant=_no_constant)
        clean_json = json.loads(without_surrogates(json.dumps(value, ensure_ascii=False)))
    except (ValueError, RecursionError):
        return {_INVALID: without_surrogates(arguments)}
    return clean_json if isinstance(clean_json, dict) else {_INVALID: without_surrogates(arguments)}


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _json(value: Mapping[str, Any]) -> str:
    if value.keys() == {_INVALID} and isinstance(value[_INVALID], str):
        return str(value[_INVALID])
    return json.dumps(value, ensure_ascii=False)


def _result(part: ToolResult) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": wire_id(part.call_id)}
    if content := blocks_of(part.content):
        block["content"] = content
    if part.is_error:
        block["is_error"] = True
    return block


def blocks_of(parts: Iterable[Part]) -> list[Block]:
    """The blocks of all parts that say something."""
    return [block for part in parts if (block := block_of(part)) is not None]


def instructions_of(parts: Iterable[Part]) -> list[Block]:
    """The blocks of a system message: ``system`` holds texts, what else stands there is named."""
    return [
        _told(part) if block["type"] != "text" else block
        for part in parts
        if (block := block_of(part)) is not None
    ]


def answer_of(parts: Iterable[Part]) -> list[Block]:
    """The blocks of an assistant's message, which can hold no pictures and documents."""
    media = (Image, Audio, File)
    return blocks_of(Text(_named(part)) if isinstance(part, media) else part for part in parts)


def _thinking(part: Reasoning) -> Block | None:
    """Only what this provider sealed may be sent back to it."""
    if part.provider != PROVIDER:
        return None
    if redacted := part.data.get("redacted"):
        return {"type": "redacted_thinking", "data": redacted}
    if part.signature:
        return {"type": "thinking", "thinking": part.text, "signature": part.signature}
    return None


def _media(part: ContentPart) -> Block | None:
    """The picture or document; None if the API takes none of this kind."""
    match part:
        case Image(media_type, bytes() as data) if media_type in PICTURES:
            return {"type": "image", "source": _base64(media_type, data)}
        case Image(data=None, url=str() as url):
            return {"type": "image", "source": {"type": "url", "url": without_surrogates(url)}}
        case File() if (source := _document(part)) is not None:
            title = {"title": without_surrogates(part.name)} if part.name else {}
            return {"type": "document", "source": source, **title}
        case _:
            return None


def _document(part: File) -> Block | None:
    if part.data is None:
        if part.file_id is not None:
            return {"type": "file", "file_id": part.file_id}
        return {"type": "url", "url": without_surrogates(part.url)} if part.url else None
    if part.media_type == "application/pdf":
        return _base64(part.media_type, part.data)
    if part.media_type.startswith("text/") and part.data.strip():
        text = part.data.decode("utf-8", "replace")
        return {"type": "text", "media_type": "text/plain", "data": text}
    return None


def _base64(media_type: str, data: bytes) -> Block:
    encoded = binascii.b2a_base64(data, newline=False).decode("ascii")
    return {"type": "base64", "media_type": media_type, "data": encoded}


def _told(part: Part) -> Block:
    return {"type": "text", "text": without_surrogates(_named(part))}


def _named(part: Part) -> str:
    facts = [part.name if isinstance(part, Unknown) else part.kind]
    if isinstance(part, Image | Audio | File):
        facts.append(part.media_type)
    if isinstance(part, File):
        facts.append(part.name)
    words = " ".join(fact for fact in facts if fact)
    return f"[{words}, not shown]"
