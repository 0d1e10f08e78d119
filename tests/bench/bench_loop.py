"""The agent loop: append one message, fit, for conversations of 1k, 10k and 100k messages.

The floor is tokenising the texts of the same new messages with tiktoken; the peer is LangChain's
`trim_messages` with the same tokenizer, which starts over at each turn. Ours and the floor
alternate in blocks of turns, so that what else the machine does falls on both, and take turns at
being the first to read a text. The garbage collector is on, as it is for users, but does not walk
what is the benchmark's own (the traffic, LangChain), and is off while the floor is measured, which
keeps nothing.
"""

from __future__ import annotations

import gc
import itertools
import json
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.utils import trim_messages
from traffic import agent_traffic, texts

from massgen_core import Conversation
from massgen_core.tokens import encoding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENCODE = encoding("o200k_base").encode_ordinary
BLOCK, BLOCKS, PEER_TURNS = 250, 8, 3
LONGEST_FOR_PEER = 10_000  # at 100,000 it takes minutes a turn
CHAINS = {"sliding_window": ["sliding_window"], "recommended": None}
CASES = [(1_000, 8_000), (10_000, 8_000), (100_000, 8_000), (10_000, 128_000), (100_000, 128_000)]


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def ours(
    size: int, budget: int, traffic: list[dict[str, Any]], chain: list[str] | None
) -> tuple[float, float, float]:
    """CPU seconds of append and fit: mean and median turn; and mean of tokenising the message."""
    chat = Conversation(budget=budget, strategies=chain)
    chat.extend(traffic[:size])
    chat.fit()
    gc.collect()
    turns, floors = [], []
    for number in range(BLOCKS):
        block = traffic[size + number * BLOCK :][:BLOCK]
        works = [
            (floors, lambda block=block: tokenise(block)),
            (turns, lambda block=block: run(chat, block)),
        ]
        for times, work in works if number % 2 else reversed(works):
            if times is floors:
                gc.disable()
            times.append(seconds(work))
            gc.enable()
    single = traffic[size + BLOCK * BLOCKS :][: 2 * BLOCK]
    median = statistics.median(
        [seconds(lambda message=message: step(chat, message)) for message in single]
    )
    return sum(turns) / len(turns) / BLOCK, median, sum(floors) / len(floors) / BLOCK


def tokenise(block: list[dict[str, Any]]) -> None:
    for message in block:
        for text in texts(message):
            ENCODE(text)


def run(chat: Conversation, block: list[dict[str, Any]]) -> None:
    for message in block:
        step(chat, message)


def step(chat: Conversation, message: dict[str, Any]) -> None:
    chat.append(message)
    chat.fit()


def peer(size: int, budget: int, traffic: list[dict[str, Any]]) -> float:
    """CPU seconds per turn of `trim_messages` over the whole list, as its documentation has it."""
    messages = [to_langchain(message) for message in traffic[: size + PEER_TURNS]]

    def turn(end: int) -> object:
        return trim_messages(
            messages[:end],
            max_tokens=budget,
            token_counter=count,
            strategy="last",
            include_system=True,
            start_on=("human", "ai"),
        )

    return min(seconds(lambda end=end: turn(end)) for end in range(size, size + PEER_TURNS))


def count(messages: list[BaseMessage]) -> int:
    return sum(3 + sum(len(ENCODE(text)) for text in langchain_texts(m)) for m in messages)


def langchain_texts(message: BaseMessage) -> Iterator[str]:
    yield str(message.content)
    for call in getattr(message, "tool_calls", ()):
        yield from (call["name"], json.dumps(call["args"]))


def to_langchain(message: dict[str, Any]) -> BaseMessage:
    content = message["content"]
    match message["role"]:
        case "system":
            return SystemMessage(content)
        case "user":
            return HumanMessage(content)
        case "tool":
            return ToolMessage(content, tool_call_id=message["tool_call_id"])
    calls = [
        {
            "id": c["id"],
            "name": c["function"]["name"],
            "args": json.loads(c["function"]["arguments"]),
        }
        for c in message.get("tool_calls", ())
    ]
    return AIMessage(content, tool_calls=calls)


def row(size: int, budget: int, name: str, traffic: list[dict[str, Any]]) -> list[str]:
    turn, median, floor = ours(size, budget, traffic, CHAINS[name])
    compared = size <= LONGEST_FOR_PEER and CHAINS[name] is not None
    other = peer(size, budget, traffic) if compared else None
    return [
        f"{size:,}",
        f"{budget:,}",
        name,
        micro(turn),
        micro(median),
        micro(floor),
        f"{turn / floor:.2f}",
        micro(other) if other else "-",
        f"{other / turn:,.0f} times" if other else "-",
    ]


def micro(value: float) -> str:
    return f"{value * 1e6:,.0f} µs"


def main() -> None:
    traffic = agent_traffic(max(size for size, _ in CASES) + BLOCK * (BLOCKS + 2) + 1)
    gc.freeze()
    rows = [row(size, budget, name, traffic) for size, budget in CASES for name in CHAINS]
    table = {
        "title": "Append one message, fit",
        "note": "CPU time per turn: the mean, and the median turn, in which nothing is fitted. "
        "Floor: mean of tokenising the new message. Ratio: our mean to the floor. "
        "Peer: LangChain trim_messages over the same messages with the same tokenizer. "
        "The recommended chain clips, and writes a digest, for what the sliding window just drops.",
        "columns": [
            *("messages", "budget", "strategies", "ours", "median", "floor", "ratio"),
            *("trim_messages", "faster by"),
        ],
        "rows": rows,
    }
    if "--json" in sys.argv:
        print(json.dumps(table))
    else:
        for line in itertools.chain([table["columns"]], rows):
            print("".join(f"{cell!s:>16}" for cell in line))


if __name__ == "__main__":
    main()
