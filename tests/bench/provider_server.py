"""A provider on loopback that never waits: as many chunks as tokens are asked for, one write each.

It is a process of its own, and answers in four wire formats.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from multiprocessing.connection import Connection


@contextmanager
def serving() -> Iterator[str]:
    """The server's root, for as long as the block runs."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=_serve, args=(there,), daemon=True)
    server.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        server.terminate()
        server.join()


def _serve(ready: Connection) -> None:
    async def run() -> None:
        server = await asyncio.start_server(_answer, "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := (await reader.readuntil(b"\r\n\r\n")).decode("latin-1"):
            size = next(
                int(line.partition(":")[2])
                for line in head.split("\r\n")
                if line.lower().startswith("content-length")
            )
            body = json.loads(await reader.readexactly(size))
            path = head.split(" ")[1].partition("?")[0]
            wire = next(wire for end, wire in _WIRES.items() if path.endswith(end))
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
                b"transfer-encoding: chunked\r\n\r\n"
            )
            for event in wire(body):
                writer.write(b"%x\r\n%s\r\n" % (len(event), event))
                await writer.drain()
            writer.write(b"0\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def _chat(body: Mapping[str, Any]) -> list[bytes]:
    about = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
    pieces = [{"content": word} for word in _words(body["max_completion_tokens"])]
    deltas = [({"role": "assistant", "content": ""}, None), *((p, None) for p in pieces)]
    chunks = [
        {**about, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        for delta, reason in [*deltas, ({}, "stop")]
    ]
    usage = {"prompt_tokens": 9, "completion_tokens": len(pieces), "total_tokens": 9 + len(pieces)}
    lines = [*chunks, {**about, "choices": [], "usage": usage}]
    return [*map(_data, lines), b"data: [DONE]\n\n"]


def _responses(body: Mapping[str, Any]) -> list[bytes]:
    count = body["max_output_tokens"]
    usage = {"input_tokens": 9, "output_tokens": count - 1, "total_tokens": 8 + count}
    whole = {"id": "r", "object": "response", "model": body["model"], "output": [], "usage": usage}
    place = {"item_id": "m", "output_index": 0, "content_index": 0, "logprobs": []}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**whole, "usage": None, "status": "in_progress"}},
        *({"type": "response.output_text.delta", "delta": word, **place} for word in _words(count)),
        {"type": "response.completed", "response": {**whole, "status": "completed"}},
    ]
    return [_event({**event, "sequence_number": n}) for n, event in enumerate(events)]


def _messages(body: Mapping[str, Any]) -> list[bytes]:
    count = body["max_tokens"]
    message = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 9, "output_tokens": 1},
    }
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": word},
            }
            for word in _words(count)
        ),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": count},
        },
        {"type": "message_stop"},
    ]
    return list(map(_event, events))


def _contents(body: Mapping[str, Any]) -> list[bytes]:
    count = body["generationConfig"]["maxOutputTokens"]
    usage = {"promptTokenCount": 9, "candidatesTokenCount": count, "totalTokenCount": 9 + count}
    chunks = [
        {
            "candidates": [{"content": {"role": "model", "parts": [{"text": word}]}, "index": 0}],
            "modelVersion": "gemini",
            "usageMetadata": usage,
        }
        for word in _words(count)
    ]
    chunks[-1]["candidates"][0]["finishReason"] = "STOP"
    return list(map(_data, chunks))


def _words(count: int) -> list[str]:
    return [f"word{n} " for n in range(count)]


def _data(chunk: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(chunk)}\n\n".encode()


def _event(event: Mapping[str, Any]) -> bytes:
    return f"event: {event['type']}\n".encode() + _data(event)


_WIRES: Mapping[str, Callable[[Mapping[str, Any]], list[bytes]]] = {
    "/chat/completions": _chat,
    "/responses": _responses,
    "/messages": _messages,
    ":streamGenerateContent": _contents,
}
