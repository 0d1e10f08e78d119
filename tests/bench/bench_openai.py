"""What the OpenAI backend costs beside the bare SDK, against the same server in the same run.

The server is a process of its own on loopback, and sends what it has as fast as it is taken: a real
provider takes longer, so the shares here are the largest there can be.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from openai import AsyncOpenAI

from massgen_core.backends import Request
from massgen_core.messages import Message, assistant, user
from massgen_openai import OpenAIBackend, OpenAISettings, chat_wire, responses_wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from multiprocessing.connection import Connection

RUNS = 60
MODEL = "gpt-4.1-mini"


class Case(NamedTuple):
    """What is asked: by which API, how long a history, how long an answer."""

    api: str
    messages: int
    chunks: int


CASES = [
    Case(api, *sizes) for api in ("chat", "responses") for sizes in ((1, 1), (200, 1), (1, 200))
]


def main() -> None:
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(there,), daemon=True)
    server.start()
    try:
        rows = asyncio.run(measured(f"http://127.0.0.1:{here.recv()}"))
    finally:
        server.terminate()
    table = {
        "title": "The OpenAI backend beside the bare SDK",
        "note": f"Wall time of whole answers, median of {RUNS} in turn, from a loopback server "
        "that never waits. The backend gives and takes JSON; the SDK transforms messages by their "
        "types and makes objects of chunks: below 1.00 is faster than the SDK.",
        "columns": ["API", "messages", "chunks", "SDK", "backend", "ratio", "more per answer"],
        "rows": rows,
    }
    print(json.dumps(table, indent=None if "--json" in sys.argv else 2))


async def measured(url: str) -> list[list[object]]:
    rows: list[list[object]] = []
    async with AsyncOpenAI(base_url=url, api_key="any", max_retries=0) as client:
        for case in CASES:
            backend = OpenAIBackend(OpenAISettings(base_url=url, api_key="any", api=case.api))
            history = conversation(case.messages)
            wire = chat_wire if case.api == "chat" else responses_wire
            dicts = wire.to_wire(history)  # what a user of the SDK has already
            bare, ours = await in_turn(
                lambda: by_sdk(client, case, dicts),  # noqa: B023 - awaited before the next case
                lambda: by_backend(backend, case, history),  # noqa: B023
            )
            await backend.aclose()
            rows.append(
                [
                    *case,
                    f"{bare * 1e3:.2f} ms",
                    f"{ours * 1e3:.2f} ms",
                    f"{ours / bare:.2f}",
                    f"{(ours - bare) * 1e3:+.2f} ms",
                ]
            )
    return rows


async def in_turn(*asks: Callable[[], Awaitable[int]]) -> list[float]:
    """Median seconds of each, asked one after the other so that all see the same machine."""
    seconds: list[list[float]] = [[] for _ in asks]
    for run in range(RUNS + 5):
        for ask, found in zip(asks, seconds, strict=True):
            begun = time.perf_counter()
            await ask()
            if run >= 5:
                found.append(time.perf_counter() - begun)
    return [statistics.median(found) for found in seconds]


def conversation(messages: int) -> tuple[Message, ...]:
    talk = [user("How is the weather?"), assistant("Fine, and it will stay so for a day or two.")]
    return (*(talk * (messages // 2)), user("And tomorrow?"))


async def by_sdk(client: AsyncOpenAI, case: Case, dicts: Any) -> int:
    """Characters of the answer, read as the SDK's users do."""
    size = 0
    if case.api == "chat":
        chunks: Any = await client.chat.completions.create(
            model=MODEL,
            messages=dicts,
            max_completion_tokens=case.chunks,
            stream=True,
            stream_options={"include_usage": True},
        )
        async for chunk in chunks:
            for choice in chunk.choices:
                size += len(choice.delta.content or "")
        return size
    events: Any = await client.responses.create(
        model=MODEL,
        input=dicts,
        max_output_tokens=case.chunks,
        stream=True,
        store=False,
    )
    async for event in events:
        if event.type == "response.output_text.delta":
            size += len(event.delta)
    return size


async def by_backend(backend: OpenAIBackend, case: Case, history: tuple[Message, ...]) -> int:
    size = 0
    async for event in backend.stream(Request(MODEL, history, max_output=case.chunks)):
        if event.kind == "backend.text_delta":
            size += len(event.text)
    return size


def serve(ready: Connection) -> None:
    """The server: as many chunks as tokens are asked for, each written by itself."""

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := (await reader.readuntil(b"\r\n\r\n")).decode("latin-1"):
            size = next(
                int(line.partition(":")[2])
                for line in head.split("\r\n")
                if line.lower().startswith("content-length")
            )
            body = json.loads(await reader.readexactly(size))
            events = responses_events(body) if head.startswith("POST /responses") else chat(body)
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
                b"transfer-encoding: chunked\r\n\r\n"
            )
            for event in events:
                writer.write(b"%x\r\n%s\r\n" % (len(event), event))
                await writer.drain()
            writer.write(b"0\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def chat(body: dict[str, Any]) -> list[bytes]:
    about = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    pieces = [{"content": f"word{n} "} for n in range(body["max_completion_tokens"])]
    deltas = [({"role": "assistant", "content": ""}, None), *((p, None) for p in pieces)]
    chunks = [
        {**about, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        for delta, reason in [*deltas, ({}, "stop")]
    ]
    usage = {"prompt_tokens": 9, "completion_tokens": len(pieces), "total_tokens": 9 + len(pieces)}
    lines = [*chunks, {**about, "choices": [], "usage": usage}]
    return [*(f"data: {json.dumps(line)}\n\n".encode() for line in lines), b"data: [DONE]\n\n"]


def responses_events(body: dict[str, Any]) -> list[bytes]:
    count = body["max_output_tokens"]
    usage = {"input_tokens": 9, "output_tokens": count - 1, "total_tokens": 8 + count}
    whole = {"id": "r", "object": "response", "model": MODEL, "output": [], "usage": usage}
    place = {"item_id": "m", "output_index": 0, "content_index": 0, "logprobs": []}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**whole, "usage": None, "status": "in_progress"}},
        *(
            {"type": "response.output_text.delta", "delta": f"word{n} ", **place}
            for n in range(count)
        ),
        {"type": "response.completed", "response": {**whole, "status": "completed"}},
    ]
    return [
        f"event: {e['type']}\ndata: {json.dumps({**e, 'sequence_number': n})}\n\n".encode()
        for n, e in enumerate(events)
    ]


if __name__ == "__main__":
    main()
