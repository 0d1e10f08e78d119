"""The tools of MCP servers, for agents."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from massgen_mcp.provider import McpTools
    from massgen_mcp.settings import McpServer, McpSettings

__all__ = ["McpServer", "McpSettings", "McpTools"]


def __getattr__(name: str) -> object:
    """Import the SDK only when it is asked for: discovery of plugins must stay cheap."""
    if name == "McpTools":
        from massgen_mcp.provider import McpTools  # noqa: PLC0415 - lazy on purpose

        return McpTools
    if name in {"McpSettings", "McpServer"}:
        from massgen_mcp import settings  # noqa: PLC0415 - lazy on purpose

        return getattr(settings, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
