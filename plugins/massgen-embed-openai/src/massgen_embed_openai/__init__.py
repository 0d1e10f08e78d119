"""Embeddings from any server that speaks OpenAI's ``/v1/embeddings``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from massgen_embed_openai.embedder import OpenAIEmbeddings
    from massgen_embed_openai.settings import OpenAIEmbeddingsSettings

__all__ = ["OpenAIEmbeddings", "OpenAIEmbeddingsSettings"]


def __getattr__(name: str) -> object:
    """Import the embedder only when it is asked for: discovery of plugins must stay cheap."""
    if name == "OpenAIEmbeddings":
        from massgen_embed_openai.embedder import OpenAIEmbeddings  # noqa: PLC0415 - lazy

        return OpenAIEmbeddings
    if name == "OpenAIEmbeddingsSettings":
        from massgen_embed_openai.settings import OpenAIEmbeddingsSettings  # noqa: PLC0415 - lazy

        return OpenAIEmbeddingsSettings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
