"""Pure functions between the message model and the items of the Responses API.

A message becomes one item or several: its text a ``message``, each call a ``function_call``, each
result a ``function_call_output``, each sealed reasoning a ``reasoning`` item, in the order they
have. Nothing is kept at the provider (``store=False``), so reasoning is sent back sealed, in
``encrypted_content``, and only to the provider that sealed it. Items this module does not model
(a web search) are kept as opaque reasoning and sent back as they came.

No message is dropped: what the API does not take is named in the text, as in
`massgen_openai.chat_wire`; results may hold pictures and files here, sounds go nowhere.
Format: OpenAI API reference, "Create a model response", field ``input``.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from massgen_core.errors import InvalidMessages
from massgen_core.messages import (
    ContentPart,
    File,
    Image,
    Message,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Unknown,
    without_surrogates,
)
from massgen_openai._plain import (
    NOTHING_SAID,
    arguments,
    beside_results,
    call_id,
    is_media,
    joined,
    named,
    result_text,
    results_of,
    told,
)
from massgen_openai.dialect import OPENAI

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from massgen_openai.dialect import Dialect

Item = dict[str, Any]

_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
_DATA_URL: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,", re.ASCII)
_KNOWN: Final = frozenset({"input_image", "input_file", "input_audio"})
_TEXTS: Final = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})


def to_wire(messages: Sequence[Message], dialect: Dialect = OPENAI) -> list[Item]:
    """The messages as items of ``input``.

    Args:
        messages: All of a request, oldest first.
        dialect: How the provider differs from OpenAI.

    Raises:
        InvalidMessages: A tool message holds no result.
    """
    out: list[Item] = []
    shown: list[Part] = []
    for message in messages if dialect.tools else told(messages):
        if message.role == "tool":
            out += [_output(result, dialect) for result in results_of(message)]
            shown += beside_results(message)
            continue
        if shown:
            out.append(_user(shown, dialect))
            shown = []
        match message.role:
            case "assistant":
                out += _assistant(message, dialect)
            case "system":
                text = _all_text(message.parts)
                out.append(_message(dialect.system, [{"type": "input_text", "text": text}]))
            case _:
                out.append(_user(message.parts, dialect))
    return [*out, _user(shown, dialect)] if shown else out


def from_wire(items: Iterable[Mapping[str, Any]], dialect: Dialect = OPENAI) -> list[Message]:
    """The messages that items of ``input`` or ``output`` say.

    What the model said in one step is one message.

    Raises:
        InvalidMessages: An item has no type, or lacks what its type needs.
    """
    out: list[Message] = []
    for index, item in enumerate(items):
        try:
            role, parts = _from_item(item, dialect)
        except (KeyError, TypeError, AttributeError) as exc:
            raise InvalidMessages(
                f"item {index} is no item of the Responses API: {item!r:.200}", index=index
            ) from exc
        if role == "assistant" and out and out[-1].role == "assistant":
            out[-1] = replace(out[-1], parts=(*out[-1].parts, *parts))
        else:
            out.append(Message(role, parts))
    return out


def reasoning_from_item(item: Mapping[str, Any], name: str) -> Reasoning:
    """The reasoning that an output item is, sealed or opaque, to be sent back as it came."""
    opaque = {key: value for key, value in item.items() if key != "encrypted_content"}
    if opaque.get("type") == "reasoning":
        del opaque["type"]
    shown = [*(item.get("summary") or ()), *(item.get("content") or ())]
    texts = [str(one.get("text") or "") for one in shown if isinstance(one, dict)]
    seal = item.get("encrypted_content")
    return Reasoning("\n\n".join(texts), seal if isinstance(seal, str) else "", name, opaque)


def call_from_item(item: Mapping[str, Any]) -> ToolCall:
    """The call that a ``function_call`` item is; one that was cut has no arguments, not none."""
    cut = item.get("status") == "incomplete"
    return ToolCall(item["call_id"], item["name"], item["arguments"] or ("" if cut else "{}"))


def _from_item(item: Mapping[str, Any], dialect: Dialect) -> tuple[Role, tuple[Part, ...]]:
    match item.get("type", "message"):
        case "message":
            return _ROLES[item["role"]], _shown(item["content"])
        case "function_call":
            return "assistant", (call_from_item(item),)
        case "function_call_output":
            return "tool", (ToolResult(item["call_id"], _shown(item["output"])),)
        case _:
            return "assistant", (reasoning_from_item(item, dialect.name),)


def _assistant(message: Message, dialect: Dialect) -> list[Item]:
    phase = ("commentary" if message.calls else "final_answer") if dialect.phases else ""
    out: list[Item] = []
    texts: list[Part] = []
    for part in message.parts:
        if isinstance(part, ToolCall | Reasoning):
            out += [*_spoken(texts, phase), *_beside(part, dialect)]
            texts = []
        else:
            texts.append(part)
    out += _spoken(texts, phase)
    if not any(item["type"] in ("message", "function_call") for item in out):
        out += _spoken([Text(NOTHING_SAID)], phase)
    return out


def _beside(part: ToolCall | Reasoning, dialect: Dialect) -> Iterator[Item]:
    """What stands beside the text of an answer; reasoning of others has no place there."""
    if isinstance(part, ToolCall):
        yield {
            "type": "function_call",
            "call_id": call_id(part.id, dialect),
            "name": part.name,
            "arguments": arguments(part.arguments, dialect),
        }
    elif part.provider == dialect.name and "type" in part.data:
        yield dict(part.data)
    elif part.provider == dialect.name and part.signature:
        yield {"type": "reasoning", **part.data, "encrypted_content": part.signature}


def _spoken(texts: Sequence[Part], phase: str) -> Iterator[Item]:
    if text := _all_text(texts):
        content = [{"type": "output_text", "text": text}]
        label = {"phase": phase} if phase else {}
        yield {"type": "message", "role": "assistant", "content": content, **label}


def _output(result: ToolResult, dialect: Dialect) -> Item:
    output: str | list[Item] = result_text(result)
    media = dialect.media - {"audio"}
    if any(is_media(part, media) for part in result.content):
        mark = [Text("Error:")] if result.is_error else []
        output = [_content(part, dialect) for part in joined([*mark, *result.content])]
    known = call_id(result.call_id, dialect)
    return {"type": "function_call_output", "call_id": known, "output": output}


def _user(parts: Iterable[Part], dialect: Dialect) -> Item:
    return _message("user", [_content(part, dialect) for part in parts])


def _message(role: str, content: list[Item]) -> Item:
    said = [one for one in content if one.get("text") != ""]
    nothing = {"type": "input_text", "text": NOTHING_SAID}
    return {"type": "message", "role": role, "content": said or [nothing]}


def _all_text(parts: Iterable[Part]) -> str:
    lines = [part.text if isinstance(part, Text) else named(part) for part in parts]
    return without_surrogates("\n".join(line for line in lines if line))


def _content(part: Part, dialect: Dialect) -> Item:
    media = dialect.media - {"audio"}
    match part:
        case Text(text):
            return {"type": "input_text", "text": without_surrogates(text)}
        case Image(kind, data, url, detail) if is_media(part, media):
            address = url if data is None else _data_url(kind or "image/png", data)
            return {"type": "input_image", "image_url": address, "detail": detail or "auto"}
        case File() if "file" in media and (is_media(part, media) or part.url):
            return {"type": "input_file", **_file(part)}
        case Unknown(name, fields) if name in _KNOWN:
            return {"type": name, **fields}
        case _:
            return {"type": "input_text", "text": without_surrogates(named(part))}


def _file(part: File) -> dict[str, str]:
    name = {"filename": part.name} if part.name else {}
    if part.data is not None:
        return {**name, "file_data": _data_url(part.media_type or "application/pdf", part.data)}
    if part.file_id:
        return {**name, "file_id": part.file_id}
    return {**name, "file_url": part.url or ""}


def _shown(content: str | Sequence[Mapping[str, Any]]) -> tuple[ContentPart, ...]:
    if isinstance(content, str):
        return (Text(content),)
    return tuple([_part(one) for one in content])


def _part(content: Mapping[str, Any]) -> ContentPart:
    kind = content["type"]
    match content:
        case {"type": kind, "text": str(text)} if kind in _TEXTS:
            return Text(text)
        case {"type": "refusal", "refusal": str(text)}:
            return Text(text)
        case {"type": "input_image", "image_url": str(url)}:
            detail = str(content.get("detail") or "").replace("auto", "")
            if found := _decoded(url):
                return Image(found[0], found[1], detail=detail)
            return Image(url=url, detail=detail)
        case {"type": "input_file"}:
            return _from_file(content)
        case _:
            return Unknown(kind, {key: value for key, value in content.items() if key != "type"})


def _from_file(content: Mapping[str, Any]) -> File:
    name = content.get("filename") or ""
    if found := _decoded(content.get("file_data")):
        return File(found[0], found[1], name=name)
    return File(url=content.get("file_url"), file_id=content.get("file_id"), name=name)


def _data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _decoded(url: object) -> tuple[str, bytes] | None:
    if not isinstance(url, str) or not (match := _DATA_URL.match(url)):
        return None
    try:
        return match[1], base64.b64decode(url[match.end() :], validate=True)
    except (binascii.Error, ValueError):
        return None
