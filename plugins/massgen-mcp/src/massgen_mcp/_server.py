"""One server: started when it is first needed, and again after it went away."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import httpx2
from anyio import BrokenResourceError, ClosedResourceError
from mcp import Client, MCPError, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CONNECTION_CLOSED
from pydantic import ValidationError

from massgen_core.backends import scrub, scrubbed
from massgen_core.errors import ToolSourceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from typing import TextIO

    from mcp import Tool
    from mcp.types import CallToolResult

    from massgen_mcp.settings import McpServer

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_MOST_PAGES: Final = 100  # of a list of tools: a server that never ends its list
_AGAIN: Final = "it is started again by the next call"
_SDK_CLOSED: Final = "Connection closed"  # the SDK's words for a pipe that ended
_GONE: Final = (BrokenResourceError, ClosedResourceError, httpx2.HTTPError, OSError)
_LOG: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class _Connection:
    """A connection and the task that owns it: the SDK wants one task to open and to close it."""

    client: Client
    owner: asyncio.Task[None]
    end: asyncio.Event
    loop: asyncio.AbstractEventLoop
    lost: bool = False

    def usable(self) -> bool:
        here = self.loop is asyncio.get_running_loop()
        return here and not self.lost and not self.owner.done()

    async def aclose(self) -> None:
        if self.loop is not asyncio.get_running_loop():
            return  # that loop has ended, and the program with its pipes
        self.end.set()
        await asyncio.wait([self.owner])
        if not self.owner.cancelled() and (failure := self.owner.exception()) is not None:
            # Its words may hold a secret that was sent to the server.
            _LOG.debug("an MCP server ended badly: %s", type(_first(failure)).__name__)


class Server:
    """A connection to a server, made when it is first needed.

    Args:
        name: Its name in the settings.
        settings: How it is reached.
    """

    def __init__(self, name: str, settings: McpServer) -> None:
        self.name = name
        self._settings = settings
        self._connection: _Connection | None = None
        self._locks = WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock]()
        self._closed = False

    async def tools(self) -> list[Tool]:
        """What the server offers.

        Raises:
            ToolSourceError: It cannot be started or reached, or does not answer in time.
        """
        connection = await self._connected()
        found: list[Tool] = []
        cursor: str | None = None
        with self._failures(connection, "tools/list"):
            async with asyncio.timeout(self._settings.start_timeout):
                for _ in range(_MOST_PAGES):
                    page = await connection.client.list_tools(cursor=cursor)
                    found += page.tools
                    cursor = page.next_cursor
                    if not cursor:
                        break
        return found

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> CallToolResult:
        """What a tool answers, a failure of the tool among it.

        Raises:
            ToolSourceError: The server is gone, does not answer in time, or refuses the call.
        """
        connection = await self._connected()
        with self._failures(connection, tool):
            async with asyncio.timeout(self._settings.timeout):
                return await connection.client.call_tool(tool, dict(arguments))

    async def aclose(self) -> None:
        """Ends the connection, and the program if there is one."""
        self._closed = True
        async with self._alone():  # a connection that is being made is ended as well
            await self._drop()

    @contextmanager
    def _failures(self, connection: _Connection, what: str) -> Iterator[None]:
        """Makes typed errors of what the SDK raises; a server that is gone is forgotten."""
        try:
            yield
        except TimeoutError as exc:
            raise self._error(f"did not answer {what!r} in time") from exc
        except ValidationError as exc:
            problem = exc.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, problem["loc"]))
            raise self._error(f"answered {what!r} with {where}: {problem['msg']}") from None
        except MCPError as exc:
            words, gone = scrubbed(exc.message, self._secrets), self._closed_by(exc)
            scrub(exc, self._secrets)  # which may take its code and message
            if not gone:
                raise self._error(f"refused {what!r}: {words}") from exc
            connection.lost = True
            raise self._error(f"went away during {what!r}: {words}; {_AGAIN}") from exc
        except _GONE as exc:
            connection.lost = True
            raise self._error(f"cannot be reached for {what!r}; {_AGAIN}") from exc

    def _closed_by(self, failure: MCPError) -> bool:
        """Whether the SDK made the error itself; servers too use its code, for any failure.

        Over HTTP the SDK's words differ, and to connect once too often costs little there.
        """
        if failure.code != CONNECTION_CLOSED:
            return False
        return self._settings.url is not None or failure.message == _SDK_CLOSED

    async def _connected(self) -> _Connection:
        async with self._alone():
            if self._closed:
                raise self._error("is closed")
            if self._connection is None or not self._connection.usable():
                await self._drop()
                self._connection = await self._connect()
            return self._connection

    def _alone(self) -> asyncio.Lock:
        """Keeps others of this loop from connecting or closing meanwhile."""
        return self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())

    async def _drop(self) -> None:
        found, self._connection = self._connection, None
        if found is not None:
            await found.aclose()

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[Client] = loop.create_future()
        end = asyncio.Event()
        owner = asyncio.create_task(self._own(ready, end), name=f"mcp {self.name}")
        seconds = self._settings.start_timeout
        either: list[asyncio.Future[Any]] = [owner, ready]
        try:
            await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                return _Connection(ready.result(), owner, end, loop)
        except asyncio.CancelledError:
            await _stop(owner)  # even if it is ready by now: nobody will close it
            raise
        await _stop(owner)
        if owner.cancelled() or (failure := owner.exception()) is None:
            raise self._error(f"said nothing within {seconds:g} s of its start")
        cause = _first(failure)
        words = scrubbed(f"{type(cause).__name__}: {cause}", self._secrets)
        scrub(cause, self._secrets)
        raise self._error(f"cannot be started: {words}") from cause

    async def _own(self, ready: asyncio.Future[Client], end: asyncio.Event) -> None:
        async with AsyncExitStack() as stack:
            transport = await self._transport(stack)
            ready.set_result(await stack.enter_async_context(Client(transport, cache=None)))
            await end.wait()

    async def _transport(self, stack: AsyncExitStack) -> Any:
        settings = self._settings
        if settings.url is not None:
            client = await stack.enter_async_context(_http(settings))
            return streamable_http_client(settings.url, http_client=client)
        program = StdioServerParameters(
            command=settings.command or "",
            args=list(settings.args),
            env={name: value.get_secret_value() for name, value in settings.env.items()},
            cwd=settings.cwd,
        )
        return stdio_client(program, errlog=stack.enter_context(_log(settings)))

    def _error(self, what: str) -> ToolSourceError:
        return ToolSourceError(
            f"the MCP server {self.name!r} {what}",
            source=self.name,
            hint=f"Its settings are under tools.servers.{self.name}.",
        )

    @property
    def _secrets(self) -> list[str]:
        """What no error may show."""
        values = (*self._settings.env.values(), *self._settings.headers.values())
        return [value.get_secret_value() for value in values]


@asynccontextmanager
async def _http(settings: McpServer) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
    # A proxy of the environment is for servers elsewhere.
    elsewhere = settings.host not in _LOOPBACK
    timeout = httpx2.Timeout(settings.timeout, connect=settings.start_timeout, read=None)
    async with httpx2.AsyncClient(headers=headers, timeout=timeout, trust_env=elsewhere) as client:
        yield client


@contextmanager
def _log(settings: McpServer) -> Iterator[TextIO]:
    path = settings.log if settings.log is not None else os.devnull
    with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123 - os.devnull is no Path
        yield file


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _first(failure: BaseException) -> BaseException:
    """The error in groups that tasks may have wrapped it in."""
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure
