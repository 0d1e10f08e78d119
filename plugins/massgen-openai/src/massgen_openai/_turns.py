"""The order of turns that strict providers and chat templates want."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

WireMessage: TypeAlias = dict[str, Any]

CONTINUED: Final = "[the conversation goes on]"
SEEN: Final = "[the results are in]"


def answered(wire: list[WireMessage]) -> list[WireMessage]:
    """The messages with a word of the assistant between a tool's result and a user's message.

    Mistral: "Unexpected role 'user' after role 'tool'".
    """
    out: list[WireMessage] = []
    for message in wire:
        if out and out[-1]["role"] == "tool" and message["role"] not in ("tool", "assistant"):
            out.append({"role": "assistant", "content": SEEN})
        out.append(message)
    return out


def strict(wire: list[WireMessage]) -> list[WireMessage]:
    """The messages, user and assistant in turn, after at most one system message.

    Leading system messages become one; a later one is told by the user as ``[instruction]``.
    """
    out: list[WireMessage] = []
    for given in wire:
        leads = all(one["role"] in ("system", "developer") for one in out)
        message = given
        if given["role"] in ("system", "developer") and not leads:
            message = {"role": "user", "content": f"[instruction]\n{given['content']}"}
        if message["role"] == "assistant" and leads:
            out.append({"role": "user", "content": CONTINUED})
        if out and _joins(out[-1], message):
            out[-1] = _joined(out[-1], message)
        else:
            out.append(message)
    return out


def _joins(before: WireMessage, after: WireMessage) -> bool:
    same = before["role"] == after["role"] and before["role"] != "tool"
    return same and "tool_calls" not in before


def _joined(before: WireMessage, after: WireMessage) -> WireMessage:
    one, other = before["content"], after["content"]
    content: str | list[Any] | None
    if isinstance(one, str) and isinstance(other, str):
        content = f"{one}\n\n{other}"
    else:
        content = [*_list(one), *_list(other)] if one and other else one or other
    return {**before, **after, "content": content}


def _list(content: str | list[Any]) -> list[Any]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
