"""Pure functions between the message model and the chat format of small local models.

Chat templates of local models differ: some know no tools, some raise unless user and assistant
alternate after at most one system message. What is sent keeps to the strictest and loses no text:

- leading system messages become one; a later one becomes user text marked ``[instruction]``;
- a tool call becomes assistant text ``[call NAME ARGUMENTS]``, a result user text
  ``[result of NAME]``;
- pictures, sounds and files are named in the text, since the model reads only text;
- neighbours of one role are joined by an empty line;
- the model's control words in any text (``<|im_end|>``) are written with spaces, so that no text
  can pretend to be another speaker; half surrogate pairs become U+FFFD.

Reasoning is left out: it belongs to the provider that signed it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

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

WireMessage: TypeAlias = dict[str, str]

_CONTROL: Final = re.compile(r"<\|([^<>|\s]+)\|>")
_CONTINUED: Final = "[the conversation goes on]"


def to_wire(messages: Sequence[Message]) -> list[WireMessage]:
    """The messages as the model's chat template takes them; never two of one role in a row."""
    names = {call.id: call.name for message in messages for call in message.calls}
    out: list[WireMessage] = []
    for role, text in _turns(messages, names):
        if out and out[-1]["role"] == role:
            out[-1]["content"] += f"\n\n{text}"
        else:
            out.append({"role": role, "content": text})
    first = next((i for i, turn in enumerate(out) if turn["role"] != "system"), None)
    if first is not None and out[first]["role"] == "assistant":
        out.insert(first, {"role": "user", "content": _CONTINUED})
    return out


def _turns(messages: Iterable[Message], names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    leading = True
    for message in messages:
        leading = leading and message.role == "system"
        text = _clean("\n".join(_said(message.parts, names)))
        if not text:
            continue
        if message.role == "system" and not leading:
            yield "user", f"[instruction]\n{text}"
        else:
            yield ("user" if message.role == "tool" else message.role), text


def _said(parts: Iterable[Part], names: Mapping[str, str]) -> Iterator[str]:
    for part in parts:
        match part:
            case Text(text):
                yield text
            case ToolCall(_, name, arguments):
                yield f"[call {name} {arguments}]"
            case ToolResult():
                name = part.name or names.get(part.call_id) or part.call_id
                what = "error of" if part.is_error else "result of"
                yield "\n".join([f"[{what} {name}]", *_said(part.content, names)])
            case Image() | Audio() | File():
                yield _named(part)
            case Unknown(name):
                yield f"[{name}, not shown]"
            case Reasoning():
                pass


def _named(part: Image | Audio | File) -> str:
    facts = [part.kind, part.media_type]
    if isinstance(part, Image) and part.width:
        facts.append(f"{part.width}x{part.height}")
    if isinstance(part, File):
        facts.append(part.name)
    if not isinstance(part, Audio):
        facts.append(part.url or "")
    return f"[{' '.join(fact for fact in facts if fact)}, not shown]"


def _clean(text: str) -> str:
    return _CONTROL.sub(r"<| \1 |>", without_surrogates(text))
