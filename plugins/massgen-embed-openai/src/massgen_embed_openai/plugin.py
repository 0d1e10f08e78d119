"""The entry point: what this distribution provides."""

from massgen_core.plugin import Provides, hookimpl

MASSGEN_PLUGIN_API = 1


@hookimpl
def massgen_embedder() -> Provides:
    """The embedder ``openai_embeddings``."""
    return Provides(
        name="openai_embeddings",
        factory="massgen_embed_openai.embedder:make",
        settings="massgen_embed_openai.settings:OpenAIEmbeddingsSettings",
        summary="Any server with an OpenAI-compatible /v1/embeddings.",
        capabilities=frozenset({"network"}),
    )
