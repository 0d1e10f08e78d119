"""What can be set under ``tools:`` when its ``name`` is ``mcp``."""

from __future__ import annotations

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator


class McpServer(BaseModel):
    """One MCP server: a program that is started, or an address."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    command: str | None = Field(
        default=None, description="A program to start; it is spoken to over stdin and stdout."
    )
    args: tuple[str, ...] = Field(default=(), description="Arguments of the program.")
    env: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="Variables of the program; of this process's own it gets PATH, HOME and such.",
    )
    cwd: Path | None = Field(default=None, description="The program's working folder.")
    log: Path | None = Field(
        default=None, description="File that the program's stderr goes to; by default nowhere."
    )
    url: str | None = Field(default=None, description="Address of a streamable HTTP server.")
    headers: dict[str, SecretStr] = Field(
        default_factory=dict, description="Headers of each HTTP request, e.g. authorization."
    )
    allow: tuple[str, ...] | None = Field(
        default=None, description="The only tools agents get of it, by the server's names for them."
    )
    prefix: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$",
        description="Put before each tool's name; by default the server's name and an underscore, "
        "and only where two servers' tools share a name.",
    )
    start_timeout: float = Field(
        default=30.0, gt=0, description="Seconds until the server must have said what it can do."
    )
    timeout: float = Field(default=60.0, gt=0, description="Seconds a call may take.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError("a server needs either command or url")
        parts = urlsplit(self.url or "http://x")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("url should be like https://host/mcp")
        if parts.username or parts.password:
            raise ValueError("url should hold no user; use headers")
        return self

    @property
    def host(self) -> str:
        """The name in the address; empty for a program."""
        return urlsplit(self.url or "").hostname or ""


class McpSettings(BaseModel):
    """Settings of the source of tools."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    servers: dict[str, McpServer] = Field(
        default_factory=dict, description="The servers, by names you choose."
    )
    max_result: int = Field(
        default=1_000_000,
        ge=1000,
        description="Characters of a result's text, and bytes of a picture or file in it, that "
        "are kept; of a longer text the middle is left out.",
    )
