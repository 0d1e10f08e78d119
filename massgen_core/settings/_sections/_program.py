"""The sections about the program: its plugins, its log, its file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from massgen_core.settings._sections._section import Section


class PluginsSection(Section):
    """Which installed plugins may take part."""

    allow: tuple[str, ...] = Field(
        default=(),
        description="Distributions whose plugins are used; empty allows all that are installed.",
    )
    deny: tuple[str, ...] = Field(
        default=(),
        description="Distributions whose plugins are never used, even if they are in `allow`.",
    )
    prefer: tuple[str, ...] = Field(
        default=(),
        description="Distributions that win, first one first, where two provide the same name.",
    )
    strict: bool = Field(
        default=False, description="Whether a plugin that fails to load stops the program."
    )


class LogSection(Section):
    """What is logged, and how it looks."""

    level: Literal["debug", "info", "warning", "error", "critical"] = Field(
        default="info", description="Least severe level that is written."
    )
    format: Literal["auto", "human", "json"] = Field(
        default="auto", description="`human` lines, `json` lines, or `auto`: human on a terminal."
    )


class StorageSection(Section):
    """Where sessions are kept."""

    path: Path = Field(
        default=Path(".massgen/massgen.db"),
        description="Database file, or its folder; relative to the folder of `massgen.yaml`.",
    )
    synchronous: Literal["full", "normal"] = Field(
        default="full",
        description=(
            "`full` survives a power cut; `normal` is faster and may lose the last writes in one."
        ),
    )
