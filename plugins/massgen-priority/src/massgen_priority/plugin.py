"""What massgen-core is told about this distribution."""

from massgen_core.plugin import Provides, hookimpl


@hookimpl
def massgen_strategy() -> Provides:
    """The ``priority`` strategy."""
    return Provides(
        name="priority",
        factory="massgen_priority.strategy:make",
        settings="massgen_priority.settings:Settings",
        summary="Lowest priority leaves first, by message, author or role; a share for peers.",
    )
