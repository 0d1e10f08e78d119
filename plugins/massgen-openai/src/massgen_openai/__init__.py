"""OpenAI, Azure OpenAI and providers that speak the same API, as backends."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from massgen_openai._provider import Provider
    from massgen_openai.backend import OpenAIBackend
    from massgen_openai.dialect import Dialect
    from massgen_openai.settings import OpenAISettings

__all__ = ["Dialect", "OpenAIBackend", "OpenAISettings", "Provider"]


def __getattr__(name: str) -> object:
    """Import the backend only when it is asked for: discovery of plugins must stay cheap."""
    if name == "OpenAIBackend":
        from massgen_openai.backend import OpenAIBackend  # noqa: PLC0415 - lazy on purpose

        return OpenAIBackend
    if name == "OpenAISettings":
        from massgen_openai.settings import OpenAISettings  # noqa: PLC0415 - lazy on purpose

        return OpenAISettings
    if name == "Dialect":
        from massgen_openai.dialect import Dialect  # noqa: PLC0415 - lazy on purpose

        return Dialect
    if name == "Provider":
        from massgen_openai._provider import Provider  # noqa: PLC0415 - lazy on purpose

        return Provider
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
