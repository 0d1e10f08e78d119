"""Finds a registered name, or says why it cannot be used and what to do."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

from massgen_core.errors import (
    PluginBroken,
    PluginConflict,
    PluginDisabled,
    PluginError,
    PluginIncompatible,
    PluginNotFound,
)
from massgen_core.plugin._discovery import normalise
from massgen_core.plugin._known import KNOWN, install_command
from massgen_core.plugin._registry import conflict_hint, describe_conflict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from massgen_core.plugin._loader import Plugin
    from massgen_core.plugin._provides import Kind, Provided

_ERRORS: dict[str, type[PluginError]] = {
    "broken": PluginBroken,
    "incompatible": PluginIncompatible,
    "disabled": PluginDisabled,
}


def usable(plugins: Sequence[Plugin]) -> Iterator[Provided]:
    """Every record that can be selected."""
    for plugin in plugins:
        yield from (item for item in plugin.report.provides if item.state == "active")


def refusal(kind: Kind, name: str, plugins: Sequence[Plugin]) -> PluginError:
    """The error for a name that is not usable; its ``__cause__`` is what broke the plugin."""
    for item in _records(plugins):
        if (item.kind, item.name) == (kind, name):
            return conflict(item) if item.state == "conflict" else _switched_off(item)
    for state in _ERRORS:
        for plugin in plugins:
            if plugin.report.state == state and _stands_for(plugin, kind, name):
                return unusable(plugin, kind, name)
    return _not_found(kind, name, plugins)


def unusable(plugin: Plugin, kind: str = "", name: str = "") -> PluginError:
    """The typed error for a plugin that did not load, with its cause chained."""
    report = plugin.report
    what = f"{kind} {name!r} cannot be used: " if name else ""
    dist = f"{report.dist} {report.version}".strip()
    error = _ERRORS[report.state](
        f"{what}{dist} (entry point {report.entry_point!r}) is {report.state}: {report.error}",
        kind=kind,
        name=name,
        dist=report.dist,
        hint=report.hint,
    )
    error.__cause__ = plugin.cause
    return error


def conflict(item: Provided) -> PluginConflict:
    """The typed error for a name several distributions register."""
    return PluginConflict(
        describe_conflict(item),
        kind=item.kind,
        name=item.name,
        dist=item.dist,
        hint=conflict_hint(item),
    )


def _switched_off(item: Provided) -> PluginDisabled:
    return PluginDisabled(
        f"{item.kind} {item.name!r} of {item.dist} is switched off by plugins.deny",
        kind=item.kind,
        name=item.name,
        dist=item.dist,
        hint=f"Take {item.name!r} out of plugins.deny.",
    )


_CALLED: Final[Mapping[str, str]] = {"tools": "source of tools"}
"""What one plugin of a kind is called, where the kind's name is not for one."""
_LIKE: Final = 0.65
"""How like a name must be to be meant: "nope" is not "openai" (0.6), "xia" is "xai" (0.67)."""


def _records(plugins: Sequence[Plugin]) -> Iterator[Provided]:
    for plugin in plugins:
        yield from plugin.report.provides


def _stands_for(plugin: Plugin, kind: Kind, name: str) -> bool:
    """Whether a plugin that could not say what it provides is likely to provide this."""
    report = plugin.report
    if normalise(report.dist) == KNOWN.get((kind, name)):
        return True
    return normalise(report.entry_point) == normalise(name)


def _not_found(kind: Kind, name: str, plugins: Sequence[Plugin]) -> PluginNotFound:
    return PluginNotFound(
        f"no {_CALLED.get(kind, kind)} {name!r} is installed",
        kind=kind,
        name=name,
        dist=KNOWN.get((kind, name), ""),
        hint=" ".join(_advice(kind, name, plugins)),
    )


def _advice(kind: Kind, name: str, plugins: Sequence[Plugin]) -> Iterator[str]:
    names = sorted(item.name for item in usable(plugins) if item.kind == kind)
    if (kind, name) in KNOWN:
        yield f"Install it: {install_command(KNOWN[kind, name])}."
    else:
        yield from _near_misses(kind, name, names)
    elsewhere = sorted({item.kind for item in usable(plugins) if item.name == name})
    if elsewhere:
        yield f"{name!r} is registered as {' and '.join(elsewhere)}."
    yield (
        f"Installed: {', '.join(names)}."
        if names
        else f"No {_CALLED.get(kind, kind)} is installed."
    )
    broken = sorted({p.report.dist for p in plugins if p.report.state == "broken"})
    if broken:
        yield f"Broken, may provide it: {', '.join(broken)} (see mgc plugins doctor)."


def _near_misses(kind: Kind, name: str, names: Sequence[str]) -> Iterator[str]:
    known = {known_name: dist for (of, known_name), dist in KNOWN.items() if of == kind}
    simplified = name.lower().replace("-", "_")
    for close in difflib.get_close_matches(simplified, sorted({*names, *known}), 1, _LIKE):
        missing = f" ({install_command(known[close])})" if close not in names else ""
        yield f"Did you mean {close!r}{missing}?"
