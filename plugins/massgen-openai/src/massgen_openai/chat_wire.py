"""Pure functions between the message model and the messages of Chat Completions.

No message is dropped. What a provider does not take is sent in another way:

- a picture, sound or file in a tool's result follows in a user's message after the last result of
  the step, since a result holds only text; a system's or an assistant's is named in the text;
- a medium the model does not take is named in the text, as is a part of an unknown kind;
- an error of a tool is a text that begins with ``Error``, since results have no such mark;
- texts beside each other in a message become one, a line each;
- what says nothing says so: ``[an empty message]``;
- reasoning goes back only to the provider that gave it, and only if it wants it.

What else a `massgen_openai.dialect.Dialect` asks for is done there too: names of roles, turns that
alternate, ids, arguments, tools told as text.
Format: OpenAI API reference, "Create chat completion", field ``messages``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from massgen_core.messages import (
    Audio,
    Image,
    Message,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Unknown,
    from_openai,
    to_openai,
    without_surrogates,
)
from massgen_core.messages.openai import META
from massgen_openai._plain import (
    AUDIO_FORMATS,
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
from massgen_openai._turns import answered, strict
from massgen_openai.dialect import OPENAI

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from massgen_openai.dialect import Dialect

WireMessage = dict[str, Any]

REASONING_FIELDS: Final = ("reasoning_content", "reasoning", "reasoning_details")
"""Where providers put reasoning that OpenAI does not show."""
_KNOWN: Final = frozenset({"image_url", "input_audio", "file", "video_url"})
"""Content parts the API has, and that the message model may know as `Unknown`."""


def to_wire(messages: Sequence[Message], dialect: Dialect = OPENAI) -> list[WireMessage]:
    """The messages as the provider takes them.

    Args:
        messages: All of a request, oldest first.
        dialect: How the provider differs from OpenAI.

    Raises:
        InvalidMessages: A tool message holds no result.
    """
    out: list[WireMessage] = []
    shown: list[Part] = []
    for message in messages if dialect.tools else told(messages):
        if message.role == "tool":
            out += [_result(result, dialect, shown) for result in results_of(message)]
            shown += beside_results(message)
            continue
        if shown:
            out.append(_user(Message("user", tuple(shown)), dialect))
            shown = []
        out.append(_said(message, dialect))
    if shown:
        out.append(_user(Message("user", tuple(shown)), dialect))
    if dialect.turns == "strict":
        out = strict(out)
    return out if dialect.turns == "any" else answered(out)


def from_wire(wire: Iterable[Mapping[str, Any]], dialect: Dialect = OPENAI) -> list[Message]:
    """The messages that chat dicts say; reasoning in them is `dialect`'s.

    Raises:
        InvalidMessages: A role is unknown or a field has the wrong type.
    """
    return [_from_wire(data, index, dialect) for index, data in enumerate(wire)]


def reasoning_of(data: Mapping[str, Any], name: str) -> Reasoning | None:
    """The reasoning in a message or a delta, or None."""
    details = data.get("reasoning_details")
    text = data.get("reasoning_content") or data.get("reasoning")
    if isinstance(details, list) and details:
        said = "".join(str(one.get("text") or one.get("summary") or "") for one in details)
        return Reasoning(said, provider=name, data={"reasoning_details": details})
    if isinstance(text, str) and text:
        return Reasoning(text, provider=name)
    return None


def _from_wire(data: Mapping[str, Any], index: int, dialect: Dialect) -> Message:
    plain = {key: value for key, value in data.items() if key not in REASONING_FIELDS}
    message = from_openai(plain, index=index)
    if message.role == "assistant" and (reasoning := reasoning_of(data, dialect.name)):
        return replace(message, parts=(reasoning, *message.parts))
    return message


def _result(result: ToolResult, dialect: Dialect, shown: list[Part]) -> WireMessage:
    """The message of a result; what it shows is put into `shown`."""
    media = [part for part in result.content if is_media(part, dialect.media)]
    if media:
        rest = tuple(part for part in result.content if part not in media)
        pointer = f"[shown below: {len(media)}]"
        result = replace(result, content=(*rest, Text(pointer)))
        shown += [Text(f"[shown by {result.name or result.call_id}]"), *media]
    return {
        "role": "tool",
        "tool_call_id": call_id(result.call_id, dialect),
        "content": result_text(result),
    }


def _said(message: Message, dialect: Dialect) -> WireMessage:
    match message.role:
        case "assistant":
            return _assistant(message, dialect)
        case "system":
            return {"role": dialect.system, "content": _text(message.parts) or NOTHING_SAID}
        case _:
            return _user(message, dialect)


def _user(message: Message, dialect: Dialect) -> WireMessage:
    if len(message.parts) == 1 and isinstance(text := message.parts[0], Text):
        out: WireMessage = {
            "role": "user",
            "content": without_surrogates(text.text) or NOTHING_SAID,
        }
    else:
        parts = joined([_content(part, dialect) for part in message.parts])
        out = to_openai(Message("user", parts or (Text(NOTHING_SAID),)))
    name = _extra(message).get("name")
    return out | {"name": name} if isinstance(name, str) and dialect.name == "openai" else out


def _assistant(message: Message, dialect: Dialect) -> WireMessage:
    calls = [_call(call, dialect) for call in message.calls]
    text = _text(message.parts) or _extra(message).get("refusal") or ""
    out: WireMessage = {"role": "assistant", "content": text or None}
    if calls:
        out["tool_calls"] = calls
    elif not text:
        out["content"] = NOTHING_SAID
    return out | _reasoning(message, dialect)


def _call(call: ToolCall, dialect: Dialect) -> dict[str, Any]:
    function = {"name": call.name, "arguments": arguments(call.arguments, dialect)}
    return {"id": call_id(call.id, dialect), "type": "function", "function": function}


def _reasoning(message: Message, dialect: Dialect) -> dict[str, Any]:
    """The message's reasoning, in the field the provider wants it back in."""
    if not dialect.reasoning:
        return {}
    own = [
        part
        for part in message.parts
        if isinstance(part, Reasoning) and part.provider == dialect.name
    ]
    if dialect.reasoning == "reasoning_details":
        found = [part.data.get("reasoning_details") for part in own]
        details = [one for each in found if isinstance(each, list | tuple) for one in each]
        return {"reasoning_details": details} if details else {}
    text = without_surrogates("".join(part.text for part in own))
    # DeepSeek and Moonshot refuse calls without it, those of other models too.
    return {dialect.reasoning: text} if text or message.calls else {}


def _text(parts: Iterable[Part]) -> str:
    """The text of a message that holds only text; what else is in it is named."""
    silent = (ToolCall, Reasoning)
    lines = [
        part.text if isinstance(part, Text) else named(part)
        for part in parts
        if not isinstance(part, silent)
    ]
    return without_surrogates("\n".join(line for line in lines if line))


def _content(part: Part, dialect: Dialect) -> Part:
    """The part as the content of a user's message can hold it."""
    match part:
        case Text(text):
            return Text(without_surrogates(text))
        case Unknown(name) if name in _KNOWN:
            return part
        case Audio(media_type=kind) if is_media(part, dialect.media):
            return replace(part, media_type=f"audio/{AUDIO_FORMATS[kind]}")
        case Image(media_type="", data=bytes()) if is_media(part, dialect.media):
            return replace(part, media_type="image/png")
        case _ if is_media(part, dialect.media):
            return part
        case _:
            return Text(without_surrogates(named(part)))


def _extra(message: Message) -> Mapping[str, Any]:
    found = message.meta.get(META)
    return found if isinstance(found, dict) else {}
