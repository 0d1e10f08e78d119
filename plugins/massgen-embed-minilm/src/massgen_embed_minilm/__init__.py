"""Embeddings inside the process: all-MiniLM-L6-v2 with int8 weights on ONNX Runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from massgen_embed_minilm.embedder import MiniLM
    from massgen_embed_minilm.settings import MiniLMSettings

__all__ = ["MiniLM", "MiniLMSettings"]


def __getattr__(name: str) -> object:
    """Import the embedder only when it is asked for: discovery of plugins must stay cheap."""
    if name == "MiniLM":
        from massgen_embed_minilm.embedder import MiniLM  # noqa: PLC0415 - lazy on purpose

        return MiniLM
    if name == "MiniLMSettings":
        from massgen_embed_minilm.settings import MiniLMSettings  # noqa: PLC0415 - lazy on purpose

        return MiniLMSettings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
