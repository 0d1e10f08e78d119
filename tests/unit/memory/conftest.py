import asyncio

import pytest

from massgen_core.memory import Memory
from massgen_core.memory._table import in_scopes


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self):
        self.time = 1_750_000_000.0

    def now(self):
        return self.time

    def monotonic(self):
        return self.time


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def run(tmp_path, clock):
    """Runs a coroutine function with a memory; the same file each time."""

    def run(work, **options):
        async def main():
            async with Memory.open(tmp_path, clock=clock, **options) as memory:
                return await work(memory)

        return asyncio.run(main())

    return run


@pytest.fixture
def loads(monkeypatch):
    """What recall loaded from the ledger, whole scopes only: one item each time."""
    made = []

    def counted(*args):
        made.append(args)
        return in_scopes(*args)

    monkeypatch.setattr("massgen_core.memory._loaded.in_scopes", counted)
    return made
