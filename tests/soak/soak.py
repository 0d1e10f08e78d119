"""Thousands of turns of a real agent, against a mock provider and against a real local model.

Usage: soak.py [--json] [--turns N] [--seconds S]

    --turns    against the mock; MASSGEN_SOAK_TURNS, or 10,000
    --seconds  against the local model; MASSGEN_SOAK_SECONDS, or 300; 0 leaves it out

The exit status is 1 if what `endurance` promises did not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from chat_backend import ChatBackend
from endurance import SAMPLES, Liar, Ran, Setting, run
from provider import serving
from traffic import Traffic

from massgen_core.agents import Tool
from massgen_core.chain import strategy_chain
from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.plugin import PluginContext, PluginHost
from massgen_core.tokens import ModelCatalogue, ModelInfo, counter_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from massgen_core.context import TruncationStrategy

WINDOW, CLAIMED = 6_000, 128_000
PHASES = 10
LOCAL_WINDOW = 512
LOCAL_ANSWER = 16
MOST_TOLD = 20
MODELS = ModelCatalogue.shipped()


def recommended() -> Sequence[TruncationStrategy]:
    """The chain that is used when none is chosen."""
    ctx = PluginContext(clock=SYSTEM_CLOCK, data_dir=None, models=MODELS)
    return strategy_chain(PluginHost(), ctx)


def against_mock(turns: int) -> tuple[Ran, float]:
    """What happened, and the seconds it took."""
    known = MODELS.get("gpt-4o")
    traffic = Traffic()

    def look_up(query: str) -> str:
        """Looks up an order, a customer, the payment gateway, a retry policy or a deployment.

        Args:
            query: what to look for about the order, the review, the region and its latency
        """
        return traffic.result()

    def model(phase: int) -> ModelInfo:
        return replace(known, name=f"mock-{phase}", window=CLAIMED)

    with ExitStack() as stack:
        address = stack.enter_context(serving(WINDOW))
        setting = Setting(
            Path(stack.enter_context(tempfile.TemporaryDirectory())),
            ChatBackend(address, window=CLAIMED),
            model,
            recommended(),
            Liar(counter_for(known)),
            traffic.question,
            [Tool.of(look_up)],
            reserve=256,
            sample=max(1, turns // SAMPLES),
        )
        phases = [turns // PHASES + (phase < turns % PHASES) for phase in range(PHASES)]
        return asyncio.run(closing(setting, phases, 0))


def against_local(seconds: float) -> tuple[Ran, float]:
    """The same with a real model in a small window, for as long as there is time."""
    from massgen_local.backend import LocalBackend
    from massgen_local.settings import LocalSettings

    known = MODELS.get("smollm2")
    traffic = Traffic(scale=0.2)
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(
            Path(folder),
            LocalBackend(LocalSettings(window=LOCAL_WINDOW)),
            lambda _: replace(known, name="local"),
            recommended(),
            Liar(counter_for(known)),
            traffic.question,
            reserve=LOCAL_ANSWER,
        )
        return asyncio.run(closing(setting, [1_000_000], seconds))


async def closing(setting: Setting, phases: list[int], seconds: float) -> tuple[Ran, float]:
    start = time.monotonic()
    end = start + seconds if seconds else float("inf")
    try:
        ran = await run(setting, phases, lambda: time.monotonic() > end)
    finally:
        await setting.backend.aclose()
    return ran, time.monotonic() - start


def row(name: str, ran: Ran, seconds: float) -> list[object]:
    return [
        name,
        f"{ran.turns:,}",
        f"{ran.messages:,}",
        f"{ran.tool_calls:,}",
        f"{ran.requests:,}" if ran.requests else "-",
        f"{ran.fits:,}",
        ran.models,
        ran.learned,
        ran.refused,
        ran.cut,
        ran.over,
        len(ran.errors),
        *memory(ran),
        f"{seconds / max(1, ran.turns) * 1e3:,.0f} ms",
    ]


def memory(ran: Ran) -> list[str]:
    if len(ran.memory) < SAMPLES // 2:
        return ["-"] * 3
    text = ran.text_bytes / ran.messages
    shown = [f"{found[0] / 2**20:,.0f} MiB" for found in (ran.early, ran.memory[-1])]
    return [*shown, f"{ran.per_message / 1024:.1f} KiB for {text / 1024:.1f} KiB of text"]


def table(ran: dict[str, tuple[Ran, float]]) -> dict[str, object]:
    return {
        "title": "Thousands of turns",
        "note": f"A real agent and a real session on disk. The mock provider (llmock) refuses more "
        f"than {WINDOW:,} tokens, the agent believes in {CLAIMED:,}; the local model has "
        f"{LOCAL_WINDOW}. Of the tokens the agent's counter finds half; next to the mock, which "
        "counts characters, that is a third of those in prose and too many in Chinese. Ten times "
        "everything is closed, the session resumed, and a model asked that was never asked. "
        "Overflows: requests the provider refused as too long; re-calibrations: answers that met "
        "one. There may be 1.05 overflows a re-calibration, and one re-calibration a model and in "
        "200 requests. Every request to the mock is checked by the message order of OpenAI, "
        "Anthropic and Gemini; the journal is verified at the end. Memory: resident, after a tenth "
        "of the turns and at the end; the history is held in memory, so it grows with what is "
        "said. It is not shown for the local model, which lives in the same process. Wall time a "
        "turn, the provider's included.",
        "columns": [
            *("provider", "turns", "messages", "tool calls", "requests", "fits", "models"),
            *("re-calibrations", "overflows", "cut answers", "answered over", "errors"),
            *("memory early", "at the end", "growth a message", "a turn"),
        ],
        "rows": [row(name, *result) for name, result in ran.items()],
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    turns = int(os.environ.get("MASSGEN_SOAK_TURNS", "10000"))
    parser.add_argument("--turns", type=int, default=turns)
    seconds = float(os.environ.get("MASSGEN_SOAK_SECONDS", "300"))
    parser.add_argument("--seconds", type=float, default=seconds)
    return parser.parse_args()


def main() -> int:
    asked = arguments()
    ran = {"llmock": against_mock(asked.turns)}
    if asked.seconds:
        ran["SmolLM2-135M"] = against_local(asked.seconds)
    print(json.dumps(table(ran), indent=None if asked.json else 2))
    problems = [f"{name}: {told}" for name, (one, _) in ran.items() for told in one.problems()]
    for problem in problems[:MOST_TOLD]:
        print(problem, file=sys.stderr)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
