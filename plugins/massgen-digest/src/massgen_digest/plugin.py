"""What massgen-core is told about this distribution."""

from massgen_core.plugin import Provides, hookimpl


@hookimpl
def massgen_strategy() -> Provides:
    """The ``digest`` strategy."""
    return Provides(
        name="digest",
        factory="massgen_digest.strategy:make",
        settings="massgen_digest.settings:Settings",
        capabilities=frozenset({"replaces"}),
        summary="Leaves an extract of what had to leave: user statements, key lines, names.",
    )
