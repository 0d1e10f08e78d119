"""What providers counted, in their several words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from massgen_core.events import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping


def chat_usage(counted: Mapping[str, Any]) -> Usage:
    """The usage of a chat completion.

    OpenAI counts reasoning as a part of the completion, xAI beside it; the total tells. What was
    read from the cache is `prompt_tokens_details.cached_tokens` or, at DeepSeek,
    `prompt_cache_hit_tokens`, at Moonshot `cached_tokens`; what was written there only OpenRouter
    and newer models of OpenAI say.
    """
    prompt, completion = _number(counted, "prompt_tokens"), _number(counted, "completion_tokens")
    inner = _part(counted, "completion_tokens_details")
    reasoning = _number(inner, "reasoning_tokens") or _number(counted, "reasoning_tokens")
    if reasoning and _number(counted, "total_tokens") == prompt + completion + reasoning:
        completion += reasoning
    details = _part(counted, "prompt_tokens_details")
    cached = (
        _number(details, "cached_tokens")
        or _number(counted, "prompt_cache_hit_tokens")
        or _number(counted, "cached_tokens")
    )
    return _usage(prompt, completion, cached, reasoning, _number(details, "cache_write_tokens"))


def responses_usage(counted: Mapping[str, Any]) -> Usage:
    """The usage of a response."""
    prompt, completion = _number(counted, "input_tokens"), _number(counted, "output_tokens")
    details = _part(counted, "input_tokens_details")
    cached, written = _number(details, "cached_tokens"), _number(details, "cache_write_tokens")
    reasoning = _number(_part(counted, "output_tokens_details"), "reasoning_tokens")
    return _usage(prompt, completion, cached, reasoning, written)


def _usage(prompt: int, completion: int, cached: int, reasoning: int, written: int) -> Usage:
    """The counts, none larger than what it is a part of."""
    cached = min(cached, prompt)
    return Usage(
        prompt,
        completion,
        cached,
        min(reasoning, completion),
        cache_write=min(written, prompt - cached),
    )


def _part(counted: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = counted.get(key)
    return found if isinstance(found, dict) else {}


def _number(counted: Mapping[str, Any], key: str) -> int:
    found = counted.get(key)
    return found if isinstance(found, int) else 0
