"""The backend ``gemini``: one streamed answer of Gemini."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import httpx2
from google.genai import errors

from massgen_core.backends import Caps, Request
from massgen_core.errors import InvalidRequest
from massgen_core.tokens import ModelCatalogue
from massgen_gemini._client import Client
from massgen_gemini._errors import classified, malformed
from massgen_gemini._parts import PROVIDER, Wire
from massgen_gemini._stream import Answer
from massgen_gemini._wire import to_wire, tools_to_wire
from massgen_gemini.settings import GeminiSettings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from massgen_core.errors import BackendError
    from massgen_core.events import BackendEvent
    from massgen_core.plugin import PluginContext

_FAILURES: Final = (
    errors.APIError, httpx2.HTTPError, httpx2.StreamError, RuntimeError, ValueError,
)  # fmt: skip
_NOT_UNDERSTOOD: Final = (AttributeError, IndexError, KeyError, TypeError)
"""What a stream of something else raises: the SDK promises fields that it does not check."""


class GeminiBackend:
    """Gemini.

    Args:
        settings: Server, key and how Gemini is asked.
        ctx: The models that are known; those shipped with the core if omitted.
        environ: Where keys are looked up that are not in the settings.
    """

    name: Final = PROVIDER

    def __init__(
        self,
        settings: GeminiSettings | None = None,
        ctx: PluginContext | None = None,
        *,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._settings = settings or GeminiSettings()
        self._models = ctx.models if ctx is not None else ModelCatalogue.shipped()
        self._client = Client(self._settings, environ)

    async def stream(self, request: Request, /) -> AsyncGenerator[BackendEvent, None]:
        """The answer as it arrives; see `massgen_core.backends.Backend.stream`."""
        body = self._body(request)
        answer = Answer(request.model)
        try:
            async with self._client.stream(request.model, body) as chunks:
                try:
                    async for chunk in chunks:
                        for event in answer.feed(chunk):
                            yield event
                    last = answer.end()
                except _NOT_UNDERSTOOD as exc:
                    raise malformed(exc) from exc
            for event in last:
                yield event
        except _FAILURES as exc:
            raise self.classify(exc) from exc

    async def count_tokens(self, request: Request, /) -> int:
        """Tokens of the whole prompt as the provider will count it."""
        body = self._body(request)
        body.pop("generationConfig", None)
        try:
            return await self._client.count(request.model, body)
        except _FAILURES as exc:
            raise self.classify(exc) from exc

    async def caps(self, model: str, /) -> Caps:
        """What the catalogue knows of `model`.

        Raises:
            UnknownModel: It is not in the catalogue.
        """
        info = self._models.get(model)
        return Caps(
            window=info.window,
            max_output=info.max_output,
            tools=info.tools,
            images=info.images,
            reasoning=self._settings.show_thoughts,
            rules="gemini",
        )

    def classify(self, error: BaseException, /) -> BackendError:
        """The typed error of any exception."""
        return classified(error, self._client.secrets)

    async def aclose(self) -> None:
        """Close the connections; a stream that still runs ends with `Transient`."""
        await self._client.aclose()

    def _body(self, request: Request) -> Wire:
        if not request.messages:
            raise InvalidRequest("a request needs at least one message", backend=self.name)
        if request.tools and not self._models.get(request.model).tools:
            raise InvalidRequest(
                f"{request.model!r} cannot be given tools, says the catalogue of models",
                backend=self.name,
                hint=f"Run the agent without tools, or set models.{request.model}.tools.",
            )
        body = to_wire(request.messages, model=request.model)
        if request.tools:
            body["tools"] = tools_to_wire(request.tools)
        config: dict[str, Any] = {}
        if request.max_output is not None:
            config["maxOutputTokens"] = request.max_output
        if request.temperature is not None:
            config["temperature"] = request.temperature
        if thinking := _thinking(self._settings):
            config["thinkingConfig"] = thinking
        return {**body, "generationConfig": config} if config else body


def _thinking(settings: GeminiSettings) -> Wire:
    match settings.thinking:
        case None:
            out: Wire = {}
        case int(budget):
            out = {"thinkingBudget": budget}
        case level:
            out = {"thinkingLevel": level}
    return {**out, "includeThoughts": True} if settings.show_thoughts else out
