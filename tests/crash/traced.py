"""Changes a long-term memory for a while, and writes to ``ACKS`` what it begins and has done.

``traced.py FOLDER ACKS SEED COUNT`` is run under strace; each line of ``ACKS`` is one write.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import random
import sys
from pathlib import Path

from acting import OPERATIONS, Actor, State

from massgen_core.memory import Memory


async def main(folder: str, acks: str, seed: str, count: str) -> None:
    rnd = random.Random(seed)
    out = os.open(acks, os.O_WRONLY | os.O_CREAT)

    def say(*what: object) -> None:
        os.write(out, pickle.dumps(what))

    say("begin", "migrate", State())
    async with Memory.open(Path(folder) / "massgen.db") as memory:
        actor = Actor(memory, State(), rnd, say)
        actor.done("migrate", State())
        for number in range(int(count)):
            await actor.do(OPERATIONS[1 + number % (len(OPERATIONS) - 1)])
            await actor.do(rnd.choice(["add", "update", "remember_many"]))
            target = Path(folder) / "archive"
            await memory.export(target)
            say("exported", str(target), len(target.read_bytes()))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
