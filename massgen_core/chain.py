"""The chain of truncation strategies: those that were chosen, else the recommended ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from massgen_core.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel

    from massgen_core.context import TruncationStrategy
    from massgen_core.plugin import PluginContext, PluginHost

    Chosen: TypeAlias = "str | tuple[str, BaseModel | None] | TruncationStrategy"

RECOMMENDED: Final = ("tool_pruning", "digest", "sliding_window")
"""The chain that is used when none is chosen, in order; of it, what is installed."""


def strategy_chain(
    host: PluginHost, ctx: PluginContext, chosen: Sequence[Chosen] | None = None
) -> tuple[TruncationStrategy, ...]:
    """The strategies, ready to be asked in order.

    Args:
        host: Knows what is installed.
        ctx: What the strategies' factories may use.
        chosen: Registered names, names with settings, or strategies; None for the recommended ones
            that are installed.

    Raises:
        InvalidArgument: `chosen` is no list.
        PluginError: A strategy is not installed, or broken.
    """
    if isinstance(chosen, str):
        raise InvalidArgument(
            f"strategies is the text {chosen!r}, expected a list of names",
            hint=f"Pass [{chosen!r}].",
        )
    if chosen is None:
        installed = host.names("strategy")
        chosen = [name for name in RECOMMENDED if name in installed]
    return tuple([_strategy(host, ctx, one) for one in chosen])


def _strategy(host: PluginHost, ctx: PluginContext, one: Chosen) -> TruncationStrategy:
    match one:
        case str():
            return host.create("strategy", one, None, ctx)
        case (str(name), settings):
            return host.create("strategy", name, settings, ctx)
        case _:
            return one
