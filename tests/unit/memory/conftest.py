import asyncio

import pytest

from massgen_core.memory import Memory


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
