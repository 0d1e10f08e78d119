"""Transcripts as they lie on disk: OpenAI chat messages, episodes of tau-bench, sessions of pi."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from massgen_core.errors import InvalidMessages
from massgen_core.messages import Message, from_openai

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from massgen_core.tokens import TokenCounter

_FORMATS: Final = (
    "Expected OpenAI chat messages (a JSON array, or JSON lines), a list of episodes with `traj`, "
    "or the JSON lines of a pi session."
)
_PI_SYSTEM: Final = "You are an expert coding assistant. Tools: read, bash, edit, write."
"""Stands for the system prompt, which pi does not write down."""

_ABORTED: Final = "aborted"
"""The result of a call that got none, as harnesses send it."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """A conversation with the sizes of its messages.

    Attributes:
        name: Where it is from.
        messages: What was said, oldest first; every call has its result.
        counts: Tokens of each message.
    """

    name: str
    messages: tuple[Message, ...]
    counts: tuple[int, ...]

    @property
    def tokens(self) -> int:
        """The size of all of it."""
        return sum(self.counts)


def read_transcripts(text: str, counter: TokenCounter, *, name: str) -> tuple[Transcript, ...]:
    """The conversations in the text of a file, in order.

    Args:
        text: JSON or JSON lines.
        counter: Counts the messages.
        name: What to call it; an episode is called by its place as well.

    Raises:
        InvalidMessages: It is in none of the formats, or a message is malformed.
    """
    found = _chats(_values(text, name), name)
    many = len(found) > 1
    return tuple(
        transcript(chat, counter, name=f"{name}#{index}" if many else name)
        for index, chat in enumerate(found)
    )


def transcript(
    chat: Iterable[Mapping[str, Any]], counter: TokenCounter, *, name: str
) -> Transcript:
    """A conversation of OpenAI chat messages; results without a call are left out.

    Raises:
        InvalidMessages: A message is malformed.
    """
    messages = tuple(
        from_openai(message, index=index, message_id=f"m{index}")
        for index, message in enumerate(_paired([_as_object(one, name) for one in chat]))
    )
    return Transcript(name, messages, tuple(counter.count(message).tokens for message in messages))


def _values(text: str, name: str) -> list[Any]:
    """The elements of an array, or of lines."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return list(_lines(text, name))
    except RecursionError as exc:
        raise InvalidMessages(f"{name} is nested too deeply", hint=_FORMATS) from exc
    if isinstance(value, dict):
        value = value.get("messages", [value])
    if not isinstance(value, list) or not value:
        raise InvalidMessages(f"{name} holds no messages", hint=_FORMATS)
    return value


def _lines(text: str, name: str) -> Iterator[Any]:
    for number, line in enumerate(text.split("\n"), 1):  # splitlines() splits in JSON texts
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as exc:
                raise InvalidMessages(f"{name}: line {number} is not JSON", hint=_FORMATS) from exc


def _chats(values: Sequence[Any], name: str) -> list[list[Any]]:
    first = _as_object(values[0], name) if values else {}
    if "role" in first:
        return [list(values)]
    for key in ("traj", "messages"):
        if isinstance(first.get(key), list):
            return [_as_object(value, name).get(key, []) for value in values]
    if "type" in first:
        return [_from_pi([_as_object(value, name) for value in values])]
    raise InvalidMessages(f"{name} is in no format that is known here", hint=_FORMATS)


def _as_object(value: object, name: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise InvalidMessages(f"{name}: {type(value).__name__}, expected an object", hint=_FORMATS)


def _from_pi(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages of a pi session; what the user ran in a shell is a user message."""
    said = [_pi_message(line["message"]) for line in lines if line.get("type") == "message"]
    chat = [message for message in said if message is not None]
    if not chat:
        raise InvalidMessages("a pi session without messages", hint=_FORMATS)
    return [{"role": "system", "content": _PI_SYSTEM}, *chat]


def _pi_message(data: Mapping[str, Any]) -> dict[str, Any] | None:
    match data.get("role"):
        case "user":
            return {"role": "user", "content": _pi_text(data["content"])}
        case "bashExecution":
            command = f"$ {data.get('command')}\n{data.get('output')}"
            return {"role": "user", "content": command}
        case "toolResult":
            content = _pi_text(data["content"])
            return {"role": "tool", "tool_call_id": data["toolCallId"], "content": content}
        case "assistant":
            return _pi_answer(data["content"])
    return None


def _pi_answer(blocks: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    blocks = list(blocks)
    text = "\n".join(block["text"] for block in blocks if block["type"] == "text")
    calls = [
        {
            "id": block["id"],
            "type": "function",
            "function": {"name": block["name"], "arguments": json.dumps(block["arguments"])},
        }
        for block in blocks
        if block["type"] == "toolCall"
    ]
    if not text and not calls:  # it was aborted before it said anything
        return None
    return {"role": "assistant", "content": text, **({"tool_calls": calls} if calls else {})}


def _pi_text(content: str | Iterable[Mapping[str, Any]] | None) -> str:
    if isinstance(content, str):
        return content
    blocks = [block for block in content or () if block.get("type") in ("text", "image")]
    return "\n".join(
        block.get("text", "") if block["type"] == "text" else "[image]" for block in blocks
    )


def _paired(chat: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The messages without results that answer nothing, and with one for each call."""
    called = {call.get("id") for message in chat for call in _calls(message)}
    answered = {message.get("tool_call_id") for message in chat if message.get("role") == "tool"}
    for message in chat:
        if message.get("role") == "tool" and message.get("tool_call_id") not in called:
            continue
        yield message
        for call in _calls(message):
            if call.get("id") not in answered:
                yield {"role": "tool", "tool_call_id": call.get("id"), "content": _ABORTED}


def _calls(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    calls = message.get("tool_calls")
    return [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
