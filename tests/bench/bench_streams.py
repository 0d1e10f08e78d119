"""How long the event loop is held up while 200 streams run at once and every fifth meets a fault.

The provider is a mock in a process of its own, so that its work is not counted. A task that sleeps
for 5 ms writes down how much too late it wakes.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import tempfile
import time
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
from openai import AsyncOpenAI, OpenAIError

from massgen_core.backends import Accounted, Accounts, Endpoints, Policy, Request
from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.errors import BackendError
from massgen_core.messages import user
from massgen_core.plugin import PluginContext
from massgen_core.scaffold import write_plugin
from massgen_core.testing import FAULTS, mock_provider
from massgen_core.tokens import ModelCatalogue
from massgen_openai import OpenAIBackend, OpenAISettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from massgen_core.backends import Backend
    from massgen_core.testing import MockProvider

    Ask = Callable[[int, int], Awaitable[str]]
    """How a stream of so many words ended, given its number."""

STREAMS = 200
SHARE = 5  # every so many streams, one fault
WORDS = 300
PACE = 4.0  # a word every 20 ms, as real models write
STEP = 0.005  # seconds
IDLE = 5.0  # seconds after which a stream has stalled
ANSWERED = "answer"
FAULTY = [name for name, fault in FAULTS.items() if "openai" in fault.wires]
QUESTION = "Count from 1 to 300. This is talk {}."


@asynccontextmanager
async def wrapped(backend: Backend) -> AsyncIterator[Ask]:
    """A backend as an application wraps it, without retries."""
    policy = Policy(attempts=1, idle=IDLE, failures=0)
    patient = Accounted(Endpoints().wrap(backend, policy, "mock"), Accounts(), lambda model: None)

    async def ask(number: int, most: int) -> str:
        request = Request("mock", (user(QUESTION.format(number)),), (), most)
        try:
            events = [event async for event in patient.stream(request)]
        except BackendError as error:
            return type(error).__name__
        return ANSWERED if events[-1].kind == "backend.finished" else "broken"

    yield ask
    await patient.aclose()


@asynccontextmanager
async def bare(url: str) -> AsyncIterator[Ask]:
    """The SDK, as its documentation shows it; a stream that just ends is taken for an answer."""
    async with AsyncOpenAI(base_url=url, api_key="any", max_retries=0, timeout=IDLE) as sdk:

        async def ask(number: int, most: int) -> str:
            try:
                chunks: Any = await sdk.chat.completions.create(
                    model="mock",
                    messages=[{"role": "user", "content": QUESTION.format(number)}],
                    max_completion_tokens=most,
                    stream=True,
                )
                _ = [chunk async for chunk in chunks]
            except (OpenAIError, httpx2.HTTPError, ValueError) as error:
                return type(error).__name__
            return ANSWERED

        yield ask


def template(url: str, folder: str) -> Backend:
    """The backend that `mgc plugins new` writes."""
    write_plugin("backend", "bench", Path(folder))
    sys.path.insert(0, f"{folder}/massgen-bench/src")
    made = importlib.import_module("massgen_bench.backend")
    context = PluginContext(SYSTEM_CLOCK, None, ModelCatalogue.shipped())
    return made.BenchBackend(made.Settings(base_url=url), context)


def openai(url: str) -> Backend:
    models = ModelCatalogue.shipped().with_overrides({"mock": {"window": 8192}})
    settings = OpenAISettings(base_url=url, api_key="any", api="chat")
    return OpenAIBackend(settings, PluginContext(SYSTEM_CLOCK, None, models))


async def lateness(of: Awaitable[object]) -> list[float]:
    """Seconds that a sleeper woke too late while `of` ran; sorted."""
    late: list[float] = []

    async def sleeper() -> None:
        while True:
            due = time.perf_counter() + STEP
            await asyncio.sleep(STEP)
            late.append(max(0.0, time.perf_counter() - due))

    async with asyncio.TaskGroup() as group:
        watching = group.create_task(sleeper())
        await asyncio.sleep(0)  # it sleeps when the streams begin
        await of
        await asyncio.sleep(STEP * 2)  # the last time is written down as well
        watching.cancel()
    return sorted(late)


async def run(
    asking: AbstractAsyncContextManager[Ask], provider: MockProvider
) -> tuple[list[float], Counter[str]]:
    """Lateness, and how the streams ended."""
    async with asking as ask:
        assert await ask(0, 1) == ANSWERED  # what the first request loads is not the others'
        for number in range(STREAMS // SHARE):
            provider.inject(FAULTY[number % len(FAULTY)])
        streams = asyncio.gather(*(ask(number, WORDS) for number in range(STREAMS)))
        late = await lateness(streams)
        return late, Counter(await streams)


def row(
    name: str, asking: AbstractAsyncContextManager[Ask], provider: MockProvider
) -> list[object]:
    late, ends = asyncio.run(run(asking, provider))
    provider.reset()
    answers = ends.pop(ANSWERED)
    errors = ", ".join(f"{count} {kind}" for kind, count in ends.most_common())
    marks = (late[len(late) // 2], late[int(len(late) * 0.99)], late[-1])
    return [name, *(f"{mark * 1e3:.1f} ms" for mark in marks), len(late), answers, errors]


def main() -> None:
    with mock_provider(pace=PACE) as provider, tempfile.TemporaryDirectory() as folder:
        url = provider.openai
        rows = [
            row("the SDK of OpenAI alone", bare(url), provider),
            row("massgen-openai", wrapped(openai(url)), provider),
            row("a backend of `mgc plugins new`", wrapped(template(url, folder)), provider),
        ]
    table = {
        "title": "Stalls of the event loop",
        "note": f"{STREAMS} streams begin at once, each of up to {WORDS} words, one every 20 ms; "
        f"every {SHARE}th request meets a fault. A task that sleeps for 5 ms tells how much too "
        "late it woke. The provider is a mock in another process.",
        "columns": ["backend", "median", "p99", "most", "times", "answers", "errors"],
        "rows": rows,
    }
    print(json.dumps(table, indent=None if "--json" in sys.argv else 2))


if __name__ == "__main__":
    main()
