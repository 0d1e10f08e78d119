"""Claude over Anthropic's Messages API, as a backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from massgen_anthropic.backend import AnthropicBackend
    from massgen_anthropic.settings import AnthropicSettings

__all__ = ["AnthropicBackend", "AnthropicSettings"]


def __getattr__(name: str) -> object:
    """Import the backend only when it is asked for: discovery of plugins must stay cheap."""
    if name == "AnthropicBackend":
        from massgen_anthropic.backend import AnthropicBackend  # noqa: PLC0415 - lazy on purpose

        return AnthropicBackend
    if name == "AnthropicSettings":
        from massgen_anthropic.settings import AnthropicSettings  # noqa: PLC0415 - lazy on purpose

        return AnthropicSettings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
