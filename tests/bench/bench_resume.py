"""Resuming a session of 100,000 messages: open, verify the chain, rebuild the view, fit.

The floor is what everyone pays who keeps a transcript: reading the same messages from a JSON-lines
file and tokenising them again. Ours reads counts from the journal and tokenises nothing.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from traffic import agent_traffic, texts

from massgen_core.agents import Agent
from massgen_core.events import TurnFinished
from massgen_core.messages import from_openai
from massgen_core.sessions import NewEntry, SessionStore
from massgen_core.testing import ScriptedBackend
from massgen_core.tokens import ModelCatalogue, counter_for, encoding

BATCH = 500


async def write(folder: Path, traffic: list[dict[str, Any]]) -> float:
    """Wall seconds to append it all, durably, in batches."""
    counter = counter_for(ModelCatalogue.shipped().get("gpt-4o"))
    messages = [from_openai(message) for message in traffic]
    entries = [NewEntry.message(m, counter.count(m).tokens, counter.name) for m in messages]
    async with SessionStore.open(folder) as store, store.create("long") as session:
        start = time.perf_counter()
        for first in range(0, len(entries), BATCH):
            await session.append(*entries[first : first + BATCH])
        return time.perf_counter() - start


async def resume(folder: Path) -> tuple[float, float]:
    """CPU seconds to open the session, and to be ready for the first request of an agent."""
    agent = Agent(ScriptedBackend(["Done."], window=128_000), model="gpt-4o")
    encoding("o200k_base")  # loading the tokenizer is not what is measured
    async with SessionStore.open(folder) as store:
        start = time.process_time()
        async with await store.open_session("long") as session:
            opened = time.process_time() - start
            async for event in agent.run(session, "Go on."):
                if isinstance(event, TurnFinished):
                    return opened, time.process_time() - start
    raise AssertionError("the agent did not answer")


def again(lines: Path) -> float:
    """CPU seconds to read a JSON-lines transcript and tokenise it."""
    encode = encoding("o200k_base").encode_ordinary
    start = time.process_time()
    with lines.open(encoding="utf-8") as file:
        for line in file:
            for text in texts(json.loads(line)):
                encode(text)
    return time.process_time() - start


def row(size: int) -> list[str]:
    traffic = agent_traffic(size)
    while traffic[-1]["role"] != "assistant" or "tool_calls" in traffic[-1]:
        traffic.pop()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        written = asyncio.run(write(folder, traffic))
        opened, ready = asyncio.run(resume(folder))
        lines = folder / "transcript.jsonl"
        lines.write_text("".join(json.dumps(m) + "\n" for m in traffic), "utf-8")
        floor = again(lines)
        stored = sum(f.stat().st_size for f in folder.iterdir() if "massgen.db" in f.name)
        share = stored / lines.stat().st_size
    return [
        f"{size:,}",
        f"{opened:.2f} s",
        f"{ready:.2f} s",
        f"{floor:.2f} s",
        f"{ready / floor:.2f}",
        f"{size / written:,.0f} / s",
        f"{share:.0%}",
    ]


def main() -> None:
    table = {
        "title": "Resume a session",
        "note": "CPU time. Opened: chain verified, entries loaded. Ready: the first request is "
        "fitted and answered. Floor: reading the same messages from JSON lines and tokenising "
        "them. Written: wall time, durable batches of 500. Size: the database beside that file.",
        "columns": ["messages", "opened", "ready", "floor", "ready / floor", "written", "size"],
        "rows": [row(size) for size in (1_000, 10_000, 100_000)],
    }
    print(json.dumps(table) if "--json" in sys.argv else json.dumps(table, indent=2))


if __name__ == "__main__":
    main()
