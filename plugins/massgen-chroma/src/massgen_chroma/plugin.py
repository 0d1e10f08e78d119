"""What massgen-core is told about this distribution."""

from massgen_core.plugin import Provides, hookimpl


@hookimpl
def massgen_memory_store() -> Provides:
    """The ``chroma`` memory store."""
    return Provides(
        name="chroma",
        factory="massgen_chroma.store:make",
        settings="massgen_chroma.settings:Settings",
        summary="Searches memories by their vectors with Chroma, in a folder or on a server.",
        capabilities=frozenset({"durable", "files", "threads", "vectors"}),
    )
