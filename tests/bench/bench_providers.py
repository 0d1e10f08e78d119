"""What a provider's backend costs beside its bare SDK, against the same server in the same run.

The server is a process of its own on loopback, and sends what it has as fast as it is taken: a real
provider takes longer, so the shares here are the largest there can be.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx2
from anthropic import AsyncAnthropic
from google import genai
from openai import AsyncOpenAI
from provider_server import serving

from massgen_anthropic import AnthropicBackend, AnthropicSettings
from massgen_anthropic import _wire as anthropic_wire
from massgen_core.backends import Request
from massgen_core.messages import Message, assistant, user
from massgen_gemini import GeminiBackend, GeminiSettings
from massgen_gemini import _wire as gemini_wire
from massgen_openai import OpenAIBackend, OpenAISettings, chat_wire, responses_wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from massgen_core.backends import Backend

RUNS = 60
SIZES = ((1, 1), (200, 1), (1, 200))
"""Messages of the history, chunks of the answer."""


class Case(NamedTuple):
    """One API.

    Attributes:
        name: Of the API.
        model: Who is asked.
        backend: Makes ours, for a server.
        to_wire: Makes what a user of the SDK has already.
        by_sdk: Characters of an answer, read as the SDK's users do.
    """

    name: str
    model: str
    backend: Callable[[str], Backend]
    to_wire: Callable[[tuple[Message, ...]], Any]
    by_sdk: Callable[[Any, Any, int], Awaitable[int]]


async def by_chat(sdk: AsyncOpenAI, messages: Any, most: int) -> int:
    chunks: Any = await sdk.chat.completions.create(
        model=OPENAI,
        messages=messages,
        max_completion_tokens=most,
        stream=True,
        stream_options={"include_usage": True},
    )
    size = 0
    async for chunk in chunks:
        for choice in chunk.choices:
            size += len(choice.delta.content or "")
    return size


async def by_responses(sdk: AsyncOpenAI, items: Any, most: int) -> int:
    events: Any = await sdk.responses.create(
        model=OPENAI, input=items, max_output_tokens=most, stream=True, store=False
    )
    size = 0
    async for event in events:
        if event.type == "response.output_text.delta":
            size += len(event.delta)
    return size


async def by_messages(sdk: AsyncAnthropic, turns: Any, most: int) -> int:
    events: Any = await sdk.messages.create(
        model=ANTHROPIC, messages=turns, max_tokens=most, stream=True
    )
    size = 0
    async for event in events:
        if event.type == "content_block_delta":
            size += len(event.delta.text)
    return size


async def by_contents(sdk: genai.Client, contents: Any, most: int) -> int:
    chunks = await sdk.aio.models.generate_content_stream(
        model=GEMINI, contents=contents, config={"max_output_tokens": most}
    )
    size = 0
    async for chunk in chunks:
        size += len(chunk.text or "")
    return size


OPENAI, ANTHROPIC, GEMINI = "gpt-4.1-mini", "claude-sonnet-5-5", "gemini-3.8-flash"
CASES = (
    Case(
        "openai, chat",
        OPENAI,
        lambda url: OpenAIBackend(OpenAISettings(base_url=url, api_key="any", api="chat")),
        chat_wire.to_wire,
        by_chat,
    ),
    Case(
        "openai, responses",
        OPENAI,
        lambda url: OpenAIBackend(OpenAISettings(base_url=url, api_key="any", api="responses")),
        responses_wire.to_wire,
        by_responses,
    ),
    Case(
        "anthropic",
        ANTHROPIC,
        lambda url: AnthropicBackend(AnthropicSettings(base_url=url, api_key="any")),
        lambda history: anthropic_wire.to_wire(history)["messages"],
        by_messages,
    ),
    Case(
        "gemini",
        GEMINI,
        lambda url: GeminiBackend(GeminiSettings(base_url=url, api_key="any")),
        lambda history: gemini_wire.to_wire(history)["contents"],
        by_contents,
    ),
)


@asynccontextmanager
async def sdk_of(case: Case, url: str) -> AsyncIterator[Any]:
    """The provider's own client, as its documentation makes it; nothing is sent again.

    Google's takes aiohttp instead of its own HTTP library where another package has brought that.
    """
    if case.model == GEMINI:
        async with httpx2.AsyncClient() as http:
            options = genai.types.HttpOptions(base_url=url, httpx_async_client=http)
            yield genai.Client(api_key="any", http_options=options)
        return
    make = AsyncOpenAI if case.model == OPENAI else AsyncAnthropic
    async with make(base_url=url, api_key="any", max_retries=0) as sdk:
        yield sdk


async def measured(url: str) -> list[list[object]]:
    rows: list[list[object]] = []
    for case in CASES:
        backend = case.backend(url)
        async with sdk_of(case, url) as sdk:
            for messages, chunks in SIZES:
                bare, ours = await both(case, sdk, backend, conversation(messages), chunks)
                rows.append(
                    [
                        case.name,
                        messages,
                        chunks,
                        f"{bare * 1e3:.2f} ms",
                        f"{ours * 1e3:.2f} ms",
                        f"{ours / bare:.2f}",
                        f"{(ours - bare) * 1e3:+.2f} ms",
                    ]
                )
        await backend.aclose()
    return rows


async def both(
    case: Case, sdk: Any, backend: Backend, history: tuple[Message, ...], chunks: int
) -> list[float]:
    """Median seconds of the bare SDK and of ours, once both have said the same."""
    wire = case.to_wire(history)
    asks = (
        lambda: case.by_sdk(sdk, wire, chunks),
        lambda: by_backend(backend, Request(case.model, history, max_output=chunks)),
    )
    sizes = [await ask() for ask in asks]
    assert sizes[0] == sizes[1] > 0, f"{case.name}: the answers differ"
    return await in_turn(*asks)


async def by_backend(backend: Backend, request: Request) -> int:
    size = 0
    async for event in backend.stream(request):
        if event.kind == "backend.text_delta":
            size += len(event.text)
    return size


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


def main() -> None:
    with serving() as url:
        rows = asyncio.run(measured(url))
    table = {
        "title": "Backends of providers beside the bare SDKs",
        "note": f"Wall time of whole answers, median of {RUNS} in turn, from a loopback server "
        "that never waits; all over the SDKs' own HTTP library, httpx2. Below 1.00 is faster than "
        "the SDK: it transforms messages by their types, the backends give it JSON; OpenAI's "
        "backend takes JSON as well, where the SDK makes objects of chunks.",
        "columns": ["API", "messages", "chunks", "SDK", "backend", "ratio", "more per answer"],
        "rows": rows,
    }
    print(json.dumps(table, indent=None if "--json" in sys.argv else 2))


if __name__ == "__main__":
    main()
