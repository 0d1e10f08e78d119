"""A backend for OpenAI chat completions over loopback, with a strict order check in front of it.

No mock server looks at the order of messages, so the check stands here: a request that OpenAI,
Anthropic or Gemini would refuse is not sent, and fails as the provider would let it fail.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import httpx

from massgen_core.backends import Caps, Request, classify_text
from massgen_core.errors import BackendError, Fatal, InvalidRequest, Transient
from massgen_core.events import Finished, TextDelta, ToolCalled, Usage
from massgen_core.messages import ToolCall, check_order, to_openai
from massgen_core.messages.order import REQUIREMENTS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from massgen_core.events import BackendEvent
    from massgen_core.messages import ToolSpec


class Refused(Exception):
    """The provider's answer with an error status."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        try:
            error = json.loads(body)["error"]
        except (ValueError, KeyError):
            error = {"message": body.decode("utf-8", "replace")}
        self.code: str | None = error.get("code")
        super().__init__(error["message"])


@dataclass(slots=True)
class Answering:
    """What a stream said so far of its calls, its size and its end."""

    calls: dict[int, dict[str, str]] = field(default_factory=dict)
    usage: Usage | None = None
    finished: Finished | None = None

    def take(self, chunk: dict[str, Any]) -> str:
        """The text in a chunk."""
        if counted := chunk.get("usage"):
            self.usage = Usage(counted["prompt_tokens"], counted["completion_tokens"])
        text = ""
        for choice in chunk["choices"]:
            delta = choice["delta"]
            text += delta.get("content") or ""
            for piece in delta.get("tool_calls") or ():
                self._call(piece)
            if choice["finish_reason"]:
                self.finished = Finished(choice["finish_reason"], chunk["model"])
        return text

    def _call(self, piece: dict[str, Any]) -> None:
        call = self.calls.setdefault(piece["index"], {"id": "", "name": "", "arguments": ""})
        call["id"] += piece.get("id") or ""
        for key, value in (piece.get("function") or {}).items():
            call[key] += value or ""


class ChatBackend:
    """Streams chat completions of one server.

    Args:
        address: The server's base URL.
        window: What it claims the models take, in tokens; the server may know better.

    Attributes:
        requests: How many were sent.
        disorder: What the order check found, by rules and name.
    """

    name: Final = "chat"

    def __init__(self, address: str, *, window: int) -> None:
        self._client = httpx.AsyncClient(base_url=address, timeout=60, trust_env=False)
        self._window = window
        self.requests = 0
        self.disorder: Counter[str] = Counter()

    async def stream(self, request: Request, /) -> AsyncGenerator[BackendEvent, None]:
        self._check(request)
        self.requests += 1
        answer = Answering()
        try:
            async with aclosing(self._chunks(request)) as chunks:
                async for chunk in chunks:
                    if text := answer.take(chunk):
                        yield TextDelta(text)
        except (httpx.HTTPError, Refused, ValueError) as exc:
            raise self.classify(exc) from exc
        if answer.finished is None:
            raise Transient("the stream broke off", backend=self.name)
        for call in answer.calls.values():
            yield ToolCalled(ToolCall(**call))
        if answer.usage is not None:
            yield answer.usage
        yield answer.finished

    async def caps(self, model: str, /) -> Caps:
        return Caps(window=self._window, max_output=self._window // 4, tools=True)

    def classify(self, error: BaseException, /) -> BackendError:
        match error:
            case BackendError():
                return error
            case Refused():
                return self._refusal(error)
            case httpx.TransportError():
                return Transient(str(error), backend=self.name)
        return Fatal(f"{type(error).__name__}: {error}", backend=self.name)

    async def aclose(self) -> None:
        await self._client.aclose()

    def _refusal(self, error: Refused) -> BackendError:
        text, status = str(error), error.status
        known = classify_text(text, code=error.code, status=status, backend=self.name)
        if known is not None:
            return known
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Transient(text, backend=self.name, status=status)
        return InvalidRequest(text, backend=self.name, status=status)

    def _check(self, request: Request) -> None:
        for rules in REQUIREMENTS:
            for problem in check_order(request.messages, rules):
                self.disorder[f"{rules}: {problem.rule}"] += 1
                raise InvalidRequest(f"{rules} refuses {problem}", backend=self.name)

    async def _chunks(self, request: Request) -> AsyncGenerator[dict[str, Any], None]:
        body = _body(request)
        async with self._client.stream("POST", "/v1/chat/completions", json=body) as response:
            if response.is_error:
                raise Refused(response.status_code, await response.aread())
            async for line in response.aiter_lines():
                data = line.removeprefix("data:").strip()
                if data and data != "[DONE]":
                    yield json.loads(data)


def _body(request: Request) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": request.model,
        "messages": list(map(to_openai, request.messages)),
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens": request.max_output,
    }
    if request.tools:
        body["tools"] = list(map(_tool, request.tools))
    return body


def _tool(spec: ToolSpec) -> dict[str, Any]:
    function = {"name": spec.name, "description": spec.description}
    return {"type": "function", "function": {**function, "parameters": dict(spec.parameters)}}
