"""What discovery found about each plugin, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from massgen_core.plugin._provides import Provided

if TYPE_CHECKING:
    from massgen_core.messages import JSONValue

State: TypeAlias = Literal["active", "disabled", "broken", "incompatible", "conflict"]


@dataclass(frozen=True, slots=True)
class PluginReport:
    """One plugin of one distribution: what it is, whether it can be used, and if not, what to do.

    Attributes:
        dist: Name of the distribution.
        version: Its version; empty if unknown.
        entry_point: Name of the entry point; ``builtin`` for the core's own.
        state: ``active``; ``disabled`` by settings (its module was not imported, unless
            ``plugins.prefer`` or a registered name in ``plugins.deny`` decided it); ``broken``;
            ``incompatible`` with this plugin API; ``conflict``: it claims a name that another
            distribution claims, too. In a conflict, its other names still work.
        provides: What it registered.
        error: What is wrong; empty if nothing.
        hint: What to do about it; empty if nothing.
        observes: Whether it receives events.
        builtin: Whether it is part of the core.
    """

    dist: str
    version: str
    entry_point: str
    state: State
    provides: tuple[Provided, ...] = ()
    error: str = ""
    hint: str = ""
    observes: bool = False
    builtin: bool = False

    def to_json(self) -> dict[str, JSONValue]:
        """The report as JSON values, every field present."""
        return {
            "dist": self.dist,
            "version": self.version,
            "entry_point": self.entry_point,
            "state": self.state,
            "builtin": self.builtin,
            "observes": self.observes,
            "provides": [_provided_to_json(item) for item in self.provides],
            "error": self.error,
            "hint": self.hint,
        }


def _provided_to_json(item: Provided) -> JSONValue:
    return {
        "kind": item.kind,
        "name": item.name,
        "state": item.state,
        "rivals": list(item.rivals),
        "summary": item.provides.summary,
        "capabilities": sorted(item.provides.capabilities),
        "factory": item.provides.factory,
        "settings": item.provides.settings,
    }
