"""What a tool of a server answered, as parts of a message; pure."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Final

from mcp import types

from massgen_core.messages import Audio, File, Image, Text, ToolResult

if TYPE_CHECKING:
    from collections.abc import Iterable

    from massgen_core.messages import ContentPart

_HEAD: Final = 0.75
"""Share of what is kept of a long text that is its beginning; the rest is its end."""


def result_of(answer: types.CallToolResult, most: int) -> ToolResult:
    """The result; its call and name are the agent's to fill in.

    Args:
        answer: What the server sent.
        most: Characters of all texts, and bytes of each picture or file, that are kept.
    """
    parts = [_part(block, most) for block in answer.content]
    if not parts and answer.structured_content is not None:
        parts = [Text(json.dumps(answer.structured_content, ensure_ascii=False))]
    return ToolResult("", tuple(_cut(parts, most)), is_error=answer.is_error is True)


def _part(block: types.ContentBlock, most: int) -> ContentPart:
    match block:
        case types.TextContent(text=text):
            part: ContentPart = Text(text)
        case types.ImageContent(data=data, mime_type=kind):
            part = _media("image", kind, data, most)
        case types.AudioContent(data=data, mime_type=kind):
            part = _media("audio", kind, data, most)
        case types.ResourceLink():
            part = Text(f"[resource {block.name}: {block.uri}]")
        case types.EmbeddedResource(resource=types.TextResourceContents(text=text)):
            part = Text(text)
        case types.EmbeddedResource(resource=types.BlobResourceContents() as blob):
            kind = blob.mime_type or "application/octet-stream"
            part = _media("file", kind, blob.blob, most, str(blob.uri))
        case _:
            part = Text(f"[{block.type}, not shown]")
    return part


def _media(what: str, kind: str, encoded: str, most: int, name: str = "") -> ContentPart:
    size = len(encoded) * 3 // 4
    if size > most:
        return Text(f"[{what} {kind} of {size} bytes, left out: at most {most} are kept]")
    try:
        data = base64.b64decode(encoded, validate=True)
    except ValueError:
        return Text(f"[{what} {kind} that cannot be read: it is no base64]")
    match what:
        case "image":
            return Image(kind, data)
        case "audio":
            return Audio(kind, data)
        case _:
            return File(kind, data, name=name)


def _cut(parts: Iterable[ContentPart], most: int) -> Iterable[ContentPart]:
    """All parts; the texts shorter where together they are too long."""
    left = most
    for part in parts:
        if not isinstance(part, Text):
            yield part
            continue
        yield Text(_shortened(part.text, left))
        left = max(0, left - len(part.text))


def _shortened(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    head = int(most * _HEAD)
    tail = text[len(text) - (most - head) :]
    return f"{text[:head]}\n[{len(text) - most} characters left out here]\n{tail}"
