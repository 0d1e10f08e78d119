"""The backend of OpenAI, Azure OpenAI and every provider that speaks their API."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

import httpx2
import openai
from openai import AsyncStream

from massgen_core.backends import Caps, read_rest
from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.errors import InvalidRequest, Transient
from massgen_core.tokens import ModelCatalogue
from massgen_openai._body import Asked
from massgen_openai._chat_reader import ChatReader
from massgen_openai._client import Clients
from massgen_openai._errors import ProviderError, classified
from massgen_openai._responses_reader import ResponsesReader
from massgen_openai.providers import provider as row_of
from massgen_openai.settings import OpenAISettings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from massgen_core.backends import Request
    from massgen_core.errors import BackendError
    from massgen_core.events import BackendEvent
    from massgen_core.plugin import PluginContext
    from massgen_openai._provider import Api, Provider

_PATHS: Final[Mapping[Api, str]] = {"chat": "/chat/completions", "responses": "/responses"}
_NOT_UNDERSTOOD: Final = (AttributeError, IndexError, KeyError, TypeError)
_JSON: Final = "application/json"
_FAILURES: Final = (openai.OpenAIError, httpx2.HTTPError, httpx2.StreamError)


class OpenAIBackend:
    """Models of one provider.

    Chunks are taken from the SDK as they are in JSON, not as its objects: providers differ from
    OpenAI's schema in small ways, and making objects costs more than all that is done here.

    Args:
        settings: Address, key and options.
        ctx: The catalogue of models and the time; those of the package if omitted.
        provider: The row of the provider; OpenAI if omitted.
        environ: Where keys are looked up that are not in the settings.
    """

    def __init__(
        self,
        settings: OpenAISettings | None = None,
        ctx: PluginContext | None = None,
        *,
        provider: Provider | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._provider = provider or row_of("openai")
        self._settings = settings or OpenAISettings()
        self._models = ctx.models if ctx else ModelCatalogue.shipped()
        self._clock = ctx.clock if ctx else SYSTEM_CLOCK
        self._clients = Clients(self._provider, self._settings, environ)

    @property
    def name(self) -> str:
        """The registered name."""
        return self._provider.name

    async def stream(self, request: Request, /) -> AsyncGenerator[BackendEvent, None]:
        """The answer as it arrives; see `massgen_core.backends.Backend.stream`."""
        caps = await self.caps(request.model)
        body = self._asked(request, caps).body()
        client = self._clients.get()
        reader = self._reader(request, caps)
        try:
            chunks: AsyncStream[Any] = await client.post(
                _PATHS[self.api],
                body=body,
                options=self._clients.options,
                cast_to=object,
                stream=True,
                stream_cls=AsyncStream[object],
            )
            async with chunks:
                await self._check_streams(chunks.response)
                async for chunk in chunks:
                    for event in self._read(reader, chunk):
                        yield event
                    if reader.ended:
                        break
                await read_rest(chunks, *_FAILURES)
            for event in self._end(reader):
                yield event
        except (*_FAILURES, ProviderError, RuntimeError, ValueError) as exc:
            raise self.classify(exc) from exc

    async def caps(self, model: str, /) -> Caps:
        """What the catalogue says of the model.

        Raises:
            UnknownModel: It is not in the catalogue, nor under ``models`` in the settings.
        """
        info = self._models.get(model)
        named = self._provider.model_reasons(model)
        return Caps(
            window=info.window,
            max_output=info.max_output,
            tools=info.tools,
            images=info.images and "image" in self._provider.dialect.media,
            reasoning=named if info.reasoning is None else info.reasoning,
        )

    def classify(self, error: BaseException, /) -> BackendError:
        """The typed error of any exception."""
        clients = self._clients
        if clients.closed and isinstance(error, RuntimeError | openai.OpenAIError | OSError):
            return Transient("the backend was closed while the answer arrived", backend=self.name)
        now = self._clock.now()
        return classified(error, self._provider, now=now, secrets=clients.secrets)

    async def aclose(self) -> None:
        """End all connections; a stream that still runs ends with `Transient`."""
        await self._clients.aclose()

    @property
    def api(self) -> Api:
        """Which of the two APIs is used.

        The provider's own choice is for its own address: other servers are asked by the chat API.
        """
        if self._settings.api is not None:
            return self._settings.api
        elsewhere = self._settings.base_url is not None and not self._provider.azure
        return "chat" if elsewhere else self._provider.api

    def _asked(self, request: Request, caps: Caps) -> Asked:
        if not request.messages:
            raise InvalidRequest("a request needs at least one message", backend=self.name)
        if request.tools and not caps.tools:
            names = ", ".join(tool.name for tool in request.tools)
            raise InvalidRequest(
                f"{request.model!r} cannot be given tools (asked for: {names})",
                backend=self.name,
                hint="Run the agent without tools, or choose a model that calls tools.",
            )
        return Asked(self._provider, self._settings, self.api, request, caps)

    def _reader(self, request: Request, caps: Caps) -> ChatReader | ResponsesReader:
        if self.api == "responses":
            return ResponsesReader(self.name, most=request.max_output, window=caps.window)
        return ChatReader(self.name, think_tags=self._provider.think_tags)

    async def _check_streams(self, response: httpx2.Response) -> None:
        """Raise if the server sends one JSON text: an error, or an answer that is no stream."""
        whole = "content-length" in response.headers
        if not whole or not response.headers.get("content-type", "").startswith(_JSON):
            return
        found = json.loads(await response.aread())
        error = found.get("error") if isinstance(found, dict) else None
        if error:
            raise ProviderError(error if isinstance(error, dict) else {"message": str(error)})
        raise InvalidRequest(
            f"{self._provider.title} answered in one piece, and a stream was asked for",
            backend=self.name,
            hint="Check backend.base_url: the server there has to stream.",
        )

    def _read(self, reader: ChatReader | ResponsesReader, chunk: Any) -> list[BackendEvent]:
        try:
            return reader.feed(chunk)
        except _NOT_UNDERSTOOD as exc:
            raise self._senseless(f"a chunk that makes no sense: {chunk!r:.200}") from exc

    def _end(self, reader: ChatReader | ResponsesReader) -> list[BackendEvent]:
        try:
            return reader.end()
        except _NOT_UNDERSTOOD as exc:
            raise self._senseless(f"an answer that makes no sense: {exc}") from exc

    def _senseless(self, what: str) -> Transient:
        return Transient(f"{self._provider.title} sent {what}", backend=self.name)
