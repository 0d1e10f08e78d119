"""LangChain: `trim_messages`, and the middleware that summarises or clears tool results.

There is no model: a summary is one fixed word, so what is measured is what stays beside it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain.agents.middleware import (
    ClearToolUsesEdit,
    SummarizationMiddleware,
)
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    trim_messages,
)
from peers.peer import (
    FRAME,
    Chat,
    Peer,
    arguments,
    calls,
    count,
    replacing,
    result,
    said,
    stateless,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

NO_ID = {"type": "tool_call"}
KEPT_RESULTS = 3
KEPT_SHARE = 0.5
"""Of the budget, what stays beside the summary."""


def native(chat: Sequence[Chat]) -> list[BaseMessage]:
    return [_native(message, str(place)) for place, message in enumerate(chat)]


def _native(message: Chat, key: str) -> BaseMessage:
    text = message["content"] or ""
    match message["role"]:
        case "system":
            return SystemMessage(text, id=key)
        case "user":
            return HumanMessage(text, id=key)
        case "tool":
            return ToolMessage(text, tool_call_id=message["tool_call_id"], id=key)
    made = [
        {"id": c["id"], "name": c["function"]["name"], "args": arguments(c)} for c in calls(message)
    ]
    return AIMessage(text, tool_calls=made, id=key)


def chat(message: BaseMessage) -> list[Chat]:
    match message:
        case SystemMessage():
            return [said("system", message.text)]
        case HumanMessage():
            return [said("user", message.text)]
        case ToolMessage():
            return [result(message.tool_call_id, message.text)]
        case AIMessage():
            made = [(c["id"] or "", c["name"], c["args"]) for c in message.tool_calls]
            return [said("assistant", message.text, made)]
    raise TypeError(f"no chat message is a {message.type}")


def total(messages: Any) -> int:
    out = 0
    for message in messages:
        out += FRAME + count(message.text)
        for call in getattr(message, "tool_calls", ()):
            out += FRAME + count(call["name"]) + count(json.dumps(call["args"]))
        if isinstance(message, ToolMessage):
            out += count(message.tool_call_id)
    return out


def trim(messages: list[BaseMessage], budget: int) -> Sequence[BaseMessage]:
    return trim_messages(
        messages,
        max_tokens=budget,
        token_counter=total,
        strategy="last",
        include_system=True,
        start_on="human",
    )


def summarised(messages: list[BaseMessage], budget: int) -> Sequence[BaseMessage]:
    """An agent keeps the system prompt apart; it is counted here."""
    system = [message for message in messages if message.type == "system"]
    spoken = [message for message in messages if message.type != "system"]
    room = max(2, budget - total(system))
    middleware = SummarizationMiddleware(
        model=GenericFakeChatModel(messages=iter([])),
        trigger=("tokens", room),
        keep=("tokens", int(room * KEPT_SHARE)),
        token_counter=total,
        summarizer=lambda _: "SUMMARY",
    )
    changed = middleware.before_model({"messages": spoken}, None)
    if changed is None:
        return messages
    return [*system, *(message for message in changed["messages"] if message.type != "remove")]


def cleared(messages: list[BaseMessage], budget: int) -> Sequence[BaseMessage]:
    """Old tool results are cleared; if that is not enough, the rest is trimmed."""
    messages = list(messages)
    edit = ClearToolUsesEdit(trigger=budget, keep=KEPT_RESULTS)
    edit.apply(messages, count_tokens=total)
    return trim(messages, budget)


PEERS = [
    Peer("LangChain trim_messages", "langchain", native, trim, chat, stateless(trim)),
    Peer(
        "LangChain SummarizationMiddleware, no model",
        "langchain",
        native,
        summarised,
        chat,
        replacing(summarised),
    ),
    Peer(
        "LangChain ClearToolUsesEdit, then trim_messages",
        "langchain",
        native,
        cleared,
        chat,
        stateless(cleared),
    ),
]
