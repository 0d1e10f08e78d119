"""What the requests of three wire formats say, for a mock provider that is as strict as a real one.

`said` reads a request's messages into the engine's own, so that `check_order` can judge them;
`refusal` words a broken rule as the provider does.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from massgen_core.messages import (
    Image,
    Message,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Unknown,
    from_openai,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from massgen_core.messages import OrderProblem, Role, Rules

_UNPAIRED: Final = {"missing-result", "orphan-result", "late-result", "duplicate-result"}
_TEXTS: Final[Mapping[Rules, Mapping[str, str]]] = {
    "openai": {
        "missing-result": "An assistant message with 'tool_calls' must be followed by tool messages"
        " responding to each 'tool_call_id'. {}",
        "orphan-result": "messages with role 'tool' must be a response to a preceeding message with"
        " 'tool_calls'. {}",
        "empty": "Invalid value for 'content': expected a string, got null. {}",
        "nothing-said": "[] is too short - 'messages'",
    },
    "anthropic": {
        "missing-result": "`tool_use` ids were found without `tool_result` blocks immediately"
        " after: {}",
        "orphan-result": "unexpected `tool_use_id` found in `tool_result` blocks: {}",
        "duplicate-result": "each tool_use must have a single result. Found multiple `tool_result`"
        " blocks with id: {}",
        "duplicate-call": "`tool_use` ids must be unique: {}",
        "empty": "all messages must have non-empty content: {}",
        "first-role": 'first message must use the "user" role: {}',
        "last-role": "This model does not support assistant message prefill. The conversation must"
        " end with a user message. {}",
        "reasoning-first": "Expected `thinking` or `redacted_thinking`, but found `text`. {}",
        "nothing-said": "messages: at least one message is required",
    },
    "gemini": {
        "missing-result": "Please ensure that the number of function response parts is equal to"
        " the number of function call parts of the function call turn. {}",
        "orphan-result": "Please ensure that function response turn comes immediately after a"
        " function call turn. {}",
        "empty": "Unable to submit request because it must include at least one parts field. {}",
        "first-role": "Please ensure that function call turn comes immediately after a user turn or"
        " after a function response turn. {}",
        "last-role": "Requests ending with a model turn are not supported. {}",
        "nothing-said": "GenerateContentRequest.contents: contents is not specified",
    },
}


def rules_of(path: str) -> Rules | None:
    """Whose rules a request to this path has to keep; None if it is no conversation."""
    if path.endswith(("/chat/completions", "/responses")):
        return "openai"
    if path.endswith(("/v1/messages", "/messages/count_tokens")):
        return "anthropic"
    method = path.rpartition(":")[2]
    return "gemini" if method in {"generateContent", "streamGenerateContent"} else None


def refusal(rules: Rules, problem: OrderProblem) -> str:
    """The provider's words for a broken rule."""
    texts = _TEXTS[rules]
    usual = texts["orphan-result" if problem.rule in _UNPAIRED else "empty"]
    return texts.get(problem.rule, usual).format(problem.text)


def said(path: str, body: Mapping[str, Any]) -> list[Message]:
    """The messages of a request, without the instructions that stand beside them.

    Raises:
        MassgenError: A message cannot be read.
    """
    if path.endswith("/chat/completions"):
        return [from_openai(one) for one in body.get("messages") or ()]
    if path.endswith("/responses"):
        return list(_of_responses(body.get("input") or ()))
    if rules_of(path) == "anthropic":
        return [m for one in body.get("messages") or () for m in _of_anthropic(one)]
    return list(_of_gemini(body.get("contents") or ()))


def most_of(body: Mapping[str, Any]) -> int | None:
    """Tokens the answer may have."""
    config = body.get("generationConfig") or {}
    names = ("max_completion_tokens", "max_output_tokens", "max_tokens")
    found = [body.get(name) for name in names] + [config.get("maxOutputTokens")]
    return next((int(one) for one in found if one is not None), None)


