"""A real MCP server with tools that succeed, fail, stall and end it.

Usage: mcp_server.py [stdio | http PORT] [NAME]
"""

import asyncio
import os
import sys
from pathlib import Path

from mcp import MCPError
from mcp.server import MCPServer
from mcp.types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

server = MCPServer("test")
calls = []


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@server.tool()
def whoami() -> str:
    """The process, and what it was told."""
    return f"{os.getpid()} {os.environ.get('TOKEN')} {os.environ.get('UNASKED')} {Path.cwd()}"


@server.tool()
def refuse() -> CallToolResult:
    """Fails in its own words."""
    text = TextContent(type="text", text="no such file: a.txt")
    return CallToolResult(content=[text], is_error=True)


@server.tool()
def betray() -> str:
    """Is refused in words that hold a secret."""
    raise MCPError(-32000, f"bad token {os.environ.get('TOKEN')}")


@server.tool()
async def stall() -> str:
    """Takes a minute."""
    await asyncio.sleep(60)
    return "late"


@server.tool()
def leave() -> str:
    """Ends the server."""
    os._exit(3)


@server.tool()
def tell(length: int) -> str:
    """A text."""
    return "a" * (length - 3) + "end"


@server.tool()
def show() -> CallToolResult:
    """One of each kind of content."""
    text = TextResourceContents(uri="file:///a.txt", text="inside")
    blob = BlobResourceContents(uri="file:///b.pdf", mime_type="application/pdf", blob="JVBERg==")
    return CallToolResult(
        content=[
            TextContent(type="text", text="Here"),
            ImageContent(type="image", data="iVBORw==", mime_type="image/png"),
            AudioContent(type="audio", data="UklGRg==", mime_type="audio/wav"),
            ImageContent(type="image", data="A" * 8000, mime_type="image/jpeg"),
            ResourceLink(type="resource_link", name="c", uri="file:///c"),
            EmbeddedResource(type="resource", resource=text),
            EmbeddedResource(type="resource", resource=blob),
        ]
    )


@server.tool(name="odd.name/with space")
def odd() -> str:
    """Has a name that providers do not take."""
    return "odd"


def main(kind="stdio", port="0"):
    if kind == "http":
        server.run("streamable-http", host="127.0.0.1", port=int(port))
    elif kind == "silent":
        sys.stdin.read()
    else:
        server.run("stdio")


if __name__ == "__main__":
    main(*sys.argv[1:])
