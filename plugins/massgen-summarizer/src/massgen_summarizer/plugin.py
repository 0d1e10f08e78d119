"""What massgen-core is told about this distribution."""

from massgen_core.plugin import Provides, hookimpl


@hookimpl
def massgen_strategy() -> Provides:
    """The ``summarizer`` strategy."""
    return Provides(
        name="summarizer",
        factory="massgen_summarizer.strategy:make",
        settings="massgen_summarizer.settings:Settings",
        capabilities=frozenset({"replaces"}),
        summary="Leaves a structured summary of what had to leave, written by a model.",
    )
