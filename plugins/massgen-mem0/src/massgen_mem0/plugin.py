"""What massgen-core is told about this distribution."""

from massgen_core.plugin import Provides, hookimpl


@hookimpl
def massgen_memory_store() -> Provides:
    """The ``mem0`` memory store."""
    return Provides(
        name="mem0",
        factory="massgen_mem0.store:make",
        settings="massgen_mem0.settings:Settings",
        summary="Searches memories with mem0: verbatim, or as facts that a model extracts.",
        capabilities=frozenset({"durable", "files", "threads", "vectors"}),
    )
