"""The entry point: what this distribution provides."""

from massgen_core.plugin import Provides, hookimpl

MASSGEN_PLUGIN_API = 1


@hookimpl
def massgen_tools() -> Provides:
    """The source of tools ``mcp``."""
    return Provides(
        name="mcp",
        factory="massgen_mcp.provider:McpTools",
        settings="massgen_mcp.settings:McpSettings",
        summary="The tools of MCP servers: programs on this machine, or servers over HTTP.",
    )
