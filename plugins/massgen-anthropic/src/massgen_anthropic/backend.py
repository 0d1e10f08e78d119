"""The backend ``anthropic``: one streamed message of Claude."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Final

import anthropic
import httpx2

from massgen_anthropic._blocks import PROVIDER
from massgen_anthropic._cache import marked
from massgen_anthropic._client import Client
from massgen_anthropic._errors import classified, malformed
from massgen_anthropic._stream import Answer
from massgen_anthropic._wire import Wire, to_wire, tools_to_wire
from massgen_anthropic.settings import AnthropicSettings
from massgen_core.backends import Caps, Request, read_rest
from massgen_core.errors import InvalidRequest
from massgen_core.tokens import ModelCatalogue

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from massgen_core.errors import BackendError
    from massgen_core.events import BackendEvent
    from massgen_core.plugin import PluginContext

_EDITING: Final = "context-management-2025-06-27"
_HEATED: Final = re.compile(r"claude-(3-|[a-z]+-4(-[0-6](-|$)|-20\d{6}|$))")
"""Models that take a temperature (Anthropic's migration guide for 4.7)."""
_LEAST_BUDGET: Final = 1024  # tokens of thinking, as the API demands
_FAILURES: Final = (anthropic.AnthropicError, httpx2.HTTPError, httpx2.StreamError, RuntimeError)
_NOT_UNDERSTOOD: Final = (AttributeError, IndexError, KeyError, TypeError)
"""What a stream of something else raises: the SDK promises fields that it does not check."""


class AnthropicBackend:
    """Claude.

    Args:
        settings: Server, key and how Claude is asked.
        ctx: The models that are known; those shipped with the core if omitted.
        environ: Where keys are looked up that are not in the settings.
    """

    name: Final = PROVIDER

    def __init__(
        self,
        settings: AnthropicSettings | None = None,
        ctx: PluginContext | None = None,
        *,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._settings = settings or AnthropicSettings()
        self._models = ctx.models if ctx is not None else ModelCatalogue.shipped()
        self._client = Client(self._settings, environ)

    async def stream(self, request: Request, /) -> AsyncGenerator[BackendEvent, None]:
        """The answer as it arrives; see `massgen_core.backends.Backend.stream`."""
        body = self._body(request)
        answer = Answer(request.model)
        try:
            async with self._client.stream(body, self._betas) as chunks:
                try:
                    async for chunk in chunks:
                        for event in answer.feed(chunk):
                            yield event
                        if answer.ended:
                            break
                    await read_rest(chunks, *_FAILURES)
                    last = answer.end()
                except _NOT_UNDERSTOOD as exc:
                    raise malformed(exc) from exc
            for event in last:
                yield event
        except (*_FAILURES, ValueError) as exc:
            raise self.classify(exc) from exc

    async def count_tokens(self, request: Request, /) -> int:
        """Tokens of the whole prompt as the provider will count it."""
        body = self._body(request)
        del body["max_tokens"]
        body.get("extra_body", {}).pop("temperature", None)
        try:
            return await self._client.count(body, self._betas)
        except (*_FAILURES, ValueError) as exc:
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
            reasoning=self._settings.thinking not in {None, "disabled"},
            rules="anthropic",
        )

    def classify(self, error: BaseException, /) -> BackendError:
        """The typed error of any exception."""
        return classified(error, self._client.secrets)

    async def aclose(self) -> None:
        """Close the connections; a stream that still runs ends with `Transient`."""
        await self._client.aclose()

    def _body(self, request: Request) -> dict[str, Any]:
        if not request.messages:
            raise InvalidRequest("a request needs at least one message", backend=self.name)
        settings, info = self._settings, self._models.get(request.model)
        if request.tools and not info.tools:
            raise InvalidRequest(
                f"{request.model!r} cannot be given tools, says the catalogue of models",
                backend=self.name,
                hint=f"Run the agent without tools, or set models.{request.model}.tools.",
            )
        most = request.max_output or info.max_output
        wire = to_wire(request.messages, model=request.model, keep=settings.keep_thinking)
        body: dict[str, Any] = {"model": request.model, "max_tokens": most, **wire}
        if request.tools:
            body["tools"] = tools_to_wire(request.tools)
        thinking = _thinking(settings, most, wire)
        if thinking is not None:
            body["thinking"] = thinking
        if settings.effort is not None:
            body["output_config"] = {"effort": settings.effort}
        extra: dict[str, Any] = {}  # what the SDK has no argument for
        if request.temperature is not None and _takes_heat(request.model, thinking):
            extra["temperature"] = request.temperature
        if settings.clear_tool_results_at is not None:
            extra["context_management"] = _editing(settings)
        if extra:
            body["extra_body"] = extra
        return body if settings.cache == "off" else marked(body, settings.cache)

    @property
    def _betas(self) -> tuple[str, ...]:
        editing = (_EDITING,) if self._settings.clear_tool_results_at is not None else ()
        return (*editing, *self._settings.betas)


def _thinking(settings: AnthropicSettings, most: int, wire: Wire) -> Mapping[str, Any] | None:
    """``thinking`` of a request.

    A budget must leave room for the answer, and once thinking is on, the API wants the running tool
    loop to begin with it; where another model began that loop, this answer goes without.
    """
    match settings.thinking:
        case None:
            return None
        case "adaptive" | "disabled" as kind:
            return {"type": kind}
        case budget:
            fits = most > _LEAST_BUDGET and _may_think(wire)
            room = min(budget, most - 1)
            return {"type": "enabled", "budget_tokens": room} if fits else {"type": "disabled"}


def _may_think(wire: Wire) -> bool:
    turns = wire["messages"]
    in_loop = any(block["type"] == "tool_result" for block in turns[-1]["content"])
    if not in_loop or len(turns) == 1:
        return True
    return turns[-2]["content"][0]["type"] in {"thinking", "redacted_thinking"}


def _takes_heat(model: str, thinking: Mapping[str, Any] | None) -> bool:
    """Models from 4.7 on refuse a temperature, and all do while they think."""
    thinks = thinking is not None and thinking["type"] != "disabled"
    return not thinks and (not model.startswith("claude-") or _HEATED.match(model) is not None)


def _editing(settings: AnthropicSettings) -> dict[str, Any]:
    edit = {
        "type": "clear_tool_uses_20250919",
        "trigger": {"type": "input_tokens", "value": settings.clear_tool_results_at},
        "keep": {"type": "tool_uses", "value": settings.keep_tool_results},
    }
    return {"edits": [edit]}
