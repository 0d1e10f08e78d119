"""Pydantic AI Harness: its sliding window, and its tiers of clearing results and sliding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peers.peer import Chat, Peer, calls, count, replacing, result, run, said
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.test import TestModel
from pydantic_ai_harness.compaction import (
    ClearToolResults,
    SlidingWindowCompaction,
    TieredCompaction,
    compact_now,
)
from pydantic_ai_harness.compaction._shared import exceeds

if TYPE_CHECKING:
    from collections.abc import Sequence

LOW_WATER = 0.7
KEPT_PAIRS = 3
MODEL = TestModel()


def native(messages: Sequence[Chat]) -> list[ModelMessage]:
    return list(map(_native, messages))


def _native(message: Chat) -> ModelMessage:
    text = message["content"] or ""
    match message["role"]:
        case "system":
            return ModelRequest(parts=[SystemPromptPart(text)])
        case "user":
            return ModelRequest(parts=[UserPromptPart(text)])
        case "tool":
            key = message["tool_call_id"]
            return ModelRequest(parts=[ToolReturnPart("tool", text, tool_call_id=key)])
    spoken = [TextPart(text)] if text else []
    made = [
        ToolCallPart(c["function"]["name"], c["function"]["arguments"], tool_call_id=c["id"])
        for c in calls(message)
    ]
    return ModelResponse(parts=[*spoken, *made])


def chat(message: ModelMessage) -> list[Chat]:
    if isinstance(message, ModelResponse):
        text = "".join(part.content for part in message.parts if isinstance(part, TextPart))
        made = [
            (part.tool_call_id, part.tool_name, part.args)
            for part in message.parts
            if isinstance(part, ToolCallPart)
        ]
        return [said("assistant", text, made)]
    return [_of_request(part) for part in message.parts]


def _of_request(part) -> Chat:
    if isinstance(part, ToolReturnPart):
        return result(part.tool_call_id, str(part.content))
    role = "system" if isinstance(part, SystemPromptPart) else "user"
    return said(role, part.content if isinstance(part.content, str) else str(part.content))


def _compacted(compaction, messages: list[ModelMessage], budget: int) -> Sequence[ModelMessage]:
    if not exceeds(messages, None, budget, count):
        return messages
    return run(compact_now(compaction, messages, model=MODEL, tokenizer=count))


def slid(messages: list[ModelMessage], budget: int) -> Sequence[ModelMessage]:
    window = SlidingWindowCompaction(
        max_tokens=budget, keep_tokens=int(budget * LOW_WATER), tokenizer=count
    )
    return _compacted(window, messages, budget)


def tiered(messages: list[ModelMessage], budget: int) -> Sequence[ModelMessage]:
    clear = ClearToolResults(max_tokens=1, keep_pairs=KEPT_PAIRS)
    slide = SlidingWindowCompaction(
        max_tokens=1, keep_tokens=int(budget * LOW_WATER), tokenizer=count
    )
    tiers = TieredCompaction(tiers=[clear, slide], target_tokens=budget, tokenizer=count)
    return _compacted(tiers, messages, budget)


PEERS = [
    Peer(
        "Pydantic AI Harness SlidingWindowCompaction",
        "pydantic-ai-harness",
        native,
        slid,
        chat,
        replacing(slid),
    ),
    Peer(
        "Pydantic AI Harness TieredCompaction (clear, slide)",
        "pydantic-ai-harness",
        native,
        tiered,
        chat,
        replacing(tiered),
    ),
]
