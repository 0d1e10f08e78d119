"""What providers say when they refuse a request: the knowledge of `classify_text`, as data.

Texts are as providers send them (their documentation, error reports of their users); a pattern is
the part of a text that no other error has. `tests/unit/backends/refusals.json` has whole examples.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Sign(NamedTuple):
    """A wording and who uses it.

    Attributes:
        pattern: Regular expression; case and the kind of quotes do not matter.
        providers: Who says so.
    """

    pattern: str
    providers: str


OVERFLOW_CODES: Final = {
    "context_length_exceeded": "OpenAI, Azure, OpenRouter and compatible servers",
    "context_window_exceeded": "compatible gateways",
    "contextwindowexceedederror": "LiteLLM proxy",
    "exceed_context_size_error": "llama.cpp",
    "input_too_long": "compatible gateways",
    "model_context_window_exceeded": "z.ai",
    "model_max_prompt_tokens_exceeded": "GitHub Copilot",
    "request_too_large": "Anthropic: the body is over 32 MB",
    "3051": "Mistral",
}
QUOTA_CODES: Final = {
    "billing_error": "Anthropic",
    "billing_hard_limit_reached": "OpenAI",
    "insufficient_quota": "OpenAI, Azure",
}
RATE_CODES: Final = {
    "rate_limit_error": "Anthropic",
    "rate_limit_exceeded": "OpenAI, Azure, Groq",
    "throttlingexception": "Bedrock",
    "too_many_requests": "compatible servers",
}

OVERFLOW: Final[Sequence[Sign]] = (
    Sign(r"prompt is too long", "Anthropic, Bedrock, Vertex, Databricks"),
    Sign(r"prompt: length", "Anthropic"),
    Sign(r"exceeds? (your |the )?context\b", "Anthropic, Bedrock, OpenAI Responses"),
    Sign(r"request exceeds the maximum size|(request|payload)( entity)? too large", "Anthropic"),
    Sign(r"request payload size exceeds", "Vertex"),
    Sign(r"input is too long\b", "Bedrock, Replicate"),
    Sign(r"total text bytes", "Bedrock, Databricks"),
    Sign(r"expected maxlength:", "Bedrock"),
    Sign(r"too many input tokens|input tokens exceeded", "Bedrock"),
    Sign(r"input tokens exceed the configured limit", "OpenAI"),
    Sign(r"maximum input length is \d+ tokens|max \d+ tokens per request", "OpenAI embeddings"),
    Sign(r"maximum context length", "OpenAI, Azure, vLLM, OpenRouter, DeepSeek"),
    Sign(r"maximum context limit", "Perplexity"),
    # Ids, names and descriptions have limits too, of at most four digits.
    Sign(r"string too long\. expected a string with maximum length(?! \d{1,4}\b)", "OpenAI, Azure"),
    Sign(r"longer than the model'?s (maximum )?context", "Together, Aleph Alpha"),
    Sign(r"input token count\b.*exceeds the maximum|number of tokens allowed", "Gemini, Vertex"),
    Sign(r"maximum prompt length", "xAI"),
    Sign(r"reduce the length of the (messages|prompt|input)|please reduce the length of", "Groq"),
    Sign(r"maximum allowed input length", "OpenRouter"),
    Sign(r"prompt token count of \d+ exceeds", "GitHub Copilot"),
    Sign(r"exceeds? the available context size", "llama.cpp"),
    Sign(r"input \(\d+ tokens\) is too large to process", "llama.cpp embeddings"),
    Sign(r"greater than the context length", "LM Studio"),
    Sign(r"context window exceeds limit", "MiniMax"),
    Sign(r"exceeded model token limit|input token length too long", "Moonshot"),
    Sign(r"range of input length should be \[", "Qwen"),
    Sign(r"too large for model with \d+ maximum context", "Mistral"),
    Sign(r"exceeded (max )?context length", "Ollama"),
    Sign(r"context length is only \d+|input length\b.*\bexceeds\b.*context length", "vLLM"),
    Sign(r"requested \d+ output tokens and your prompt contains", "vLLM"),
    Sign(r"current length is\b.*\bwhile limit is", "Cerebras"),
    Sign(r"'inputs' tokens \+ 'max_new_tokens' must be", "Text Generation Inference, SageMaker"),
    Sign(r"^length limit exceeded|\binput length limit exceeded", "Hugging Face"),
    Sign(r"instance type with more cpu capacity or memory", "SageMaker"),
    Sign(r"^too many tokens\b|prompt has too many tokens|too many tokens: size limit", "Cohere"),
    Sign(r"input text length should not exceed", "NLP Cloud"),
    Sign(r"context[ _](length|window)[ _]exceeded|context limit exceeded", "compatible servers"),
    Sign(r"(?<!daily )(?<!monthly )token limit exceeded", "compatible servers"),
    Sign(r"^4(00|13)\b.{0,15}\(no body\)", "Cerebras, Mistral"),
)
MALFORMED: Final[Sequence[Sign]] = (
    Sign(r"tool_use'? ids were found without '?tool_result", "Anthropic"),
    Sign(r"each '?tool_use'? (block )?must have a (corresponding|single)", "Anthropic"),
    Sign(r"each '?tool_result'? block must have a corresponding", "Anthropic"),
    Sign(r"multiple '?tool_result'? blocks with id", "Anthropic"),
    Sign(r"unexpected '?tool_use_id'? found in", "Anthropic"),
    Sign(r"tool_use'? ids must be unique", "Anthropic"),
    Sign(r"expected 'thinking' or 'redacted_thinking'", "Anthropic"),
    Sign(
        r"invalid 'signature' in 'thinking'|'thinking'.* blocks.* cannot be modified", "Anthropic"
    ),
    Sign(
        r"messages must have non-?empty content|content blocks must (be|contain) non-", "Anthropic"
    ),
    Sign(r"first message must use the 'user' role", "Anthropic"),
    Sign(
        r"conversation must (start|end) with a user message|message prefill", "Anthropic, Bedrock"
    ),
    Sign(r"exceeds the number of tooluse blocks|expected toolresult blocks", "Bedrock"),
    Sign(r"must be followed by tool messages responding to each 'tool_call_id", "OpenAI, DeepSeek"),
    Sign(r"role '?tool'? must be a response to a prec", "OpenAI, DeepSeek"),
    Sign(r"tool_call_ids did not have response messages", "OpenAI, Qwen"),
    Sign(r"no tool (call|output) found for function call", "OpenAI Responses"),
    Sign(r"without its required following item|required '?reasoning'? item", "OpenAI Responses"),
    Sign(r"invalid value for 'content': expected a string, got null", "OpenAI"),
    Sign(r"function (call|response) turn comes immediately after", "Gemini"),
    Sign(r"number of function response parts (is|should be) equal", "Gemini"),
    Sign(r"turn requests? ends? with a user role|ending with a model turn", "Gemini"),
    Sign(r"roles must alternate", "Mistral, Llama and Gemma templates"),
    Sign(r"not the same number of function calls and responses", "Mistral"),
    Sign(r"unexpected role '\w+' after role|expected last role", "Mistral"),
    Sign(r"has tool role, but there was no previous assistant", "llama.cpp"),
    Sign(r"failed to parse tool call arguments as json", "llama.cpp"),
)
QUOTA: Final[Sequence[Sign]] = (
    Sign(r"\bquota\b", "OpenAI, Gemini, Azure"),
    Sign(r"credit balance is too low", "Anthropic"),
    Sign(r"insufficient (balance|funds|credits?)\b|requires more credits", "DeepSeek, OpenRouter"),
    Sign(r"billing (hard )?limit|monthly token limit", "OpenAI"),
)
RATE: Final[Sequence[Sign]] = (
    Sign(r"rate.?limit|too many requests", "all"),
    Sign(r"throttl|please wait before trying again", "Bedrock"),
    Sign(r"(tokens|requests) per (min|hour|day)|\b[tr]p[md]\b|daily token limit", "OpenAI, Groq"),
    Sign(r"per_?(minute|day)\b.*quota|quota.*per_?(minute|day)|quota.*\bretry in \d", "Gemini"),
)
PASSING: Final[Sequence[Sign]] = (
    Sign(r"service unavailable", "all"),
    Sign(r"overloaded", "Anthropic, OpenAI"),
)
"""Faults of the provider's own, whatever else the text says."""

