"""The plugin host: what a plugin author declares, and what the core makes of it.

A plugin is a distribution with an entry point in the group ``massgen_core.plugins``. The entry
point names a module of hook implementations, and each hook returns `Provides` records:

    # massgen_noop/plugin.py
    from massgen_core.plugin import Provides, hookimpl

    @hookimpl
    def massgen_strategy():
        return Provides(name="noop", factory="massgen_noop.strategy:Noop")

    # pyproject.toml
    [project.entry-points."massgen_core.plugins"]
    noop = "massgen_noop.plugin"

The hooks and a complete example of each are in `massgen_core.plugin.hookspecs`. An application
makes a `PluginHost`; there is no global one.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from massgen_core.plugin._discovery import Candidate
    from massgen_core.plugin._host import PluginHost
    from massgen_core.plugin._markers import hookimpl
    from massgen_core.plugin._provides import (
        ENTRY_POINT_GROUP,
        KINDS,
        PLUGIN_API,
        Kind,
        PluginContext,
        Provided,
        Provides,
    )
    from massgen_core.plugin._report import PluginReport, State

__all__ = [
    "ENTRY_POINT_GROUP",
    "KINDS",
    "PLUGIN_API",
    "Candidate",
    "Kind",
    "PluginContext",
    "PluginHost",
    "PluginReport",
    "Provided",
    "Provides",
    "State",
    "hookimpl",
]

_HOME: Final = {
    "Candidate": "_discovery",
    "PluginHost": "_host",
    "PluginReport": "_report",
    "State": "_report",
    "hookimpl": "_markers",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(f"{__name__}.{_HOME.get(name, '_provides')}")
    value: object = getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
