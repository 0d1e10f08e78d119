"""One part of a message and the part of a content that says it, both ways; pure.

Format: Google's API reference, "generateContent", ``Content`` and ``Part``.

What the API has no part for (archives, parts of other providers) is named in a text, so that the
model knows of it. Blank texts say nothing and get no part.
"""

from __future__ import annotations

import base64
import json
import mimetypes
from typing import TYPE_CHECKING, Any, Final, TypeAlias

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

Wire: TypeAlias = dict[str, Any]

PROVIDER: Final = "gemini"
ON_CALL: Final = {"on": "call"}
"""`Reasoning.data` of a signature that belongs to the call after it."""
ON_TEXT: Final = {"on": "text"}
"""The same of a signature that stands by itself."""
UNSIGNED: Final = base64.b64encode(b"skip_thought_signature_validator").decode()
"""What the API takes in place of the signature of a call that this model did not make.

Source: Google's documentation, "Thought signatures", on histories of other models.
"""

_TAKEN: Final = ("image/", "audio/", "video/", "text/", "application/pdf", "application/json")
_INVALID: Final = "invalid_json"
"""Key under which arguments stand that are no JSON object: the API takes nothing else."""


def part_to_wire(part: Part) -> Wire | None:
    """The part on the wire; None if it says nothing, or is a result or reasoning."""
    match part:
        case Text(text):
            return {"text": without_surrogates(text)} if text.strip() else None
        case ToolCall():
            call = {
                "id": without_surrogates(part.id),
                "name": without_surrogates(part.name),
                "args": _args(part.arguments),
            }
            return {"functionCall": call}
        case ToolResult() | Reasoning():
            return None
        case _:
            return media_to_wire(part) or told(part)


def media_to_wire(part: ContentPart) -> Wire | None:
    """The picture, sound or document; None if the API takes none of this kind."""
    match part:
        case Image() | Audio() | File() if part.data is not None:
            if not part.media_type.startswith(_TAKEN) or not part.data:
                return None
            return {"inlineData": {"mimeType": part.media_type, "data": _base64(part.data)}}
        case Image() if part.url:
            return _by_address(part.url, part.media_type, "image/jpeg")
        case File() if part.url or part.file_id:
            return _by_address(part.url or part.file_id or "", part.media_type, "application/pdf")
        case _:
            return None


def result_to_wire(result: ToolResult, name: str, *, nested: bool) -> list[Wire]:
    """The response to a call, and the media that stand beside it where it cannot hold them."""
    texts, media = [], []
    for part in result.content:
        wire = None if isinstance(part, Text) else media_to_wire(part)
        if wire is not None and (not nested or "inlineData" in wire):
            media.append(wire)
        elif wire is not None or not isinstance(part, Text):
            texts.append(told(part)["text"])
        else:
            texts.append(without_surrogates(part.text))
    said = {"error" if result.is_error else "output": "\n".join(texts)}
    response: Wire = {
        "id": without_surrogates(result.call_id),
        "name": without_surrogates(name),
        "response": said,
    }
    if media and nested:
        return [{"functionResponse": {**response, "parts": media}}]
    return [{"functionResponse": response}, *media]


def part_from_wire(wire: Mapping[str, Any]) -> Part:
    """What one part says; its signature apart."""
    if (call := wire.get("functionCall")) is not None:
        return ToolCall(call.get("id") or "", call["name"], _json(call.get("args") or {}))
    if (response := wire.get("functionResponse")) is not None:
        return _result(response)
    return content_from_wire(wire)


def content_from_wire(wire: Mapping[str, Any]) -> ContentPart:
    """What a part without calls says."""
    if (blob := wire.get("inlineData")) is not None:
        kind, data = blob["mimeType"], base64.b64decode(blob["data"])
        if kind.startswith("image/"):
            return Image(kind, data)
        return Audio(kind, data) if kind.startswith("audio/") else File(kind, data)
    if (file := wire.get("fileData")) is not None:
        kind, address = file.get("mimeType") or "", file["fileUri"]
        if kind.startswith("image/"):
            return Image(kind, url=address)
        return File(kind, url=address) if "://" in address else File(kind, file_id=address)
    if "text" in wire:
        return Text(wire["text"])
    return Unknown(next(iter(wire), ""), dict(wire))


def told(part: Part) -> Wire:
    """A text that names what the model is not shown."""
    facts = [part.name if isinstance(part, Unknown) else part.kind]
    if isinstance(part, Image | Audio | File):
        facts.append(part.media_type)
    if isinstance(part, File):
        facts.append(part.name)
    words = " ".join(fact for fact in facts if fact)
    return {"text": without_surrogates(f"[{words}, not shown]")}


def texts_of(parts: Iterable[Part]) -> list[Wire]:
    """The parts of an instruction: it holds texts, what else stands there is named."""
    wires = [(part, part_to_wire(part)) for part in parts]
    return [wire if "text" in wire else told(part) for part, wire in wires if wire is not None]


def _result(response: Mapping[str, Any]) -> ToolResult:
    said = response.get("response") or {}
    is_error = said.keys() == {"error"}
    plain = said.keys() in ({"error"}, {"output"})
    value = next(iter(said.values())) if plain else said
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    media = [content_from_wire(part) for part in response.get("parts") or ()]
    content = (Text(text), *media) if text or not media else tuple(media)
    return ToolResult(response.get("id") or "", content, response["name"], is_error)


def _by_address(address: str, media_type: str, otherwise: str) -> Wire:
    kind = media_type or mimetypes.guess_type(address)[0] or otherwise
    return {"fileData": {"mimeType": kind, "fileUri": without_surrogates(address)}}


def _args(arguments: str) -> Wire:
    try:
        value = json.loads(arguments or "{}", parse_constant=_no_constant)
        whole = json.loads(without_surrogates(json.dumps(value, ensure_ascii=False)))
    except (ValueError, RecursionError):
        return {_INVALID: without_surrogates(arguments)}
    return whole if isinstance(whole, dict) else {_INVALID: without_surrogates(arguments)}


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _json(value: Mapping[str, Any]) -> str:
    if value.keys() == {_INVALID} and isinstance(value[_INVALID], str):
        return str(value[_INVALID])
    return json.dumps(value, ensure_ascii=False)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
