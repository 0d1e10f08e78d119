"""LiteLLM: `trim_messages`, with the counter it has for gpt-4o."""

from __future__ import annotations

from typing import TYPE_CHECKING

import litellm
from peers.peer import Chat, Peer, stateless

if TYPE_CHECKING:
    from collections.abc import Sequence

MODEL = "gpt-4o"
litellm.suppress_debug_info = True


def native(chat: Sequence[Chat]) -> list[Chat]:
    return [dict(message) for message in chat]


def trim(messages: list[Chat], budget: int) -> Sequence[Chat]:
    return litellm.utils.trim_messages(messages, model=MODEL, max_tokens=budget)


PEERS = [
    Peer(
        "LiteLLM trim_messages", "litellm", native, trim, lambda message: [message], stateless(trim)
    )
]
