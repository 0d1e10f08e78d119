"""LangMem: `summarize_messages`, with a model that answers one fixed word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableLambda
from langmem.short_term import summarize_messages
from peers.langchain import chat, native, total
from peers.peer import Peer, replacing

if TYPE_CHECKING:
    from collections.abc import Sequence

SUMMARY_TOKENS = 256  # its default


def trim(messages: list[BaseMessage], budget: int) -> Sequence[BaseMessage]:
    return summarize_messages(
        messages,
        running_summary=None,
        model=RunnableLambda(lambda _: AIMessage("SUMMARY")),
        max_tokens=budget,
        max_summary_tokens=SUMMARY_TOKENS,
        token_counter=total,
    ).messages


PEERS = [
    Peer("LangMem summarize_messages, no model", "langmem", native, trim, chat, replacing(trim))
]
