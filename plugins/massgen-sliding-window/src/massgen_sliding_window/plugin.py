"""What massgen-core is told about this distribution."""

from massgen_core.plugin import Provides, hookimpl


@hookimpl
def massgen_strategy() -> Provides:
    """The ``sliding_window`` strategy."""
    return Provides(
        name="sliding_window",
        factory="massgen_sliding_window.strategy:make",
        settings="massgen_sliding_window.settings:Settings",
        summary="Keeps the newest groups that fit; limits in tokens and turns, pins by pattern.",
    )
