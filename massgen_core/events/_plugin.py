"""What happens to plugins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias


@dataclass(frozen=True, slots=True)
class PluginFailed:
    """A plugin could not be loaded, or failed while it was asked for something.

    Attributes:
        dist: The distribution.
        name: The entry point or the registered name.
        error: What it raised.
    """

    kind: ClassVar[str] = "plugin.failed"
    dist: str
    name: str
    error: str


PluginEvent: TypeAlias = PluginFailed
