"""Remembers a message, then asks an extractor that never answers; run to be killed."""

from __future__ import annotations

import asyncio
import sys

from massgen_core.memory import Memory, Plugins


class Stuck:
    identity = "stuck/1"

    async def extract(self, messages, known, /):
        sys.stdout.write(f"asked {len(messages)}\n")
        sys.stdout.flush()
        await asyncio.sleep(600)


async def main(folder):
    async with Memory.open(folder, plugins=Plugins(extractor=Stuck())) as memory:
        await memory.remember("I'm allergic to nuts.", scope={"user": "ada"}, speaker="Ada")
        await memory.work()


asyncio.run(main(sys.argv[1]))
