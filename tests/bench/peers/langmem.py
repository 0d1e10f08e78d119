"""LangMem: `summarize_messages`, with a model that answers one fixed word.

Its history stays whole; a running summary says how far it reaches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableLambda
from langmem.short_term import summarize_messages
from peers.langchain import chat, native, total
from peers.peer import Peer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langmem.short_term import RunningSummary

SUMMARY_TOKENS = 256  # its default


class History:
    def __init__(self, budget: int, messages: list[BaseMessage]) -> None:
        self._budget = budget
        self._messages = list(messages)
        self._summary: RunningSummary | None = None

    def add(self, message: BaseMessage) -> None:
        self._messages.append(message)

    def fit(self) -> Sequence[BaseMessage]:
        done = summarize_messages(
            self._messages,
            running_summary=self._summary,
            model=RunnableLambda(lambda _: AIMessage("SUMMARY")),
            max_tokens=self._budget,
            max_summary_tokens=SUMMARY_TOKENS,
            token_counter=total,
        )
        self._summary = done.running_summary
        return done.messages


def trim(messages: list[BaseMessage], budget: int) -> Sequence[BaseMessage]:
    return History(budget, messages).fit()


PEERS = [Peer("LangMem summarize_messages, no model", "langmem", native, trim, chat, History)]
