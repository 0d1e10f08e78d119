"""The source of tools ``mcp``: what servers offer, as tools of agents."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from massgen_core.agents import Tool
from massgen_core.errors import ToolSourceError
from massgen_core.messages import ToolResult, ToolSpec
from massgen_mcp._results import result_of
from massgen_mcp._server import Server
from massgen_mcp.settings import McpSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    import mcp

    from massgen_core.plugin import PluginContext
    from massgen_mcp.settings import McpServer

_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST: Final = 64  # characters of a name, as providers take it


class McpTools:
    """The tools of MCP servers.

    Servers are started, or reached, when the tools are asked for. One that goes away fails the call
    it was at, and is started again by the next.

    Args:
        settings: The servers.
        ctx: What the core gives to plugins; not needed here.
    """

    def __init__(
        self, settings: McpSettings | None = None, ctx: PluginContext | None = None
    ) -> None:
        del ctx
        self._settings = settings or McpSettings()
        self._servers = {
            name: Server(name, server) for name, server in self._settings.servers.items()
        }

    async def tools(self) -> Sequence[Tool]:
        """The tools of all servers, in the order of the settings.

        Raises:
            ToolSourceError: A server cannot be had, or lacks a tool that ``allow`` names.
        """
        listed = await asyncio.gather(
            *[server.tools() for server in self._servers.values()], return_exceptions=True
        )
        found: list[tuple[str, mcp.Tool]] = []
        for name, tools in zip(self._servers, listed, strict=True):
            if isinstance(tools, BaseException):
                raise tools
            allowed = _allowed(name, self._settings.servers[name], tools)
            found += [(name, tool) for tool in allowed]
        shared = Counter(self._name(server, tool, frozenset()) for server, tool in found)
        twice = frozenset(name for name, times in shared.items() if times > 1)
        names = [self._name(server, tool, twice) for server, tool in found]
        alike = Counter(names)
        return [
            self._tool(server, tool, name if alike[name] == 1 else _apart(name, server, tool))
            for (server, tool), name in zip(found, names, strict=True)
        ]

    async def aclose(self) -> None:
        """End the connections, and the programs that were started."""
        for server in self._servers.values():
            await server.aclose()

    def _tool(self, server: str, tool: mcp.Tool, name: str) -> Tool:
        text = tool.description or tool.title or ""
        spec = ToolSpec(name, text, dict(tool.input_schema))
        return Tool(spec, self._calls(self._servers[server], tool.name))

    def _calls(self, server: Server, tool: str) -> Callable[..., Coroutine[Any, Any, ToolResult]]:
        async def call(**arguments: Any) -> ToolResult:  # pydantic reads the hints when it is run
            return result_of(await server.call(tool, arguments), self._settings.max_result)

        return call

    def _name(self, server: str, tool: mcp.Tool, twice: frozenset[str]) -> str:
        """As providers take it: letters, digits, ``_`` and ``-``, a letter or ``_`` first."""
        prefix = self._settings.servers[server].prefix
        name = _NOT_IN_A_NAME.sub("_", f"{prefix or ''}{tool.name}")
        if prefix is None and name in twice:
            name = _NOT_IN_A_NAME.sub("_", f"{server}_{name}")
        return (name if name[:1].isalpha() or name[:1] == "_" else f"_{name}")[:_LONGEST]


def _apart(name: str, server: str, tool: mcp.Tool) -> str:
    """A name of its own for one that others have after all, always the same."""
    digest = hashlib.sha256(f"{server}\0{tool.name}".encode("utf-8", "backslashreplace"))
    suffix = f"_{digest.hexdigest()[:8]}"
    return name[: _LONGEST - len(suffix)] + suffix


def _allowed(name: str, settings: McpServer, tools: Sequence[mcp.Tool]) -> list[mcp.Tool]:
    if settings.allow is None:
        return list(tools)
    known = {tool.name: tool for tool in tools}
    if missing := [wanted for wanted in settings.allow if wanted not in known]:
        raise ToolSourceError(
            f"the MCP server {name!r} has no tool {missing[0]!r}; it has {', '.join(known)}",
            source=name,
            hint=f"Correct tools.servers.{name}.allow.",
        )
    return [known[wanted] for wanted in settings.allow]
