"""An agent that is started again and again, each time in a new process, and killed now and then.

``restarts.py FOLDER COUNT SEED``: in each life the agent is asked for something that it was told in
an earlier one, and told something new. Prints, as JSON, lives, kills, what was told, and asked for.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import select
import signal
import sys
import time
import traceback
from collections import Counter

from massgen_core.agents import Agent, LongTerm
from massgen_core.memory import Memory
from massgen_core.sessions import SessionStore
from massgen_core.testing import ScriptedBackend
from massgen_core.tokens import tiktoken_counter

ADA = {"user": "ada"}


def fact(room: int) -> str:
    return f"The door of room{room} has the code {random.Random(room).getrandbits(40):x}."


async def turn(folder: str, session_id: str, said: str, answer: str) -> str:
    """The agent's turn, and all that its request held."""
    backend = ScriptedBackend([answer])
    async with (
        SessionStore.open(folder) as store,
        Memory.open(folder) as memory,
        store.open_session(session_id, create=True) as session,
    ):
        agent = Agent(backend, model="gpt-4o", memory=LongTerm(memory, ADA, limit=10))
        async for _ in agent.run(session, said):
            pass
    return "\n".join(message.text for message in backend.requests[-1].messages)


async def live(folder: str, life: int, asked: int | None, out: int) -> None:
    if asked is not None:
        request = await turn(folder, f"ask{life}", f"What is the code of room{asked}?", fact(asked))
        assert fact(asked) in request, f"room {asked} was told and is not recalled"
        os.write(out, b"asked\n")
    await turn(folder, f"tell{life}", fact(life), "Noted.")
    os.write(out, b"told\n")


def one_life(folder: str, life: int, asked: int | None, deadline: float | None) -> tuple[str, int]:
    """What the process said, and how it ended."""
    inward, outward = os.pipe()
    if (pid := os.fork()) == 0:
        code = 1
        try:
            os.close(inward)
            asyncio.run(live(folder, life, asked, outward))
            code = 0
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(code)
    os.close(outward)
    said = b""
    if deadline is not None:
        time.sleep(deadline)
        os.kill(pid, signal.SIGKILL)
    while select.select([inward], [], [], 60)[0] and (more := os.read(inward, 4096)):
        said += more
    os.close(inward)
    return said.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


async def check(folder: str, told: list[int]) -> None:
    async with SessionStore.open(folder) as store, Memory.open(folder) as memory:
        assert (await store.verify()).ok
        assert (await memory.verify()).problems == ()
        texts = {one.text for one in await memory.timeline(ADA)}
    assert texts >= {fact(room) for room in told}


def main(folder: str, count: str, seed: str) -> None:
    rnd = random.Random(seed)
    counts: Counter[str] = Counter()
    told: list[int] = []
    seconds = 0.1
    tiktoken_counter("o200k_base").count_text("")  # loaded once, for all lives
    for life in range(int(count)):
        begun = time.monotonic()
        deadline = rnd.random() * 1.2 * seconds if life % 4 == 3 else None
        said, code = one_life(folder, life, rnd.choice(told) if told else None, deadline)
        if deadline is None:
            seconds += (time.monotonic() - begun - seconds) / 4
        killed = deadline is not None and code == -signal.SIGKILL
        assert killed or code == 0, f"life {life} ended with {code}"
        counts["lives"] += 1
        counts["kills"] += killed
        counts["asked"] += "asked" in said
        if "told" in said:
            told.append(life)
    counts["told"] = len(told)
    asyncio.run(check(folder, told))
    print(json.dumps(counts))  # noqa: T201 - read by the test


if __name__ == "__main__":
    main(*sys.argv[1:])
