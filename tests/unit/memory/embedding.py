"""Makes vectors, and never gets beyond the second batch; run to be killed."""

from __future__ import annotations

import asyncio
import sys

from massgen_core.memory import Memory, Plugins


class Stuck:
    identity = "letters/aeiou"
    dimensions = 5

    def __init__(self):
        self.made = 0

    async def embed(self, texts, /, *, purpose):
        if self.made == 128:
            sys.stdout.write(f"{self.made}\n")
            sys.stdout.flush()
            await asyncio.sleep(600)
        self.made += len(texts)
        return [[1.0 + text.count(letter) for letter in "aeiou"] for text in texts]

    async def close(self):
        pass


async def main(folder):
    async with Memory.open(folder, plugins=Plugins(embedder=Stuck())) as memory:
        await memory.settle()


asyncio.run(main(sys.argv[1]))
