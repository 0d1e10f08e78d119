import asyncio
import sqlite3
from contextlib import closing

import pytest

from massgen_core.sessions import SessionStore


class SteppingClock:
    """Each look at it is one second later, unless `now_` is set."""

    def __init__(self, start=1_700_000_000.0, step=1.0):
        self.now_ = start
        self.step = step

    def now(self):
        self.now_ += self.step
        return self.now_

    def monotonic(self):
        return 0.0


class Place:
    """A database file, opened anew for each thing a test does with it."""

    def __init__(self, folder):
        self.path = folder / "massgen.db"
        self.clock = SteppingClock()

    def open(self, **options):
        options = {"synchronous": "normal", "clock": self.clock, **options}
        return SessionStore.open(self.path, **options)

    def run(self, main, **options):
        async def inside():
            async with self.open(**options) as store:
                return await main(store)

        return asyncio.run(inside())

    def sql(self, query, *parameters):
        with closing(sqlite3.connect(self.path)) as conn, conn:
            return conn.execute(query, parameters).fetchall()


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)
