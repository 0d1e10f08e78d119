import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from massgen_core.agents import Agent
from massgen_core.events import TurnFinished
from massgen_core.sessions import SessionStore
from massgen_core.testing import ScriptedBackend
from massgen_core.tokens import ModelInfo

MODEL = ModelInfo("scripted", "test", window=8192, max_output=8192)


@dataclass
class Talk:
    """Runs an agent on one session of a real database; each call opens the session anew."""

    folder: Path

    def agent(self, backend, **options):
        return Agent(backend, model="scripted", info=MODEL, **options)

    def run(self, agent, *inputs):
        """The events of a turn per input, on one open session."""

        async def main():
            events = []
            async with self.open() as store, store.open_session("s", create=True) as session:
                for said in inputs:
                    events += [event async for event in agent.run(session, said)]
            return events

        return asyncio.run(main())

    def open(self):
        return SessionStore.open(self.folder, synchronous="normal")

    def entries(self):
        """All that is on disk; a thread of its own lets a scripted answer ask in mid-run."""

        async def main():
            async with self.open() as store:
                assert (await store.verify()).ok
                return await store.read("s")

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: asyncio.run(main())).result()

    def messages(self):
        return [entry.message for entry in self.entries() if entry.kind == "message"]


@pytest.fixture
def talk(tmp_path):
    return Talk(tmp_path)


@pytest.fixture
def only():
    """The events of one type."""
    return lambda events, kind: [event for event in events if isinstance(event, kind)]


@pytest.fixture
def answer_of():
    def find(events):
        assert isinstance(events[-1], TurnFinished)
        return events[-1].text

    return find


@pytest.fixture(autouse=True)
def strict_backends(monkeypatch):
    """Every scripted backend of these tests refuses what a provider would refuse."""
    monkeypatch.setitem(ScriptedBackend.__init__.__kwdefaults__, "strict", "openai")
