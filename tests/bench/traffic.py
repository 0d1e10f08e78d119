"""Synthetic agent traffic as OpenAI chat messages: about 120 tokens each, the same in every run."""

from __future__ import annotations

import json
import random
from typing import Any

WORDS = """
the context window of this model is limited so we keep what matters and drop the rest while an
agent reads files runs tests edits code checks results and reports back about a migration
payment gateway retry policy customer order latency budget error timeout cache schema version
""".split()  # noqa: SIM905 - prose reads better than a list of words


def agent_traffic(count: int, seed: int = 7) -> list[dict[str, Any]]:
    """A system prompt, then turns of a task, two tool calls with results, and an answer."""
    source = random.Random(seed)
    out = [{"role": "system", "content": "You are a careful engineer. " + say(source, 110)}]
    number = 0
    while len(out) < count:
        out.append({"role": "user", "content": f"Task {number}: {say(source, 100)}"})
        for _ in range(2):
            out.extend(step(source, number))
            number += 1
        out.append({"role": "assistant", "content": say(source, 120)})
    return out[:count]


def say(source: random.Random, words: int) -> str:
    return " ".join(source.choice(WORDS) for _ in range(words))


def step(source: random.Random, number: int) -> list[dict[str, Any]]:
    arguments = {"query": say(source, 6), "path": f"src/{source.choice(WORDS)}.py", "limit": number}
    function = {"name": "search_files", "arguments": json.dumps(arguments)}
    rows = [
        {
            "path": f"src/{source.choice(WORDS)}.py",
            "line": source.randrange(900),
            "text": say(source, 4),
        }
        for _ in range(4)
    ]
    call_id = f"call_{number:06d}"
    call = {"id": call_id, "type": "function", "function": function}
    return [
        {"role": "assistant", "content": say(source, 60), "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call_id, "content": json.dumps(rows)},
    ]


def texts(message: dict[str, Any]) -> list[str]:
    """All that a provider tokenises of a message."""
    out = [message["content"] or ""]
    for call in message.get("tool_calls", ()):
        out += [call["function"]["name"], call["function"]["arguments"]]
    if "tool_call_id" in message:
        out.append(message["tool_call_id"])
    return out
