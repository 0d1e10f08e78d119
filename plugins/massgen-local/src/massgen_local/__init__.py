"""A language model inside the process: llama.cpp behind a loopback port, as a backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from massgen_local.backend import LocalBackend
    from massgen_local.settings import LocalSettings

__all__ = ["LocalBackend", "LocalSettings"]


def __getattr__(name: str) -> object:
    """Import the backend only when it is asked for: discovery of plugins must stay cheap."""
    if name == "LocalBackend":
        from massgen_local.backend import LocalBackend  # noqa: PLC0415 - lazy on purpose

        return LocalBackend
    if name == "LocalSettings":
        from massgen_local.settings import LocalSettings  # noqa: PLC0415 - lazy on purpose

        return LocalSettings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
