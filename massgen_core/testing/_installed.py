"""Plugins as the application gets them: by registered name, from what is installed."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.plugin import PluginContext, PluginHost
from massgen_core.tokens import ModelCatalogue

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from massgen_core.backends import Backend
    from massgen_core.context import TruncationStrategy
    from massgen_core.memory import Embedder, MemoryStore
    from massgen_core.messages import JSONValue
    from massgen_core.plugin import Kind, Provides


def installed_strategy(
    name: str, settings: Mapping[str, JSONValue] | None = None
) -> TruncationStrategy:
    """A new strategy, made by the plugin that is installed under `name`.

    Args:
        name: Its registered name.
        settings: Keys of its section of the settings; defaults if omitted.

    Raises:
        PluginError: It is not installed, or cannot be used.
        SettingsError: The settings are not those of the plugin.

    Examples:
        >>> installed_strategy("sliding_window", {"keep_last_turns": 3}).name
        'sliding_window'
    """
    return _host().create("strategy", name, settings, _context())


def installed_embedder(name: str, settings: Mapping[str, JSONValue] | None = None) -> Embedder:
    """A new embedder, made by the plugin that is installed under `name`.

    Args:
        name: Its registered name.
        settings: Keys of its section of the settings; defaults if omitted.

    Raises:
        PluginError: It is not installed, or cannot be used.
        SettingsError: The settings are not those of the plugin.
    """
    return _host().create("embedder", name, settings, _context())


def installed_memory_store(
    name: str,
    settings: Mapping[str, JSONValue] | None = None,
    *,
    data_dir: Path | None = None,
    embedder: Embedder | None = None,
) -> MemoryStore:
    """A new memory store, made by the plugin that is installed under `name`.

    Args:
        name: Its registered name.
        settings: Keys of its section of the settings; defaults if omitted.
        data_dir: The folder it may keep files in.
        embedder: What its factory is told to embed with.

    Raises:
        PluginError: It is not installed, or cannot be used.
        SettingsError: The settings are not those of the plugin.
    """
    ctx = replace(_context(), data_dir=data_dir, embedder=lambda: embedder)
    return _host().create("memory_store", name, settings, ctx)


def installed_backend(name: str, settings: Mapping[str, JSONValue] | None = None) -> Backend:
    """A new backend, made by the plugin that is installed under `name`.

    Args:
        name: Its registered name.
        settings: Keys of its section of the settings; defaults if omitted.

    Raises:
        PluginError: It is not installed, or cannot be used.
        SettingsError: The settings are not those of the plugin.
    """
    return _host().create("backend", name, settings, _context())


def installed_provides(kind: Kind, name: str) -> Provides:
    """What the plugin declares.

    Raises:
        PluginError: It is not installed, or cannot be used.
    """
    return _host().get(kind, name).provides


@lru_cache(maxsize=1)
def _host() -> PluginHost:
    return PluginHost()


@lru_cache(maxsize=1)
def _context() -> PluginContext:
    return PluginContext(SYSTEM_CLOCK, None, ModelCatalogue.shipped())