_N: Final = r"(\d{1,3}(?:[,_.'\u2019\u00a0\u202f ]\d{3})+(?!\d)|\d+)"
LIMITS: Final = (
    rf"tokens? > {_N}",
    rf"\+ {_N} > (?P<n>{_N})",
    rf"context length is only {_N}",
    rf"maximum (?:context|prompt)(?: length| limit| window| size)? (?:is|of) {_N}",
    rf"maximum allowed input length of {_N}",
    rf"number of tokens allowed \({_N}\)",
    rf"(?:context size|context length) \({_N} tokens\)",
    rf"model with {_N} maximum context",
    rf"(?:limit of|limit is|limit:) {_N}(?!\d| (?:bytes|characters))",
    rf"must be <=? ?{_N}",
    rf"range of input length should be \[\d+, ?{_N}\]",
    rf"maximum input length is {_N} tokens",
    rf"max {_N} tokens per request",
    rf"current batch size: {_N}",
)
"""Where the window is named, most certain first. Lengths in characters or bytes are not here."""
USED: Final = (
    rf"{_N} tokens? > ",
    rf"{_N} \+ {_N} > ",
    rf"\(?{_N} (?:tokens )?(?:in|from|of) (?:the |your )?(?:messages|prompt|input|text input)",
    rf"{_N} input tokens",
    rf"(?:request|prompt|input) (?:contains|has|had) (?:about )?{_N} (?:input )?tokens",
    rf"(?:input token count|input|request|prompt) \({_N}(?: tokens)?\)",
    rf"prompt token count of {_N}",
    rf"input length {_N}",
    rf"current length is {_N}",
    rf"messages resulted in {_N} tokens",
    rf"requested:? (?:about )?{_N}",
)
"""Where the prompt's size is named; the last one may count the answer in."""
ANSWERS: Final = (
    rf"\d \+ {_N} > ",
    rf"{_N} (?:tokens )?(?:in|for) the (?:completion|output)",
    rf"{_N} output tokens",
    rf"'max_(?:completion_)?tokens' is too large: {_N}",
)
"""Where the room asked for an answer is named."""
WAITS: Final = (
    r"(?:try again|retry)(?: in| after) (?:(?P<m>\d+) ?m(?:in\w*)? ?)?(?P<s>\d+(?:\.\d+)?) ?s",
    r"(?:try again|retry)(?: in| after) (?P<ms>\d+(?:\.\d+)?) ?ms",
    r"(?:try again|retry)(?: in| after) (?P<m>\d+) ?m(?:in\w*)?\b(?!s)",
)
"""Where the time to wait is named."""


def any_of(signs: Sequence[Sign]) -> re.Pattern[str]:
    """One pattern for all signs."""
    return re.compile(
        "|".join(f"(?:{sign.pattern})" for sign in signs), re.IGNORECASE | re.MULTILINE
    )
