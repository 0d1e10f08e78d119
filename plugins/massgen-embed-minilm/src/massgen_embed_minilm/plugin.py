"""The entry point: what this distribution provides."""

from massgen_core.plugin import Provides, hookimpl

MASSGEN_PLUGIN_API = 1


@hookimpl
def massgen_embedder() -> Provides:
    """The embedder ``minilm``."""
    return Provides(
        name="minilm",
        factory="massgen_embed_minilm.embedder:MiniLM",
        settings="massgen_embed_minilm.settings:MiniLMSettings",
        summary="all-MiniLM-L6-v2 inside the process: 384 dimensions, no network.",
        capabilities=frozenset({"semantic"}),
    )
