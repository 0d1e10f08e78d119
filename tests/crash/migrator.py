"""Migrates a database of the first schema to a later one, and is killed at a random statement.

The statement is the one after which `left` is zero; what comes later says ``done``.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from typing import TYPE_CHECKING

from massgen_core.storage import SCHEMA, Database, Migration

if TYPE_CHECKING:
    from collections.abc import Callable


def _marked(conn: sqlite3.Connection) -> None:
    for session_id, seq in conn.execute("SELECT session_id, seq FROM entry").fetchall():
        conn.execute("INSERT INTO seen VALUES (?, ?)", (session_id, seq))


LATER = (
    *SCHEMA,
    Migration(
        len(SCHEMA) + 1,
        "seen",
        ("CREATE TABLE seen (session_id TEXT, seq INTEGER)", _marked),
    ),
    Migration(
        len(SCHEMA) + 2,
        "stars",
        (
            "ALTER TABLE session ADD COLUMN stars INTEGER NOT NULL DEFAULT 0",
            "CREATE INDEX seen_session ON seen (session_id)",
            "UPDATE session SET stars = (SELECT count(*) FROM seen WHERE session_id = session.id)",
        ),
    ),
)


def kill_at(left: int) -> None:
    """Count the statements of all connections; the process ends at the given one."""
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect
    count = [left]

    def trace(_: str) -> None:
        count[0] -= 1
        if count[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def traced(*args: object, **kwargs: object) -> sqlite3.Connection:
        conn = connect(*args, **kwargs)
        conn.set_trace_callback(trace)
        return conn

    sqlite3.connect = traced


async def main(path: str) -> None:
    async with Database.open(path, migrations=LATER) as database:
        print("done", database.schema)  # noqa: T201 - read by the test


if __name__ == "__main__":
    kill_at(int(sys.argv[2]))
    asyncio.run(main(sys.argv[1]))
