"""Runs one turn again and again in processes of its own, and kills each one event later."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from massgen_core.agents import Agent
from massgen_core.events import MessageAppended
from massgen_core.messages import ToolCall
from massgen_core.sessions import SessionStore
from massgen_core.testing import Answer, ScriptedBackend
from massgen_core.tokens import ModelInfo

PAGES = 4


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


def make_agent(*, die_in_tool=False, die_in_request=False):
    """An agent that reads pages two at a time, whatever was read before it started."""

    def read(page: int) -> str:
        """One page."""
        if die_in_tool and page == 1:
            _die()
        return f"page {page}: " + "word " * 350

    def script(request):
        asked = sum(len(message.calls) for message in agent.conversation_messages())
        if die_in_request and asked:
            _die()
        if asked >= PAGES:
            return Answer("All read.")
        calls = [
            ToolCall(f"c{asked + n}", "read", json.dumps({"page": asked + n})) for n in range(2)
        ]
        return Answer("Reading on.", tuple(calls))

    backend = ScriptedBackend(iter(lambda: script, None), window=700)
    info = ModelInfo("scripted", "test", window=8192, max_output=8192)
    agent = _Reader(backend, model="scripted", info=info, tools=[read], output_reserve=64)
    return agent


class _Reader(Agent):
    def conversation_messages(self):
        (conversation,) = self._seat._conversations.values()
        return [m for group in conversation.window.history for m in group.messages]


async def _turn(folder, stop, tell, **where):
    opening = SessionStore.open(folder, synchronous="normal")
    async with opening as store, store.create("s") as session:
        left = stop
        async for event in make_agent(**where).run(session, "Read all pages"):
            seq = event.seq if isinstance(event, MessageAppended) else None
            tell({"kind": event.kind, "seq": seq})
            left -= 1
            if not left:
                _die()


def _victim(folder, stop, **where):
    """Forks a process that is killed at its event `stop`; what it told until then."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        tell = lambda data: os.write(writing, json.dumps(data).encode() + b"\n")  # noqa: E731
        asyncio.run(_turn(folder, stop, tell, **where))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        told = [json.loads(line) for line in stream]
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), told


def main():
    root = Path(sys.argv[1])
    plans = [(0, {"die_in_tool": True}, "in a tool"), (0, {"die_in_request": True}, "in a request")]
    plans += [(stop, {}, None) for stop in range(1, 200)]
    for number, (stop, where, place) in enumerate(plans):
        folder = str(root / str(number))
        code, told = _victim(folder, stop, **where)
        if code == 0:  # the turn ended before event number `stop`
            return
        report = {
            "folder": folder,
            "code": code,
            "told": [event["kind"] for event in told] + ([place] if place else []),
            "acknowledged": [event["seq"] for event in told if event["seq"]],
        }
        print(json.dumps(report), flush=True)  # noqa: T201 - read by the test


if __name__ == "__main__":
    main()
