"""The process behind `mock_provider`: llmock, made as strict as the providers it stands for.

Usage: python -m massgen_core.testing._mock_server OPTIONS    OPTIONS is a JSON object
Prints its base URL, and serves until its standard input ends: so it ends with the process that
started it, however that ends.

What llmock lacks is added around it, as ASGI: refusals of messages out of order, answers that end
where the request says, errors inside a stream, connections that are dropped before an answer,
and a model that counts to 300 and calls a tool once for each name it reads.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
import threading
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from llmock import completion as model
from llmock.main import create_app
from llmock.ratelimit import LimitSettings
from llmock.routers import openai_responses
from llmock.simulation import build_error_response
from llmock.streaming import text_pieces
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from massgen_core.errors import MassgenError
from massgen_core.messages import check_order
from massgen_core.testing._mock_wire import most_of, refusal, rules_of, said

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, MutableMapping

CONTROL: Final = "/_mock/faults"
_NAMES: Final = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+")
_NUMBERS: Final = " ".join(f"number {n}" for n in range(1, 301))
_MOST: ContextVar[int | None] = ContextVar("most", default=None)
_CALLED_AWAY: Final = "http.disconnect"
_PREFILL: Final = 0.3  # seconds a prompt takes at most before its first event
_PAUSE: Final = 0.005  # seconds between the events of a long answer
_SHORT: Final = 12  # events from which an answer is long
_plain = model.resolve
_plain_response = openai_responses._response_object  # noqa: SLF001 - it has no other seam


def resolve(**given: Any) -> Any:
    """The answer of llmock, by a model that does more of what it is asked, cut where it must be."""
    answer = _plain(**given)
    plan, prompt = given["plan"], given["prompt_text"]
    if answer.tool_calls and plan.reply is None and plan.tool_fault is None:
        answer = replace(answer, tool_calls=_once_a_name(answer.tool_calls[0], prompt))
    elif plan.reply is None and "Count from 1 to 300" in prompt:
        answer = replace(answer, text=_NUMBERS)
    words, most = text_pieces(answer.text), _MOST.get()
    spent = sum(len(call.arguments) // 4 + 1 for call in answer.tool_calls)
    if most is not None and len(words) > most:
        answer = replace(answer, text="".join(words[:most]), finish_reason="length")
        words = words[:most]
    return replace(answer, completion_tokens=max(1, len(words) + spent))


def response_object(
    body: dict[str, Any], response_id: str, model: str, completion: Any, items: Any, *, status: str
) -> dict[str, Any]:
    """What the Responses API answers; llmock does not say there that an answer was filtered."""
    found = _plain_response(body, response_id, model, completion, items, status=status)
    if status == "completed" and completion.finish_reason == "content_filter":
        found |= {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
    return found


def _once_a_name(call: Any, prompt: str) -> tuple[Any, ...]:
    """A call for each name in the prompt, if the tool takes one text; else the call."""
    arguments = json.loads(call.arguments)
    names = list(dict.fromkeys(_NAMES.findall(prompt)))
    if [type(value) for value in arguments.values()] != [str] or not names:
        return (call,)
    [key] = arguments
    return tuple(
        replace(call, id=f"{call.id}{n}", arguments=json.dumps({key: name}))
        for n, name in enumerate(names)
    )


class Strict:
    """llmock behind a door that lets only well-formed conversations through."""

    def __init__(self, app: Any, *, pace: float, strict: bool) -> None:
        self._app = app
        self._pace = pace
        self._strict = strict
        self._faults: list[dict[str, Any]] = []

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path, sent = scope["path"], await _read(receive)
        body = json.loads(sent) if sent[:1] == b"{" else {}
        again = _Again(sent, receive)
        if path == CONTROL:
            kept = [] if body.get("reset") else self._faults
            self._faults = [*kept, *body["faults"]]
            await JSONResponse({})(scope, again, send)
        elif path.endswith(("/count_tokens", ":countTokens")):
            await self._counted(scope, body, send)
        elif (rules := rules_of(path)) is None:
            await self._app(scope, again, send)
        elif wrong := self._wrong(rules, path, body):
            await build_error_response(path, 400, message=wrong)(scope, again, send)
        else:
            await self._answer(scope, body, again, send)

    def _wrong(self, rules: Any, path: str, body: Any) -> str:
        """Why the request is refused; empty if it is not."""
        if not self._strict:
            return ""
        try:
            problems = check_order(said(path, body), rules)
        except (MassgenError, KeyError, TypeError) as exc:
            return f"the request cannot be read: {type(exc).__name__}: {exc}"
        return refusal(rules, problems[0]) if problems else ""

    async def _answer(self, scope: Any, body: Any, receive: Any, send: Any) -> None:
        fault = self._faults.pop(0) if self._faults else None
        if fault is not None and (response := _instead(fault["kind"])) is not None:
            await response(scope, receive, send)
            return
        if fault is not None and fault["kind"] == "reset":
            send.__self__.transport.abort()  # uvicorn would answer an exception with a 500
            return
        _MOST.set(most_of(body))
        left = asyncio.ensure_future(receive.later())
        done, _ = await asyncio.wait([left], timeout=self._pace * min(_PREFILL, _size(body)))
        left.cancel()
        if done:  # the client has gone: the next request must not find its faults used up
            return
        events = _Events(send, scope["path"], fault, self._pace)
        await self._app(scope, receive, events.send)

    async def _counted(self, scope: Any, body: dict[str, Any], send: Any) -> None:
        """What the same request would report as its prompt."""
        gemini = scope["path"].endswith(":countTokens")
        old, new = (":countTokens", ":generateContent") if gemini else ("/count_tokens", "")
        asked = {**body.get("generateContentRequest", body), "stream": False}
        asked |= {} if gemini else {"max_tokens": 1}
        kept: list[bytes] = []

        async def keep(message: Any) -> None:
            kept.append(message.get("body", b""))

        inner = {**scope, "path": scope["path"].replace(old, new), "raw_path": None}
        inner["headers"] = [pair for pair in scope["headers"] if pair[0] != b"content-length"]
        await self._app(inner, _Again(json.dumps(asked).encode()), keep)
        answer = json.loads(b"".join(kept))
        if gemini:
            counted = {"totalTokens": answer["usageMetadata"]["promptTokenCount"]}
        else:
            counted = {"input_tokens": answer["usage"]["input_tokens"]}
        await JSONResponse(counted)(scope, _Again(b""), send)


class _Events:
    """Sends a stream on at the pace of a model, or with an error in its middle."""

    def __init__(self, send: Any, path: str, fault: dict[str, Any] | None, pace: float) -> None:
        self._send, self._path, self._fault, self._pace = send, path, fault, pace
        self._sent = 0
        self._ended = False

    async def send(self, message: Any) -> None:
        if self._ended:
            return
        if message["type"] == "http.response.body" and message.get("body"):
            if self._fault is not None and self._sent == self._fault["after_chunks"]:
                self._ended = True
                await self._send({**message, "body": _error_event(self._path), "more_body": False})
                return
            self._sent += 1
            if self._sent > _SHORT:
                await asyncio.sleep(self._pace * _PAUSE)
        await self._send(message)


class _Again:
    """Receives a body that was read already, then what comes after it."""

    def __init__(self, body: bytes, receive: Any = None) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> dict[str, Any]:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        return await self.later()

    async def later(self) -> dict[str, Any]:
        """What comes after the body: that the client has gone."""
        if self._receive is None:
            await asyncio.Event().wait()
        found: dict[str, Any] = await self._receive()
        return found


def _size(body: object) -> float:
    """Seconds a model reads it."""
    return len(json.dumps(body)) / 4000


async def _read(receive: Any) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if message["type"] == _CALLED_AWAY or not message.get("more_body"):
            return b"".join(parts)


def _instead(kind: str) -> Response | None:
    """What a gateway says in place of the provider."""
    if kind == "html":
        return HTMLResponse("<html><body><h1>502 Bad Gateway</h1></body></html>", 502)
    if kind == "empty":
        return StreamingResponse(_nothing(), media_type="text/event-stream")
    return None


async def _nothing() -> AsyncIterator[bytes]:
    for _ in ():
        yield b""


def _error_event(path: str) -> bytes:
    """How a provider tells, in the middle of a stream, that it cannot go on."""
    words = "The model is overloaded. Please try again later."
    if rules_of(path) == "anthropic":
        data = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
        return f"event: error\ndata: {json.dumps(data)}\n\n".encode()
    if path.endswith("/responses"):
        event = {"type": "error", "code": "server_error", "message": words, "sequence_number": 9}
        return f"event: error\ndata: {json.dumps(event)}\n\n".encode()
    inner: dict[str, object] = {"message": words, "code": 503, "status": "UNAVAILABLE"}
    if rules_of(path) == "openai":
        inner = {"message": words, "type": "server_error", "param": None, "code": "server_error"}
    return f"data: {json.dumps({'error': inner})}\n\n".encode()


def main(options: str) -> None:
    """Serves until standard input ends."""
    given = json.loads(options)
    model.resolve = resolve
    openai_responses._response_object = response_object  # noqa: SLF001 - as above
    limits = LimitSettings(context_window=given["window"], rpm=given["rpm"])
    app = Strict(create_app(limits=limits), pace=given["pace"], strict=given["strict"])
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="critical", lifespan="off", timeout_keep_alive=120)
    server = uvicorn.Server(config)

    def end() -> None:
        sys.stdin.read()
        server.should_exit = server.force_exit = True

    threading.Thread(target=end, daemon=True).start()
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)  # noqa: T201 - its answer
    server.run(sockets=[listening])


if __name__ == "__main__":
    main(sys.argv[1])
