"""Groups: the atomic units that are kept or dropped, so that no call loses its result."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from massgen_core.errors import InvalidMessages
from massgen_core.messages import Message, Text, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DEAD_CALL: Final = "[no result was recorded: the call was interrupted]"


@dataclass(frozen=True, slots=True)
class Group:
    """One user message, one system message, or one assistant message with all its tool results.

    Attributes:
        number: Its place in the conversation, from 0; never changes.
        messages: The messages as the model would see them.
        counts: Tokens of each message, same length as `messages`.
        tokens: Their sum.
        open: Ids of the tool calls that have no result yet, in order.
        changed: Whether the messages differ from what was said (clipped, masked, summarised).
        pinned: Whether one of the messages is pinned.
    """

    number: int
    messages: tuple[Message, ...]
    counts: tuple[int, ...]
    tokens: int
    open: tuple[str, ...] = ()
    changed: bool = False
    pinned: bool = False

    @property
    def role(self) -> str:
        """The role of its first message: ``system``, ``user`` or ``assistant``."""
        return self.messages[0].role

    @property
    def text(self) -> str:
        """All text in it, line by line: what was said, call arguments, results."""
        return "\n".join(_texts(self.messages))

    def with_messages(self, messages: tuple[Message, ...], counts: tuple[int, ...]) -> Group:
        """The same group with other content."""
        return replace(self, messages=messages, counts=counts, tokens=sum(counts), changed=True)

    def answer(self, message: Message, tokens: int) -> Group:
        """The group with the results in `message`; each must answer an open call."""
        unanswered = list(self.open)
        for result in message.results:
            unanswered.remove(result.call_id)
        return Group(
            self.number,
            (*self.messages, message),
            (*self.counts, tokens),
            self.tokens + tokens,
            tuple(unanswered),
            self.changed,
            self.pinned or message.pinned,
        )

    def close(self, count: Callable[[Message], int]) -> Group:
        """The group with an explicit result for each call that never got one."""
        if not self.open:
            return self
        names = {call.id: call.name for call in self.messages[0].calls}
        first = self.messages[0]
        group = self
        for call_id in self.open:
            result = ToolResult(call_id, (Text(DEAD_CALL),), names[call_id], is_error=True)
            message = Message(
                "tool", (result,), f"{first.id}/{call_id}", first.created_at, {"synthetic": True}
            )
            group = group.answer(message, count(message))
        return group


def group_in(
    groups: list[Group], message: Message, tokens: int, count: Callable[[Message], int]
) -> Group:
    """Adds `message` to the end of `groups`, and returns the newest group after that.

    A result joins the newest group. Anything else opens a group, and closes the newest with an
    explicit result for each call that has none.

    Raises:
        InvalidMessages: A result that answers no open call of the newest group.
    """
    last = groups[-1] if groups else None
    if message.role == "tool":
        if last is None or not answers(last, message):
            ids = ", ".join(repr(result.call_id) for result in message.results) or "(empty)"
            raise InvalidMessages(
                f"tool result {ids} answers no open call",
                hint="A tool message must follow the assistant message that holds its call, "
                "once per call.",
            )
        groups[-1] = group = last.answer(message, tokens)
        return group
    if last is not None and last.open:
        groups[-1] = last.close(count)
    calls = tuple([call.id for call in message.calls]) if message.role == "assistant" else ()
    group = Group(len(groups), (message,), (tokens,), tokens, calls, pinned=message.pinned)
    groups.append(group)
    return group


def answers(group: Group, message: Message) -> bool:
    """Whether each result in `message` has an open call in the group."""
    results = message.results
    if len(results) == 1:
        return results[0].call_id in group.open
    unanswered = list(group.open)
    for result in results:
        if result.call_id not in unanswered:
            return False
        unanswered.remove(result.call_id)
    return bool(results)


def handle_of(message_ids: Sequence[str]) -> str:
    """The handle under which these messages can be restored: ``h`` and 10 hexadecimal digits."""
    return "h" + hashlib.sha256("\n".join(message_ids).encode()).hexdigest()[:10]


def _texts(messages: Sequence[Message]) -> list[str]:
    out = []
    for message in messages:
        for part in message.parts:
            if isinstance(part, Text):
                out.append(part.text)
            elif isinstance(part, ToolCall):
                out.append(f"{part.name} {part.arguments}")
            elif isinstance(part, ToolResult):
                out.append(part.text)
    return out
