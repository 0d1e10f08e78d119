"""Writes to a long-term memory beside other processes, under a clock that jumps; run several times.

``contender.py FOLDER NAME WRITES SEED`` remembers something of its own, or counts one of the shared
counters up by compare and swap. It prints how many of each were acknowledged, and the conflicts.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import time

from massgen_core import open_memory
from massgen_core.errors import RecordConflict

COUNTERS = 4
YEAR = 365 * 86_400.0
OWN = {"team": "red", "session": "own"}
SHARED = {"team": "red", "session": "shared"}


class JumpingClock:
    """Up to ten years off, each time another way; never the same in two processes."""

    def __init__(self, rnd: random.Random) -> None:
        self.rnd = rnd

    def now(self) -> float:
        return time.time() + self.rnd.choice([0, 0, -1, 1]) * self.rnd.random() * 10 * YEAR

    def monotonic(self) -> float:
        return time.monotonic()


async def count_up(memory, number: int) -> int:
    """One more on a counter; how often somebody else was faster."""
    conflicts = 0
    while True:
        now = await memory.get(f"counter-{number}")
        word, _, value = now.text.partition(" ")
        try:
            text = f"{word} {int(value) + 1}"
            await memory.update(now.id, text=text, expected_rev=now.rev)
        except RecordConflict:
            conflicts += 1
        else:
            return conflicts


async def contend(folder: str, name: str, writes: int, seed: str) -> dict[str, int]:
    rnd = random.Random(f"{seed} {name}")
    done = {"own": 0, "counted": 0, "conflicts": 0}
    async with open_memory(folder, clock=JumpingClock(rnd)) as memory:
        for number in range(COUNTERS):
            with contextlib.suppress(RecordConflict):  # another has begun to count
                await memory.remember("counter 0", scope=SHARED, id=f"counter-{number}")
        for _ in range(writes):
            if rnd.random() < 0.5:
                text = f"note {done['own']} of {name} " + "word " * rnd.choice([1, 100])
                await memory.remember(text, scope=OWN, id=f"{name}-{done['own']}")
                done["own"] += 1
            else:
                done["conflicts"] += await count_up(memory, rnd.randrange(COUNTERS))
                done["counted"] += 1
    return done


if __name__ == "__main__":
    folder, name, writes, seed = sys.argv[1:]
    print(json.dumps(asyncio.run(contend(folder, name, int(writes), seed))))  # noqa: T201
