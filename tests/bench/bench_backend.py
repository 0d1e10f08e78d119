"""What the wrappers around a backend cost: beside the bare backend, in the same run.

The bare backend is the one that `mgc plugins new backend` writes, over HTTP to a provider on
loopback that takes no time of its own to think; then one that yields without any work at all.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from massgen_core.backends import Accounted, Accounts, Endpoints, Policy, Request
from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.events import Finished, TextDelta, Usage
from massgen_core.messages import user
from massgen_core.plugin import PluginContext
from massgen_core.scaffold import write_plugin
from massgen_core.testing import ScriptedBackend, mock_provider
from massgen_core.tokens import ModelCatalogue

CALLS = 40
CHUNKS = 200
MANY = 50_000
TALK = "Count from 1 to 300."


class Instant(ScriptedBackend):
    """Yields so many pieces of text, without a pause."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self._pieces = pieces

    async def stream(self, request, /):
        piece = TextDelta("word ")
        for _ in range(self._pieces):
            yield piece
        yield Usage(9, self._pieces)
        yield Finished("stop", request.model)


def wrapped(backend):
    """As an application wraps it."""
    limits = {"requests_per_minute": 10**6, "tokens_per_minute": 10**9}
    patient = Endpoints().wrap(backend, Policy(**limits), "bench")
    return Accounted(patient, Accounts(), lambda model: None)


async def seconds(backend, request) -> float:
    begun = time.perf_counter()
    pieces = [event async for event in backend.stream(request)]
    assert isinstance(pieces[-1], Finished)
    return time.perf_counter() - begun


async def paired(bare, calls: int, request) -> tuple[float, float]:
    """Medians of the bare and the wrapped backend, asked in turn, after one call of each."""
    patient = wrapped(bare)
    await seconds(bare, request)
    await seconds(patient, request)
    times = [(await seconds(bare, request), await seconds(patient, request)) for _ in range(calls)]
    return tuple(map(statistics.median, zip(*times, strict=True)))


def over_http() -> tuple[list[str], list[str]]:
    """A call with 200 pieces, and one with a single piece."""
    with tempfile.TemporaryDirectory() as folder, mock_provider(pace=0) as provider:
        write_plugin("backend", "bench", Path(folder))
        sys.path.insert(0, f"{folder}/massgen-bench/src")
        made = importlib.import_module("massgen_bench.backend")
        context = PluginContext(SYSTEM_CLOCK, None, ModelCatalogue.shipped())

        def row(name, most):
            request = Request("mock", (user(TALK),), max_output=most)
            bare = made.BenchBackend(made.Settings(base_url=provider.openai), context)
            one, other = asyncio.run(paired(bare, CALLS, request))
            return [
                name,
                f"{one * 1e3:.2f} ms",
                f"{(other - one) * 1e3:+.2f} ms",
                _more(one, other),
            ]

        return row(f"over HTTP, {CHUNKS} pieces", CHUNKS), row("over HTTP, 1 piece", 1)


def in_process() -> list[list[str]]:
    request = Request("m", (user(TALK),))
    one, other = asyncio.run(paired(Instant(MANY), 9, request))
    none, some = asyncio.run(paired(Instant(0), 999, request))
    return [
        [
            "in the process, each piece",
            f"{one / MANY * 1e6:.2f} µs",
            f"{(other - one) / MANY * 1e6:+.2f} µs",
            "",
        ],
        ["in the process, each call", f"{none * 1e6:.0f} µs", f"{(some - none) * 1e6:+.0f} µs", ""],
    ]


def _more(one: float, other: float) -> str:
    return f"{(other / one - 1) * 100:+.1f} %"


def main() -> None:
    table = {
        "title": "Wrappers of a backend",
        "note": (
            "Retries, circuit, limits, timeout and accounts around a backend, beside the bare one "
            "in the same run; wall time, medians of calls in turn. The provider is a mock on "
            "loopback."
        ),
        "columns": ["what", "bare", "wrappers", "share"],
        "rows": [*over_http(), *in_process()],
    }
    print(json.dumps(table) if "--json" in sys.argv else json.dumps(table, indent=2))


if __name__ == "__main__":
    main()
