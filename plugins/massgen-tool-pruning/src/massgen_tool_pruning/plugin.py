"""What massgen-core is told about this distribution."""

from massgen_core.plugin import Provides, hookimpl


@hookimpl
def massgen_strategy() -> Provides:
    """The ``tool_pruning`` strategy."""
    return Provides(
        name="tool_pruning",
        factory="massgen_tool_pruning.strategy:make",
        settings="massgen_tool_pruning.settings:Settings",
        summary="Clips old tool results and arguments, so that few messages have to leave.",
    )
