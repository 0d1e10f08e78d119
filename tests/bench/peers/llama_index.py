"""LlamaIndex: `Memory`, its chat history alone. The system prompt is kept apart, and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock, ToolCallBlock
from llama_index.core.memory import Memory
from peers.peer import Chat, Peer, arguments, calls, count, result, run, said, size

if TYPE_CHECKING:
    from collections.abc import Sequence


def native(messages: Sequence[Chat]) -> list[ChatMessage]:
    return list(map(_native, messages))


def _native(message: Chat) -> ChatMessage:
    text = TextBlock(text=message["content"] or "")
    made = [
        ToolCallBlock(
            tool_call_id=c["id"], tool_name=c["function"]["name"], tool_kwargs=arguments(c)
        )
        for c in calls(message)
    ]
    extra = {"tool_call_id": message["tool_call_id"]} if message["role"] == "tool" else {}
    role = MessageRole(message["role"])
    return ChatMessage(role=role, blocks=[text, *made], additional_kwargs=extra)


def chat(message: ChatMessage) -> list[Chat]:
    text = message.content or ""
    if message.role == MessageRole.TOOL:
        return [result(message.additional_kwargs["tool_call_id"], text)]
    made = [
        (block.tool_call_id, block.tool_name, block.tool_kwargs)
        for block in message.blocks
        if isinstance(block, ToolCallBlock)
    ]
    return [said(message.role.value, text, made)]


class History:
    """A memory in SQLite, in the process."""

    def __init__(self, budget: int, messages: list[ChatMessage]) -> None:
        self._system = [one for one in messages if one.role == MessageRole.SYSTEM]
        self._budget = budget
        self._memory: Memory | None = None
        rest = [one for one in messages if one.role != MessageRole.SYSTEM]
        if rest:
            run(self._opened().aput_messages(rest))

    def add(self, message: ChatMessage) -> None:
        if message.role == MessageRole.SYSTEM:
            self._system.append(message)
        else:
            run(self._opened().aput(message))

    def fit(self) -> Sequence[ChatMessage]:
        return [*self._system, *run(self._opened().aget())]

    def _opened(self) -> Memory:
        if self._memory is None:
            room = self._budget - sum(size(one) for m in self._system for one in chat(m))
            self._memory = Memory.from_defaults(
                session_id="session",
                token_limit=max(1, room),
                chat_history_token_ratio=1.0,
                tokenizer_fn=lambda text: range(count(text)),
            )
        return self._memory


def trim(messages: list[ChatMessage], budget: int) -> Sequence[ChatMessage]:
    return History(budget, messages).fit()


PEERS = [Peer("LlamaIndex Memory", "llama-index-core", native, trim, chat, History)]
