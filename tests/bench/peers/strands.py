"""Strands: its default conversation manager, and the agent's way out of an overflow.

It counts messages, not tokens. Where a request is too long, the agent lets the manager reduce the
context and asks again; that is done here until the budget is kept. The system prompt is kept apart,
and counted.
"""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from peers.peer import FRAME, Chat, Peer, arguments, calls, count, result, said
from strands.agent.conversation_manager import SlidingWindowConversationManager

if TYPE_CHECKING:
    from collections.abc import Sequence

WINDOW = 40  # messages, its default


def native(messages: Sequence[Chat]) -> list[dict[str, Any]]:
    return list(map(_native, messages))


def _native(message: Chat) -> dict[str, Any]:
    text = message["content"] or ""
    if message["role"] == "tool":
        done = {
            "toolUseId": message["tool_call_id"],
            "status": "success",
            "content": [{"text": text}],
        }
        return {"role": "user", "content": [{"toolResult": done}]}
    spoken = [{"text": text}] if text else []
    made = [
        {"toolUse": {"toolUseId": c["id"], "name": c["function"]["name"], "input": arguments(c)}}
        for c in calls(message)
    ]
    return {"role": message["role"], "content": [*spoken, *made]}


def chat(message: dict[str, Any]) -> list[Chat]:
    blocks = message["content"]
    done = [block["toolResult"] for block in blocks if "toolResult" in block]
    if done:
        return [result(one["toolUseId"], _text(one["content"])) for one in done]
    uses = [block["toolUse"] for block in blocks if "toolUse" in block]
    made = [(use["toolUseId"], use["name"], use["input"]) for use in uses]
    return [said(message["role"], _text(blocks), made)]


def _text(blocks: Sequence[dict[str, Any]]) -> str:
    return "".join(block.get("text", "") for block in blocks)


def _size(message: dict[str, Any]) -> int:
    out = FRAME
    for block in message["content"]:
        if "toolUse" in block:
            use = block["toolUse"]
            out += FRAME + count(use["name"]) + count(json.dumps(use["input"]))
        elif "toolResult" in block:
            out += count(block["toolResult"]["toolUseId"])
            out += count(_text(block["toolResult"]["content"]))
        else:
            out += count(block["text"])
    return out


class Managed:
    """An agent's messages; the manager changes them in place."""

    def __init__(self, budget: int, messages: list[dict[str, Any]]) -> None:
        self._budget = budget
        self._manager = SlidingWindowConversationManager(window_size=WINDOW)
        self._agent = SimpleNamespace(messages=[])
        self._system: list[dict[str, Any]] = []
        for message in messages:
            self.add(message)

    def add(self, message: dict[str, Any]) -> None:
        apart = message["role"] == "system"
        (self._system if apart else self._agent.messages).append(message)

    def fit(self) -> Sequence[dict[str, Any]]:
        self._manager.apply_management(self._agent)
        fixed = sum(map(_size, self._system))
        while fixed + sum(map(_size, self._agent.messages)) > self._budget:
            self._manager.reduce_context(self._agent, e=RuntimeError("too long"))
        return [*self._system, *self._agent.messages]


def trim(messages: list[dict[str, Any]], budget: int) -> Sequence[dict[str, Any]]:
    return Managed(budget, messages).fit()


PEERS = [
    Peer("Strands SlidingWindowConversationManager", "strands-agents", native, trim, chat, Managed)
]
