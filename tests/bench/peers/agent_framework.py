"""Microsoft Agent Framework: `TruncationStrategy`, compacting to 70 % of the budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_framework import Content, Message, _compaction
from peers.peer import Chat, Peer, calls, count, result, run, said

if TYPE_CHECKING:
    from collections.abc import Sequence

LOW_WATER = 0.7


class Tokenizer:
    def count_tokens(self, text: str) -> int:
        return count(text)


def native(messages: Sequence[Chat]) -> list[Message]:
    return list(map(_native, messages))


def _native(message: Chat) -> Message:
    text = message["content"] or ""
    if message["role"] == "tool":
        done = Content.from_function_result(call_id=message["tool_call_id"], result=text)
        return Message(role="tool", contents=[done])
    made = [
        Content.from_function_call(
            call_id=c["id"], name=c["function"]["name"], arguments=c["function"]["arguments"]
        )
        for c in calls(message)
    ]
    return Message(role=message["role"], contents=[Content.from_text(text), *made])


def chat(message: Message) -> list[Chat]:
    done = [c for c in message.contents if c.type == "function_result"]
    if done:
        return [result(c.call_id, str(c.result)) for c in done]
    made = [(c.call_id, c.name, c.arguments) for c in message.contents if c.type == "function_call"]
    return [said(str(message.role), message.text or "", made)]


class History:
    """Messages are annotated when they are added, and compacted before a request."""

    def __init__(self, budget: int, messages: list[Message]) -> None:
        self._tokenizer = Tokenizer()
        self._strategy = _compaction.TruncationStrategy(
            max_n=budget, compact_to=int(budget * LOW_WATER), tokenizer=self._tokenizer
        )
        self._messages = list(messages)

    def add(self, message: Message) -> None:
        _compaction.append_compaction_message(self._messages, message, tokenizer=self._tokenizer)

    def fit(self) -> Sequence[Message]:
        return run(
            _compaction.apply_compaction(
                self._messages, strategy=self._strategy, tokenizer=self._tokenizer
            )
        )


def trim(messages: list[Message], budget: int) -> Sequence[Message]:
    return History(budget, messages).fit()


PEERS = [
    Peer("Agent Framework TruncationStrategy", "agent-framework-core", native, trim, chat, History)
]
