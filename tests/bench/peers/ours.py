"""The recommended chain, through the same door as everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peers.peer import Chat, Peer

from massgen_core import Conversation, fit

if TYPE_CHECKING:
    from collections.abc import Sequence


class Growing:
    def __init__(self, budget: int, messages: list[Chat]) -> None:
        self._chat = Conversation(budget=budget)  # its low-water mark is 0.6
        self._chat.extend(messages)

    def add(self, message: Chat) -> None:
        self._chat.append(message)

    def fit(self) -> Sequence[Chat]:
        return self._chat.fit().messages


PEERS = [
    Peer(
        title="massgen-core, recommended chain",
        distribution="massgen-core",
        native=list,
        trim=lambda chat, budget: fit(chat, budget=budget).messages,
        chat=lambda message: [message],
        loop=Growing,
    )
]
