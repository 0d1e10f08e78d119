"""What massgen-core is told about this distribution."""

from massgen_core.plugin import Provides, hookimpl


@hookimpl
def massgen_strategy() -> Provides:
    """The ``relevance`` strategy."""
    return Provides(
        name="relevance",
        factory="massgen_relevance.strategy:make",
        settings="massgen_relevance.settings:Settings",
        summary="Brings back what left and matches the current need, within a share of the budget.",
    )
