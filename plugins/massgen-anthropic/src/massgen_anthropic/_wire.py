"""Pure functions between the message model and the Messages API.

The API takes ``system`` apart, and turns that alternate between user and assistant:

- leading system messages become the blocks of ``system``, one each; a later one stays where it was
  said, as user text marked ``[instruction]``: moved to the front it would cost the prompt cache;
- neighbours of one side become one turn; in a user turn all results come first, as the API wants
  the results of parallel calls in the turn right after them;
- thinking is sent back if this provider sealed it, for the model that wrote it, and if the API
  requires it: in the tool loop that still runs. ``keep="all"`` sends it back from all turns;
- a message of which nothing is left says so: the API refuses empty ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from massgen_anthropic._blocks import Block, answer_of, blocks_of, instructions_of, part_of
from massgen_core.messages import Message, Part, Reasoning, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from massgen_core.messages import ToolSpec

Wire: TypeAlias = dict[str, Any]
"""``messages``, and ``system`` if there is any."""

EMPTY: Final = "[an empty message]"


def to_wire(
    messages: Sequence[Message], *, model: str = "", keep: Literal["loop", "all"] = "loop"
) -> Wire:
    """``system`` and ``messages`` of a request.

    Args:
        messages: All of a request, oldest first.
        model: Who is asked; thinking of another model is not sent. All is, if empty.
        keep: Whose thinking is sent back: of the running tool loop, or of all turns.
    """
    head = 0
    while head < len(messages) and messages[head].role == "system":
        head += 1
    system = [block for message in messages[:head] for block in instructions_of(message.parts)]
    loop = 0 if keep == "all" else _loop_start(messages)
    turns: list[Wire] = []
    for index in range(head, len(messages)):
        message = messages[index]
        parts = [part for part in message.parts if _is_sent(part, model, old=index < loop)]
        _say(turns, message, parts)
    return {"system": system, "messages": turns} if system else {"messages": turns}


def from_wire(wire: Mapping[str, Any]) -> tuple[Message, ...]:
    """The messages that a request says; each result is a message of its own."""
    system = wire.get("system") or ()
    blocks = [{"type": "text", "text": system}] if isinstance(system, str) else system
    out = [Message("system", (part_of(block),)) for block in blocks]
    names: dict[str, str] = {}
    for turn in wire["messages"]:
        content = turn["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        parts = [part_of(block) for block in blocks]
        names |= {part.id: part.name for part in parts if isinstance(part, ToolCall)}
        out += _messages(turn["role"], parts, names)
    return tuple(out)


def tools_to_wire(tools: Iterable[ToolSpec]) -> list[Block]:
    """``tools`` of a request."""
    return [
        {
            "name": tool.name,
            **({"description": tool.description} if tool.description else {}),
            "input_schema": {"type": "object", "properties": {}, **tool.parameters},
        }
        for tool in tools
    ]


def _loop_start(messages: Sequence[Message]) -> int:
    """Where the running tool loop begins: behind the last thing the user said."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].role == "user":
            return index
    return 0


def _is_sent(part: Part, model: str, *, old: bool) -> bool:
    if not isinstance(part, Reasoning):
        return True
    writer = part.data.get("model")
    return not old and (not model or writer in {None, model})


def _say(turns: list[Wire], message: Message, parts: list[Part]) -> None:
    role = "assistant" if message.role == "assistant" else "user"
    if message.role == "system":
        said = instructions_of(parts)
        blocks = [{**block, "text": f"[instruction]\n{block['text']}"} for block in said]
    else:
        said = answer_of(parts) if role == "assistant" else blocks_of(parts)
        blocks = said or [{"type": "text", "text": EMPTY}]
    if turns and turns[-1]["role"] == role:
        # a turn begins with its thinking, or with its results
        turns[-1]["content"] = sorted([*turns[-1]["content"], *blocks], key=_comes_later)
    elif blocks:
        turns.append({"role": role, "content": blocks})


def _comes_later(block: Block) -> bool:
    return block["type"] not in {"thinking", "redacted_thinking", "tool_result"}


def _messages(role: str, parts: Sequence[Part], names: Mapping[str, str]) -> list[Message]:
    if role == "assistant":
        return [Message("assistant", tuple(parts))]
    out: list[Message] = []
    said: list[Part] = []
    for part in parts:
        if isinstance(part, ToolResult):
            name = names.get(part.call_id, "")
            result = ToolResult(part.call_id, part.content, name, part.is_error)
            out.append(Message("tool", (result,)))
        else:
            said.append(part)
    return [*out, Message("user", tuple(said))] if said else out
