"""The SDK's client of one provider: its address, its key, one pool of connections a loop."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx2
from openai import AsyncAzureOpenAI, AsyncOpenAI, Omit

from massgen_core.errors import Fatal, InvalidSetting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openai import RequestOptions

    from massgen_openai._provider import Provider
    from massgen_openai.settings import OpenAISettings

_CONNECT: Final = 10.0  # seconds until a connection stands
_SILENCE: Final = 3600.0  # seconds without a byte; long, so that timeouts.idle decides
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_AZURE_PATH: Final = "/openai/v1"
_NO_KEY: Final = "no key"  # the SDK wants one; the header is left out


class Clients:
    """Gives the SDK's client, made by the first request of an event loop.

    Args:
        provider: Whose client.
        settings: Address, key and headers.
        environ: Where keys are looked up that are not in the settings.
    """

    def __init__(
        self,
        provider: Provider,
        settings: OpenAISettings,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._provider = provider
        self._settings = settings
        self._environ = environ
        self._client: AsyncOpenAI | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._secrets = tuple(header.get_secret_value() for header in settings.headers.values())
        self.closed = False

    @property
    def address(self) -> str:
        """Where the provider is; empty if nothing says so."""
        given = self._settings.base_url or self._provider.base_url
        if not self._provider.azure:
            return given
        resource = given or self._environ.get("AZURE_OPENAI_ENDPOINT", "")
        return resource.rstrip("/").removesuffix(_AZURE_PATH)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no error may show."""
        return (*self._secrets, self._configured_key() or "")

    @property
    def options(self) -> RequestOptions:
        """What the SDK has to be told with each request: not to miss a key that is not needed."""
        return {} if self._configured_key() else {"headers": {"Authorization": Omit()}}

    def get(self) -> AsyncOpenAI:
        """The client for the running loop.

        Raises:
            InvalidSetting: There is no address, no key, or a key that cannot be sent.
            Fatal: The backend is closed.
        """
        if self.closed:
            raise Fatal(
                f"the backend {self._provider.name!r} is closed", backend=self._provider.name
            )
        if not self.address:
            raise InvalidSetting(
                f"nothing says where {self._provider.title} is",
                path="backend.base_url",
                hint="Set backend.base_url or AZURE_OPENAI_ENDPOINT.",
            )
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._client, self._loop = self._make(self._key()), loop
        return self._client

    async def aclose(self) -> None:
        """Ends the connections; answers that still arrive break off."""
        self.closed = True
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.close()

    def _make(self, key: str | None) -> AsyncOpenAI:
        headers: dict[str, str | Omit] = {
            name: secret.get_secret_value() for name, secret in self._settings.headers.items()
        }
        if self._provider.name != "openai":
            # The SDK puts these in from the environment; they are OpenAI's business alone.
            headers |= {"OpenAI-Organization": Omit(), "OpenAI-Project": Omit()}
        settings = self._settings
        if self._provider.azure and settings.api_version is not None:
            return AsyncAzureOpenAI(
                azure_endpoint=self.address,
                api_version=settings.api_version,
                api_key=key,
                default_headers=headers,  # type: ignore[arg-type]  # Omit is meant for it
                max_retries=0,
                http_client=self._http(),
            )
        path = _AZURE_PATH if self._provider.azure else ""
        return AsyncOpenAI(
            base_url=self.address + path,
            api_key=key or _NO_KEY,
            default_headers=headers,  # type: ignore[arg-type]  # Omit is meant for it
            max_retries=0,
            http_client=self._http(),
        )

    def _http(self) -> httpx2.AsyncClient:
        """A pool without redirects: the key is for this server alone.

        On loopback there is no proxy, and without TLS no certificates need to be loaded (28 ms).
        """
        address = urlsplit(self.address)
        return httpx2.AsyncClient(
            timeout=httpx2.Timeout(_SILENCE, connect=_CONNECT),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=20),
            follow_redirects=False,
            verify=address.scheme == "https",
            trust_env=address.hostname not in _LOOPBACK,
        )

    def _key(self) -> str | None:
        """The key to send; that of a provider goes to no other server unasked."""
        key = self._configured_key()
        variable = self._variable()
        if key is None and variable:
            raise InvalidSetting(
                f"there is no key for {urlsplit(self.address).hostname}: the environment variable "
                f"{variable!r} is not set",
                path="backend.api_key",
                hint=f"Set {variable}, backend.api_key or backend.api_key_env.",
            )
        if key is not None and not (key.isascii() and key.isprintable()):
            raise InvalidSetting(
                "the key holds characters that no header can hold",
                path="backend.api_key",
                hint="Was it pasted with quotes, a line break or a placeholder?",
            )
        return key

    def _configured_key(self) -> str | None:
        if (given := self._settings.api_key) is not None:
            return given.get_secret_value().strip() or None
        return self._environ.get(self._variable(), "").strip() or None

    def _variable(self) -> str:
        """The environment variable to look in; empty if no key is needed."""
        if self._settings.api_key_env:
            return self._settings.api_key_env
        own = self._provider.azure or self._settings.base_url is None
        return self._provider.key_env if own else ""
