"""AutoGen: `TokenLimitedChatCompletionContext`, which removes from the middle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autogen_core import FunctionCall
from autogen_core.model_context import TokenLimitedChatCompletionContext
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from peers.peer import FRAME, Chat, Peer, calls, count, result, run, said

if TYPE_CHECKING:
    from collections.abc import Sequence


class Client(ChatCompletionClient):
    """What the context needs of a model: somebody who counts."""

    def count_tokens(self, messages, *, tools=()):
        return sum(map(_size, messages))

    def remaining_tokens(self, messages, *, tools=()):
        raise NotImplementedError

    async def create(self, *args, **kwargs):
        raise NotImplementedError

    def create_stream(self, *args, **kwargs):
        raise NotImplementedError

    async def close(self):
        pass

    def actual_usage(self):
        raise NotImplementedError

    def total_usage(self):
        raise NotImplementedError

    @property
    def capabilities(self) -> Any:
        return {}

    @property
    def model_info(self) -> Any:
        return {}


def _size(message: LLMMessage) -> int:
    if isinstance(message, FunctionExecutionResultMessage):
        return sum(FRAME + count(r.content) + count(r.call_id) for r in message.content)
    if isinstance(message.content, str):
        return FRAME + count(message.content)
    made = sum(FRAME + count(c.name) + count(c.arguments) for c in message.content)
    return FRAME + count(message.thought or "") + made


def native(messages: Sequence[Chat]) -> list[LLMMessage]:
    return list(map(_native, messages))


def _native(message: Chat) -> LLMMessage:
    text = message["content"] or ""
    match message["role"]:
        case "system":
            return SystemMessage(content=text)
        case "user":
            return UserMessage(content=text, source="user")
        case "tool":
            key = message["tool_call_id"]
            done = FunctionExecutionResult(content=text, call_id=key, name="tool", is_error=False)
            return FunctionExecutionResultMessage(content=[done])
    made = [
        FunctionCall(id=c["id"], name=c["function"]["name"], arguments=c["function"]["arguments"])
        for c in calls(message)
    ]
    if not made:
        return AssistantMessage(content=text, source="agent")
    return AssistantMessage(content=made, thought=text, source="agent")


def chat(message: LLMMessage) -> list[Chat]:
    match message:
        case SystemMessage():
            return [said("system", message.content)]
        case UserMessage():
            return [said("user", str(message.content))]
        case FunctionExecutionResultMessage():
            return [result(r.call_id, r.content) for r in message.content]
    if isinstance(message.content, str):
        return [said("assistant", message.content)]
    made = [(c.id, c.name, c.arguments) for c in message.content]
    return [said("assistant", message.thought or "", made)]


class Context:
    """The context object as an agent uses it."""

    def __init__(self, budget: int, messages: list[LLMMessage]) -> None:
        self._context = TokenLimitedChatCompletionContext(
            Client(), token_limit=budget, initial_messages=messages
        )

    def add(self, message: LLMMessage) -> None:
        run(self._context.add_message(message))

    def fit(self) -> Sequence[LLMMessage]:
        return run(self._context.get_messages())


def trim(messages: list[LLMMessage], budget: int) -> Sequence[LLMMessage]:
    return Context(budget, messages).fit()


PEERS = [
    Peer("AutoGen TokenLimitedChatCompletionContext", "autogen-core", native, trim, chat, Context)
]
