"""The provider's SDK: one client for each event loop, and a key that nobody sees."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING, Final

import httpx2
from google import genai
from google.genai import types

from massgen_core.errors import Fatal, InvalidSetting
from massgen_gemini._parts import PROVIDER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from massgen_gemini._parts import Wire
    from massgen_gemini.settings import GeminiSettings

_OFFICIAL: Final = "generativelanguage.googleapis.com"
_VARIABLES: Final = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_VERSION: Final = "v1beta"  # v1 lags behind in what a request may hold
_SILENCE: Final = 3600.0  # seconds without a byte; long, so that timeouts.idle decides
_TICKET: Final = "x-massgen-stream"  # never sent: it tells whose response one is
_PLACEHOLDER: Final = "."  # the SDK demands contents; the body has the real ones


class Client:
    """Asks the server; made by the first request of an event loop.

    Args:
        settings: The server, and how long to wait for a connection.
        environ: Where keys are looked up that are not in the settings.
    """

    def __init__(self, settings: GeminiSettings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ
        self._sdk: genai.Client | None = None
        self._http: httpx2.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tickets = count()
        self._responses: dict[str, httpx2.Response] = {}
        self._closed = False

    @asynccontextmanager
    async def stream(
        self, model: str, body: Wire
    ) -> AsyncIterator[AsyncIterator[types.GenerateContentResponse]]:
        """The chunks of one answer; leaving the context closes the connection."""
        sdk, ticket = self._connected(), str(next(self._tickets))
        config = types.GenerateContentConfig(
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
            http_options=types.HttpOptions(extra_body=body, headers={_TICKET: ticket}),
        )
        try:
            yield await sdk.aio.models.generate_content_stream(
                model=model, contents=_PLACEHOLDER, config=config
            )
        finally:
            # The SDK leaves it to the garbage collector to close a stream that is not read to its
            # end, some layers of generators deep.
            if (response := self._responses.pop(ticket, None)) is not None:
                await response.aclose()

    async def count(self, model: str, body: Wire) -> int:
        """Tokens of the prompt."""
        name = model if "/" in model else f"models/{model}"
        whole = {"contents": [], "generateContentRequest": {"model": name, **body}}
        config = types.CountTokensConfig(http_options=types.HttpOptions(extra_body=whole))
        sdk = self._connected()
        counted = await sdk.aio.models.count_tokens(
            model=model, contents=_PLACEHOLDER, config=config
        )
        return counted.total_tokens or 0

    async def aclose(self) -> None:
        """Ends the connections; streams that still run fail."""
        self._closed = True
        http, self._http = self._http, None
        self._sdk = None
        if http is not None and self._loop is asyncio.get_running_loop():
            for response in tuple(self._responses.values()):
                await response.aclose()
            await http.aclose()

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no error may show."""
        return (self._key(),)

    def _connected(self) -> genai.Client:
        if self._closed:
            raise Fatal("the backend is closed", backend=PROVIDER)
        loop = asyncio.get_running_loop()
        if self._sdk is None or self._loop is not loop:
            key = self._key()
            _check(key, self._settings)
            self._http = self._made()
            options = types.HttpOptions(
                base_url=self._settings.base_url,
                api_version=_VERSION,
                httpx_async_client=self._http,
            )
            # Without retry options the SDK does not retry: the core does.
            self._sdk = genai.Client(vertexai=False, api_key=key or "none", http_options=options)
            self._loop = loop
        return self._sdk

    def _made(self) -> httpx2.AsyncClient:
        settings = self._settings
        limits = httpx2.Timeout(_SILENCE, connect=settings.connect_timeout).as_dict()

        async def sent(request: httpx2.Request) -> None:
            # The SDK knows only a limit for all of a request, and tells the server of it.
            request.extensions = {**request.extensions, "timeout": limits}
            request.extensions[_TICKET] = request.headers.pop(_TICKET, "")

        async def answered(response: httpx2.Response) -> None:
            if ticket := response.request.extensions[_TICKET]:
                self._responses[ticket] = response

        # A proxy of the environment is for servers elsewhere. Without TLS there is nothing to
        # verify, and loading the certificates takes time. Redirects would take the key elsewhere.
        return httpx2.AsyncClient(
            verify=settings.base_url.startswith("https:"),
            trust_env=settings.host not in _LOOPBACK,
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=20),
            event_hooks={"request": [sent], "response": [answered]},
        )

    def _key(self) -> str:
        """The key to send; that of Google goes to no other server unasked."""
        settings = self._settings
        if settings.api_key is not None:
            return settings.api_key.get_secret_value().strip()
        variables: tuple[str, ...] = (settings.api_key_env,) if settings.api_key_env else ()
        if not variables and settings.host == _OFFICIAL:
            variables = _VARIABLES
        found = [self._environ.get(name, "").strip() for name in variables]
        return next((key for key in found if key), "")


def _check(key: str, settings: GeminiSettings) -> None:
    if not key and (settings.api_key_env or settings.host == _OFFICIAL):
        variable = settings.api_key_env or _VARIABLES[0]
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
