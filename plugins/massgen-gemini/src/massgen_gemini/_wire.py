"""Pure functions between the message model and the generateContent API.

The API takes ``systemInstruction`` apart, and contents that alternate between user and model:

- leading system messages become the parts of ``systemInstruction``; a later one stays where it was
  said, as user text marked ``[instruction]``;
- neighbours of one side become one content; in a user's, the responses come first, in the order of
  the calls: older models match them by place, newer ones by id;
- a thought signature goes back in the part it came with. A call of the running tool loop that has
  none, because another model made it, gets the stand-in that the API takes for it;
- a message of which nothing is left says so: the API refuses empty ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from massgen_core.messages import Message, Part, Reasoning, Text, ToolCall, ToolResult
from massgen_gemini._parts import (
    ON_CALL,
    ON_TEXT,
    PROVIDER,
    UNSIGNED,
    Wire,
    part_from_wire,
    part_to_wire,
    result_to_wire,
    texts_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from massgen_core.messages import ToolSpec

EMPTY: Final = "[an empty message]"
_SEAL: Final = "thoughtSignature"
_NAMELESS: Final = "unknown"


def to_wire(messages: Sequence[Message], *, model: str = "") -> Wire:
    """``systemInstruction`` and ``contents`` of a request.

    Args:
        messages: All of a request, oldest first.
        model: Who is asked: Gemini 2 checks no signatures, and its responses hold no pictures.
    """
    old = model.startswith("gemini-2")
    head = 0
    while head < len(messages) and messages[head].role == "system":
        head += 1
    system = [part for message in messages[:head] for part in texts_of(message.parts)]
    names = {call.id: call.name for message in messages for call in message.calls}
    contents: list[Wire] = []
    for message in messages[head:]:
        _say(contents, message, _parts(message, names, nested=not old))
    _order_responses(contents)
    if not old:
        _sign(contents)
    return (
        {"systemInstruction": {"parts": system}, "contents": contents}
        if system
        else {"contents": contents}
    )


def from_wire(wire: Mapping[str, Any]) -> tuple[Message, ...]:
    """The messages that a request says; each result is a message of its own."""
    system = (wire.get("systemInstruction") or {}).get("parts", ())
    out = [Message("system", (part_from_wire(part),)) for part in system]
    for content in wire["contents"]:
        said = [part for each in content["parts"] for part in _with_seal(each)]
        if content.get("role") == "model":
            out.append(Message("assistant", tuple(said)))
            continue
        out += [Message("tool", (part,)) for part in said if isinstance(part, ToolResult)]
        if rest := tuple([part for part in said if not isinstance(part, ToolResult)]):
            out.append(Message("user", rest))
    return tuple(out)


def tools_to_wire(tools: Iterable[ToolSpec]) -> list[Wire]:
    """``tools`` of a request."""
    declared = [
        {
            "name": tool.name,
            **({"description": tool.description} if tool.description else {}),
            **({"parametersJsonSchema": dict(tool.parameters)} if tool.parameters else {}),
        }
        for tool in tools
    ]
    return [{"functionDeclarations": declared}]


def _parts(message: Message, names: Mapping[str, str], *, nested: bool) -> list[Wire]:
    if message.role == "system":
        said = texts_of(message.parts)
        return [{"text": f"[instruction]\n{part['text']}"} for part in said]
    out: list[Wire] = []
    seal = ""
    for part in message.parts:
        if isinstance(part, Reasoning):
            out += [_alone(seal)] if seal else []
            seal = part.signature if part.provider == PROVIDER else ""
            if seal and part.data.get("on") != ON_CALL["on"]:
                out.append(_alone(seal))
                seal = ""
        elif isinstance(part, ToolResult):
            name = part.name or names.get(part.call_id) or _NAMELESS
            out += result_to_wire(part, name, nested=nested)
        elif (wire := part_to_wire(part)) is not None:
            signed = bool(seal) and isinstance(part, ToolCall)
            out.append({**wire, _SEAL: seal} if signed else wire)
            seal = "" if signed else seal
    if seal:
        out.append(_alone(seal))
    return out if any(part.keys() != {"text", _SEAL} for part in out) else [{"text": EMPTY}, *out]


def _alone(seal: str) -> Wire:
    """A signature without a call: streams end with it in an empty text."""
    return {"text": "", _SEAL: seal}


def _say(contents: list[Wire], message: Message, parts: list[Wire]) -> None:
    role = "model" if message.role == "assistant" else "user"
    if contents and contents[-1]["role"] == role:
        contents[-1]["parts"] += parts
    elif parts:
        contents.append({"role": role, "parts": parts})


def _order_responses(contents: Sequence[Wire]) -> None:
    calls: dict[str, int] = {}
    for content in contents:
        if content["role"] == "model":
            made = [part["functionCall"]["id"] for part in content["parts"] if _is_call(part)]
            calls = {call_id: place for place, call_id in enumerate(made)}
        else:
            content["parts"].sort(key=lambda part: _place(part, calls))


def _place(part: Wire, calls: Mapping[str, int]) -> int:
    response = part.get("functionResponse")
    return len(calls) + 1 if response is None else calls.get(response["id"], len(calls))


def _sign(contents: Sequence[Wire]) -> None:
    """Gives the first call of each step of the running loop a signature, if it has none."""
    for content in reversed(contents):
        if content["role"] == "user":
            if not any("functionResponse" in part for part in content["parts"]):
                return
            continue
        first = next((part for part in content["parts"] if _is_call(part)), None)
        if first is not None:
            first.setdefault(_SEAL, UNSIGNED)


def _is_call(part: Wire) -> bool:
    return "functionCall" in part


def _with_seal(wire: Mapping[str, Any]) -> list[Part]:
    seal = wire.get(_SEAL) or ""
    part = part_from_wire(wire)
    if not seal or seal == UNSIGNED:
        return [part]
    if isinstance(part, ToolCall):
        return [Reasoning("", seal, PROVIDER, ON_CALL), part]
    alone = Reasoning("", seal, PROVIDER, ON_TEXT)
    return [alone] if part == Text("") else [part, alone]
