"""Groups: the atomic units that are kept or dropped, so that no call loses its result."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from massgen_core.messages import DEAD_CALL, Message, Text, ToolCall, ToolResult

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Group(NamedTuple):
    """One user message, one system message, or one assistant message with all its tool results.

    A tuple, not a dataclass: one is made for every message, and a tuple is made faster.

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
        return self._replace(messages=messages, counts=counts, tokens=sum(counts), changed=True)

    def answer(self, message: Message, tokens: int) -> Group:
        """The group with the results in `message`.

        Raises:
            ValueError: There is none, or one answers no open call.
        """
        results = message.results
        if not results:
            raise ValueError("a message without a result answers nothing")
        unanswered = list(self.open)
        for result in results:
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


def opened_by(message: Message, tokens: int, number: int) -> Group:
    """The group that a message other than a tool result begins."""
    calls: tuple[str, ...] = ()
    if message.role == "assistant":
        calls = tuple([part.id for part in message.parts if isinstance(part, ToolCall)])
    pinned = message.meta.get("pinned") is True
    values = (number, (message,), (tokens,), tokens, calls, False, pinned)
    return tuple.__new__(Group, values)  # half the time of `Group(…)`


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
