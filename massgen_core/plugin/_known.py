"""Distributions of this project and what they provide, for a plugin that is not installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_core.plugin._provides import Kind

_OPENAI: Final = (
    *("azure_openai", "cerebras", "deepseek", "fireworks", "groq", "lm_studio", "mistral"),
    *("moonshot", "nebius", "ollama", "openai", "openrouter", "poe", "qwen", "sglang", "together"),
    *("vllm", "xai", "zai"),
)
"""The backends of massgen-openai; a test compares them with its rows."""

KNOWN: Final[Mapping[tuple[Kind, str], str]] = {
    ("backend", "anthropic"): "massgen-anthropic",
    ("backend", "gemini"): "massgen-gemini",
    ("backend", "local"): "massgen-local",
    **{("backend", name): "massgen-openai" for name in _OPENAI},
    ("embedder", "minilm"): "massgen-embed-minilm",
    ("embedder", "openai_embeddings"): "massgen-embed-openai",
    ("memory_store", "chroma"): "massgen-chroma",
    ("memory_store", "mem0"): "massgen-mem0",
    ("strategy", "digest"): "massgen-digest",
    ("strategy", "priority"): "massgen-priority",
    ("strategy", "relevance"): "massgen-relevance",
    ("strategy", "sliding_window"): "massgen-sliding-window",
    ("strategy", "summarizer"): "massgen-summarizer",
    ("strategy", "tool_pruning"): "massgen-tool-pruning",
    ("tools", "mcp"): "massgen-mcp",
}


def install_command(dist: str) -> str:
    """The command that installs `dist`."""
    return f"pip install {dist}"
