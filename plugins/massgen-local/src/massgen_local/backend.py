"""The backend ``local``: chat completions of an embedded llama-server, streamed over loopback."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import httpx

from massgen_core.backends import Caps, Request
from massgen_core.errors import InvalidRequest, Transient, UnknownModel
from massgen_core.events import Finished, FinishReason, TextDelta, Usage
from massgen_local._errors import ServerError, classified, server_error
from massgen_local._server import Server
from massgen_local._sse import EventDecoder
from massgen_local._weights import find_weights
from massgen_local._wire import to_wire
from massgen_local.settings import LocalSettings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from massgen_core.errors import BackendError
    from massgen_core.events import BackendEvent
    from massgen_core.plugin import PluginContext

# Seconds. The server is silent while it reads a long prompt and while a request waits for a slot.
_TIMEOUT: Final = httpx.Timeout(600, connect=10)
_REASONS: Final[dict[str, FinishReason]] = {"stop": "stop", "length": "length"}


class LocalBackend:
    """A model inside the process.

    The server starts with the first request and ends with `aclose`, at the latest with the
    interpreter. The model is given no tools: a request with tools is refused, tool calls in the
    history are told to it as text. The prompt cache is on: the start that two prompts share is
    read once.

    Args:
        settings: Weights, window, threads and sampling.
        ctx: What the core gives to plugins; not needed here.
    """

    name: Final = "local"

    def __init__(
        self, settings: LocalSettings | None = None, ctx: PluginContext | None = None
    ) -> None:
        del ctx
        self._settings = settings or LocalSettings()
        self._server = Server(self._settings)
        self._clients: set[httpx.AsyncClient] = set()

    async def stream(self, request: Request, /) -> AsyncGenerator[BackendEvent, None]:
        """The answer as it arrives; see `massgen_core.backends.Backend.stream`."""
        _check(request)
        try:
            async with (
                self._client() as client,
                _post(client, self._body(request)) as response,
                aclosing(_events(response)) as events,
            ):
                async for event in events:
                    yield event
        except (httpx.HTTPError, ServerError, ValueError) as exc:
            raise classified(exc) from exc

    async def count_tokens(self, request: Request, /) -> int:
        """Tokens of the whole prompt, the chat template's own included, exactly."""
        _check(request)
        try:
            async with self._client() as client:
                template = await _json(
                    client, "/apply-template", messages=to_wire(request.messages)
                )
                counted = await _json(
                    client, "/tokenize", content=template["prompt"], parse_special=True
                )
        except (httpx.HTTPError, ServerError, ValueError) as exc:
            raise classified(exc) from exc
        return len(counted["tokens"])

    async def caps(self, model: str, /) -> Caps:
        """The window of the settings; `model` is ``local`` or the name of the weights file.

        Raises:
            UnknownModel: These weights are not loaded here.
        """
        weights = find_weights(self._settings.weights)
        served = weights.stem.lower()
        if model.lower() not in {self.name, served, served.rpartition(".")[0]}:
            raise UnknownModel(
                f"the local backend serves {weights.name!r}, not {model!r}",
                model=model,
                suggestions=(self.name,),
                hint="Set model to 'local', or backend.weights to the file of the model you want.",
            )
        return Caps(window=self._settings.window, max_output=self._settings.window)

    def classify(self, error: BaseException, /) -> BackendError:
        """The typed error of any exception."""
        return classified(error)

    async def aclose(self) -> None:
        """Stop the server; a stream that still runs ends with `Transient`."""
        for client in tuple(self._clients):
            await client.aclose()  # the native server waits 30 s for a connection left open
        await asyncio.to_thread(self._server.stop)

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx.AsyncClient]:
        address = self._server.address
        if address is None:
            address = await asyncio.to_thread(self._server.start)
        # One client per request costs 1 ms, and leaves neither sockets nor a tie to an event loop.
        # Without TLS there is nothing to verify; loading the certificates would cost 28 ms.
        transport = httpx.AsyncHTTPTransport(verify=False)
        async with httpx.AsyncClient(
            base_url=address,
            headers={"authorization": f"Bearer {self._server.key}"},
            timeout=_TIMEOUT,
            transport=transport,
            trust_env=False,
        ) as client:
            self._clients.add(client)
            try:
                yield client
            finally:
                self._clients.discard(client)

    def _body(self, request: Request) -> dict[str, Any]:
        heat = request.temperature
        return {
            "messages": to_wire(request.messages),
            "max_tokens": -1 if request.max_output is None else request.max_output,
            "temperature": self._settings.temperature if heat is None else heat,
            "seed": self._settings.seed,
            "stream": True,
            "stream_options": {"include_usage": True},
            "cache_prompt": True,
        }


def _check(request: Request) -> None:
    if request.tools:
        names = ", ".join(tool.name for tool in request.tools)
        raise InvalidRequest(
            f"the local backend cannot give its model tools (asked for: {names})",
            backend=LocalBackend.name,
            hint="Run the agent without tools, or choose a backend whose caps have tools=True.",
        )
    if not request.messages:
        raise InvalidRequest("a request needs at least one message", backend=LocalBackend.name)


@asynccontextmanager
async def _post(client: httpx.AsyncClient, body: dict[str, Any]) -> AsyncIterator[httpx.Response]:
    async with client.stream("POST", "/v1/chat/completions", json=body) as response:
        if response.is_error:
            raise server_error(await response.aread(), response.status_code)
        yield response


async def _json(client: httpx.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    response = await client.post(path, json=body)
    if response.is_error:
        raise server_error(response.content, response.status_code)
    answer: dict[str, Any] = response.json()
    return answer


async def _events(response: httpx.Response) -> AsyncGenerator[BackendEvent, None]:
    usage: Usage | None = None
    finished: Finished | None = None
    async with aclosing(_chunks(response)) as chunks:
        async for chunk in chunks:
            if (counted := chunk.get("usage")) is not None:
                usage = _usage(counted)
            for choice in chunk.get("choices", ()):
                if text := choice["delta"].get("content"):
                    yield TextDelta(text)
                if reason := choice["finish_reason"]:
                    finished = Finished(_REASONS.get(reason, "error"), chunk.get("model", ""))
    if finished is None:
        raise Transient("the answer of the local server broke off", backend=LocalBackend.name)
    if usage is not None:
        yield usage
    yield finished


async def _chunks(response: httpx.Response) -> AsyncGenerator[dict[str, Any], None]:
    decoder = EventDecoder()
    async for piece in response.aiter_raw():
        for data in decoder.feed(piece):
            if data == "[DONE]":
                continue
            chunk: dict[str, Any] = json.loads(data)
            if "error" in chunk:
                raise ServerError(chunk["error"])
            yield chunk


def _usage(counted: dict[str, Any]) -> Usage:
    details = counted.get("prompt_tokens_details") or {}
    return Usage(
        prompt=counted["prompt_tokens"],
        completion=counted["completion_tokens"],
        cached=details.get("cached_tokens", 0),
    )
