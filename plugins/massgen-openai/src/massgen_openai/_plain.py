"""What any OpenAI-like API takes: clean text, short ids, JSON arguments, tools told as text."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from massgen_core.errors import InvalidMessages
from massgen_core.messages import (
    Audio,
    File,
    Image,
    Message,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Unknown,
    without_surrogates,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from massgen_openai.dialect import Dialect, Media

NOTHING_SAID: Final = "[an empty message]"
AUDIO_FORMATS: Final = {
    "audio/mp3": "mp3",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/x-wav": "wav",
    "audio/vnd.wave": "wav",
}
"""What OpenAI calls the kinds of sound it takes."""
# OpenAI: "string too long. Expected a string with maximum length 40" (tool_call_id).
_SAFE_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,40}")
_NINE: Final = re.compile(r"[A-Za-z0-9]{9}")
_LETTERS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def call_id(value: str, dialect: Dialect) -> str:
    """The id of a call as the provider takes it: itself, or always the same other one."""
    if dialect.nine_ids:
        return value if _NINE.fullmatch(value) else _digest(value, 9)
    return value if _SAFE_ID.fullmatch(value) else f"call_{_digest(value, 24)}"


def arguments(text: str, dialect: Dialect) -> str:
    """The arguments of a call: what is no JSON object becomes one, where it must."""
    text = without_surrogates(text) or "{}"
    if not dialect.json_arguments:
        return text
    try:
        if isinstance(json.loads(text), dict):
            return text
    except (ValueError, RecursionError):
        pass
    return json.dumps({"invalid_arguments": text}, ensure_ascii=False)


def results_of(message: Message) -> tuple[ToolResult, ...]:
    """The results of a tool message.

    Raises:
        InvalidMessages: There is none.
    """
    if not message.results:
        raise InvalidMessages(
            "a tool message holds no result", hint="Write one tool message per result."
        )
    return message.results


def beside_results(message: Message) -> list[Part]:
    """What else a tool message holds; it has to be said by the user, after all results."""
    return [part for part in message.parts if not isinstance(part, ToolResult)]


def result_text(result: ToolResult) -> str:
    """The text of a result; what cannot be shown there is named, and an error says it is one."""
    lines = [part.text if isinstance(part, Text) else named(part) for part in result.content]
    text = without_surrogates("\n".join(lines))
    failed = result.is_error and not text.lower().startswith("error")
    return f"Error: {text}" if failed else text


def named(part: Part) -> str:
    """What stands in the text for something that the API or the model cannot be given."""
    facts = [part.name if isinstance(part, Unknown) else part.kind]
    if isinstance(part, Image | Audio | File):
        facts.append(part.media_type)
    if isinstance(part, Image) and part.width:
        facts.append(f"{part.width}x{part.height}")
    if isinstance(part, File):
        facts += [part.name, part.file_id or ""]
    if isinstance(part, Image | File):
        facts.append(part.url or "")
    return f"[{' '.join(fact for fact in facts if fact)}, not shown]"


def is_media(part: Part, allowed: frozenset[Media]) -> bool:
    """Whether the part can be sent as it is: the model takes such, and it has something in it."""
    match part:
        case Image(data=data, url=url):
            return "image" in allowed and (data is not None or bool(url))
        case Audio(media_type=kind, data=data):
            return "audio" in allowed and data is not None and kind in AUDIO_FORMATS
        case File(data=data, file_id=known):
            return "file" in allowed and (data is not None or bool(known))
        case _:
            return False


def joined(parts: Iterable[Part]) -> tuple[Part, ...]:
    """The parts, texts beside each other as one, a line each; blank parts are left out."""
    out: list[Part] = []
    for part in parts:
        if isinstance(part, Text) and out and isinstance(last := out[-1], Text):
            out[-1] = Text(f"{last.text}\n{part.text}")
        elif not isinstance(part, Text) or part.text:
            out.append(part)
    return tuple(out)


def told(messages: Sequence[Message]) -> Iterator[Message]:
    """The messages for a model without tools: calls and results are told as text.

    Reasoning is left out, since it belongs to calls that are none any more.
    """
    names = {call.id: call.name for message in messages for call in message.calls}
    for message in messages:
        if message.role == "tool":
            yield replace(message, role="user", parts=tuple(_told_results(message, names)))
        elif message.calls:
            yield replace(message, parts=tuple(_told_calls(message)))
        else:
            yield message


def _told_calls(message: Message) -> Iterator[Part]:
    for part in message.parts:
        if isinstance(part, ToolCall):
            yield Text(f"[call {part.name} {part.arguments}]")
        elif not isinstance(part, Reasoning):
            yield part


def _told_results(message: Message, names: Mapping[str, str]) -> Iterator[Part]:
    for part in message.parts:
        if isinstance(part, ToolResult):
            name = part.name or names.get(part.call_id) or part.call_id
            yield Text(f"[{'error' if part.is_error else 'result'} of {name}]")
            yield from part.content
        else:
            yield part


def _digest(value: str, length: int) -> str:
    number = int.from_bytes(hashlib.sha256(value.encode("utf-8", "surrogatepass")).digest())
    letters = []
    for _ in range(length):
        number, rest = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[rest])
    return "".join(letters)
