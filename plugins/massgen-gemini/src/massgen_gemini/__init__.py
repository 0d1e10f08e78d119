"""Gemini over the generateContent API, as a backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from massgen_gemini.backend import GeminiBackend
    from massgen_gemini.settings import GeminiSettings

__all__ = ["GeminiBackend", "GeminiSettings"]


def __getattr__(name: str) -> object:
    """Import the backend only when it is asked for: discovery of plugins must stay cheap."""
    if name == "GeminiBackend":
        from massgen_gemini.backend import GeminiBackend  # noqa: PLC0415 - lazy on purpose

        return GeminiBackend
    if name == "GeminiSettings":
        from massgen_gemini.settings import GeminiSettings  # noqa: PLC0415 - lazy on purpose

        return GeminiSettings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
