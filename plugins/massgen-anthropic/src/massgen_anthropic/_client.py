"""The provider's SDK: one client for each event loop, and a key that nobody sees."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import anthropic
import httpx2

from massgen_anthropic._blocks import PROVIDER
from massgen_core.errors import Fatal, InvalidSetting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from anthropic.types import RawMessageStreamEvent

    from massgen_anthropic.settings import AnthropicSettings

_OFFICIAL: Final = "api.anthropic.com"
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_SILENCE: Final = 3600.0  # seconds without a byte; long, so that timeouts.idle decides
_VARIABLE: Final = "ANTHROPIC_API_KEY"


class Client:
    """Asks the server; made by the first request of an event loop.

    Args:
        settings: The server, and how long to wait for a connection.
        environ: Where keys are looked up that are not in the settings.
    """

    def __init__(self, settings: AnthropicSettings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ
        self._sdk: anthropic.AsyncAnthropic | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._streams: set[anthropic.AsyncStream[RawMessageStreamEvent]] = set()
        self._closed = False

    @asynccontextmanager
    async def stream(
        self, body: dict[str, Any], betas: tuple[str, ...]
    ) -> AsyncIterator[anthropic.AsyncStream[RawMessageStreamEvent]]:
        """The events of one message; leaving the context closes the connection."""
        sdk = self._connected()
        stream = await sdk.messages.create(**body, stream=True, extra_headers=_headers(betas))
        self._streams.add(stream)
        try:
            yield stream
        finally:
            self._streams.discard(stream)
            await stream.close()

    async def count(self, body: dict[str, Any], betas: tuple[str, ...]) -> int:
        """Tokens of the prompt."""
        sdk = self._connected()
        counted = await sdk.messages.count_tokens(**body, extra_headers=_headers(betas))
        tokens = getattr(counted, "input_tokens", None)
        if not isinstance(tokens, int):
            raise ValueError("the count is no number")  # noqa: TRY004 - as of what is no JSON
        return tokens

    async def aclose(self) -> None:
        """Ends the connections; streams that still run fail."""
        self._closed = True
        sdk, self._sdk = self._sdk, None
        if sdk is not None and self._loop is asyncio.get_running_loop():
            for stream in tuple(self._streams):
                await stream.close()
            await sdk.close()

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no error may show."""
        return (self._key(),)

    def _connected(self) -> anthropic.AsyncAnthropic:
        if self._closed:
            raise Fatal("the backend is closed", backend=PROVIDER)
        loop = asyncio.get_running_loop()
        if self._sdk is None or self._loop is not loop:
            self._sdk, self._loop = self._made(), loop
        return self._sdk

    def _made(self) -> anthropic.AsyncAnthropic:
        settings = self._settings
        key = self._key()
        _check(key, settings)
        timeout = httpx2.Timeout(_SILENCE, connect=settings.connect_timeout)
        # A proxy of the environment is for servers elsewhere. Without TLS there is nothing to
        # verify, and loading the certificates takes time. Redirects would take the key elsewhere.
        http = httpx2.AsyncClient(
            timeout=timeout,
            verify=settings.base_url.startswith("https:"),
            trust_env=settings.host not in _LOOPBACK,
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=20),
        )
        return anthropic.AsyncAnthropic(
            api_key=key or "none",  # the SDK demands one
            base_url=settings.base_url,
            max_retries=0,  # the core retries
            timeout=timeout,
            http_client=http,
        )

    def _key(self) -> str:
        """The key to send; that of Anthropic goes to no other server unasked."""
        settings = self._settings
        if settings.api_key is not None:
            return settings.api_key.get_secret_value().strip()
        variable = settings.api_key_env or (_VARIABLE if settings.host == _OFFICIAL else "")
        return self._environ.get(variable, "").strip()


def _check(key: str, settings: AnthropicSettings) -> None:
    if not key and (settings.api_key_env or settings.host == _OFFICIAL):
        variable = settings.api_key_env or _VARIABLE
        raise InvalidSetting(
            f"there is no key for {settings.host}: the environment variable {variable!r} is not "
            "set",
            path="backend.api_key",
            hint=f"Set {variable}, backend.api_key or backend.api_key_env.",
        )
    if not (key.isascii() and key.isprintable()):
        raise InvalidSetting(
            "the key holds characters that no header can hold",
            path="backend.api_key",
            hint="Was it pasted with quotes, a line break or a placeholder?",
        )


def _headers(betas: tuple[str, ...]) -> dict[str, str]:
    return {"anthropic-beta": ",".join(betas)} if betas else {}
