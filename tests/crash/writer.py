"""Appends to a session without end, and says on stdout what was acknowledged; run to be killed.

Each line is one acknowledged append: ``session <tab> seq:digest seq:digest …``. It is written
only after `Session.append` has returned, so whatever the reader got must survive.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import sys

from massgen_core.messages import ToolCall, assistant, tool, user
from massgen_core.sessions import NewEntry, SessionStore

TASKS = 3
WORDS = ("window", "journal", "entry", "fit", "kill", "disk", "flush", "resume", "blob", "chain")


def text(rnd: random.Random) -> str:
    return " ".join(rnd.choices(WORDS, k=rnd.choice([3, 30, 300, 3000])))


def group(rnd: random.Random, number: int) -> list[NewEntry]:
    """What an agent appends together in one step: always whole after a crash, or not there."""
    mark = f"{number}.{rnd.getrandbits(32)}"
    match rnd.randrange(4):
        case 0:
            return [NewEntry.message(user(f"{mark} {text(rnd)}"), 10, "words")]
        case 1:
            said = assistant(text(rnd), ToolCall(mark, "read", '{"path": "x"}'))
            return [
                NewEntry.message(said, 20, "words"),
                NewEntry("usage", {"prompt": number, "group": mark}),
                NewEntry("tool_state", {"call_id": mark, "state": "started"}),
            ]
        case 2:
            return [
                NewEntry.message(tool(mark, text(rnd)), 30, "words"),
                NewEntry("tool_state", {"call_id": mark, "state": "finished"}),
            ]
        case _:
            operations = [
                {"kind": "drop", "strategy": "floor", "message_ids": [mark], "reason": text(rnd)}
                for _ in range(rnd.randrange(1, 5))
            ]
            return [NewEntry("fit", {"operations": operations, "limit": 2048, "group": mark})]


def digest(entry) -> str:
    return hashlib.sha256(f"{entry.id}{entry.kind}{dict(entry.body)}".encode()).hexdigest()[:16]


async def append_for_ever(store: SessionStore, session_id: str, rnd: random.Random) -> None:
    async with store.open_session(session_id, create=True) as session:
        number = 0
        while True:
            number += 1
            written = await session.append(*group(rnd, number))
            line = " ".join(f"{entry.seq}:{digest(entry)}" for entry in written)
            os.write(1, f"{session_id}\t{line}\n".encode())


async def main(path: str, name: str, seed: str) -> None:
    async with SessionStore.open(path) as store, asyncio.TaskGroup() as tasks:
        for number in range(TASKS):
            rnd = random.Random(f"{seed} {number}")
            tasks.create_task(append_for_ever(store, f"{name}-{number}", rnd))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3]))