def _of_responses(items: str | Sequence[Mapping[str, Any]]) -> Iterable[Message]:
    """Items of one answer (reasoning, text, calls) are one message."""
    if isinstance(items, str):
        yield Message("user", (Text(items),))
        return
    answer: list[Part] = []
    for item in items:
        kind = item.get("type", "message")
        if kind == "function_call":
            answer.append(ToolCall(item["call_id"], item["name"], item.get("arguments") or ""))
        elif kind == "reasoning":
            answer.append(Reasoning(provider="openai"))
        elif kind == "message" and item.get("role") == "assistant":
            answer += _blocks(item.get("content"))
        else:
            if answer:
                yield Message("assistant", tuple(answer))
                answer = []
            yield _of_item(item)
    if answer:
        yield Message("assistant", tuple(answer))


def _of_item(item: Mapping[str, Any]) -> Message:
    if item.get("type") == "function_call_output":
        return Message("tool", (ToolResult(item["call_id"], (Text(str(item.get("output"))),)),))
    role: Role = "system" if item.get("role") in {"system", "developer"} else "user"
    return Message(role, tuple(_blocks(item.get("content"))))


def _of_anthropic(message: Mapping[str, Any]) -> Iterable[Message]:
    """A user turn may hold results, then text: they are messages of their own."""
    blocks = _blocks(message.get("content"))
    if message["role"] == "assistant":
        yield Message("assistant", tuple(blocks))
        return
    rest: list[Part] = []
    for block in blocks:
        if isinstance(block, ToolResult):
            if rest:
                yield Message("user", tuple(rest))
                rest = []
            yield Message("tool", (block,))
        else:
            rest.append(block)
    if rest or not blocks:
        yield Message("user", tuple(rest))


def _blocks(content: str | Sequence[Mapping[str, Any]] | None) -> list[Part]:
    if isinstance(content, str):
        return [Text(content)]
    return [_block(one) for one in content or ()]


def _block(block: Mapping[str, Any]) -> Part:
    match block.get("type"):
        case "text" | "input_text" | "output_text":
            return Text(block["text"])
        case "tool_use":
            return ToolCall(block["id"], block["name"], json.dumps(block["input"]))
        case "tool_result":
            content = tuple(_blocks(block.get("content")))
            return ToolResult(block["tool_use_id"], content or (Text(""),))  # type: ignore[arg-type]  # what a result may hold
        case "thinking" | "redacted_thinking":
            return Reasoning(text=block.get("thinking", ""), provider="anthropic")
        case other:
            return Unknown(str(other), {})


def _of_gemini(contents: Sequence[Mapping[str, Any]]) -> Iterable[Message]:
    """Calls have no ids: the n-th response answers the n-th call of the turn before."""
    number, waiting = 0, list[str]()
    for content in contents:
        parts: list[Part] = []
        for part in content.get("parts") or ():
            if call := part.get("functionCall"):
                number += 1
                arguments = json.dumps(call.get("args") or {})
                parts.append(ToolCall(f"call{number}", call["name"], arguments))
            elif response := part.get("functionResponse"):
                call_id = waiting.pop(0) if waiting else "none"
                parts.append(ToolResult(call_id, (Text("done"),), response.get("name", "")))
            elif "text" in part:
                parts.append(Reasoning(part["text"]) if part.get("thought") else Text(part["text"]))
            else:
                parts.append(Image("image/png", b""))
        if content.get("role") == "model":
            waiting = [part.id for part in parts if isinstance(part, ToolCall)]
            yield Message("assistant", tuple(parts))
            continue
        results = [part for part in parts if isinstance(part, ToolResult)]
        rest = [part for part in parts if not isinstance(part, ToolResult)]
        yield from (Message("tool", (one,)) for one in results)
        if rest or not results:
            yield Message("user", tuple(rest))
