"""Migrates a file again and again, killed at the first SQL statement, the second, and so on.

Prints, as JSON, how many kills there were and what was wrong after each.
"""

import json
import os
import shutil
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.storage import APPLICATION_ID, Migration
from massgen_core.storage._connect import connect_writer

ROWS = 4


def lengths(conn):
    for (rowid,) in conn.execute("SELECT rowid FROM note").fetchall():
        conn.execute("UPDATE note SET length = length(text) WHERE rowid = ? % 1000000", (rowid,))


MIGRATIONS = (
    Migration(1, "notes", ("CREATE TABLE note (text TEXT NOT NULL)", "CREATE TABLE other (x)")),
    Migration(2, "length", ("ALTER TABLE note ADD COLUMN length INTEGER", lengths)),
    Migration(
        3,
        "rebuild",
        (
            "CREATE TABLE note2 (length INTEGER NOT NULL, text TEXT NOT NULL)",
            "INSERT INTO note2 SELECT length, text FROM note",
            "DROP TABLE note",
            "ALTER TABLE note2 RENAME TO note",
            "CREATE INDEX note_length ON note (length)",
        ),
    ),
)


def opened(path, migrations=MIGRATIONS):
    return closing(
        connect_writer(path, migrations, synchronous="full", clock=SYSTEM_CLOCK, busy_timeout=5)
    )


def killing_at(number):
    """Make every connection count its statements; the process ends at the given one."""
    real = sqlite3.connect
    left = [number]

    def trace(_):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def connect(*args, **kwargs):
        conn = real(*args, **kwargs)
        conn.set_trace_callback(trace)
        return conn

    sqlite3.connect = connect


def prepare(path, start):
    if start == "old":
        with opened(path, MIGRATIONS[:1]) as conn:
            conn.executemany("INSERT INTO note VALUES (?)", [("x" * n,) for n in range(ROWS)])


def killed(path, number):
    """Whether the kill came before the migration was complete."""
    if (pid := os.fork()) == 0:
        killing_at(number)
        with opened(path):
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def wrong_after(path, start):
    """What is wrong with the file as the kill left it, and after the next opening."""
    expected = [(n, "x" * n) for n in range(ROWS)] if start == "old" else []
    problems = []
    with closing(sqlite3.connect(path)) as conn:
        version = conn.execute("PRAGMA user_version").fetchone()[0]
        columns = [row[1] for row in conn.execute("PRAGMA table_info(note)")]
        shapes = {0: [], 1: ["text"], 2: ["text", "length"], 3: ["length", "text"]}
        if columns != shapes[version]:
            problems.append(f"version {version} with columns {columns}")
    with opened(path) as conn:
        if conn.execute("SELECT * FROM note ORDER BY length").fetchall() != expected:
            problems.append("content differs")
        if conn.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            problems.append("integrity")
        if conn.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
            problems.append("application id")
    for backup in path.parent.glob("*.bak"):
        with closing(sqlite3.connect(backup)) as conn:
            if len(conn.execute("SELECT text FROM note").fetchall()) != len(expected):
                problems.append("backup is not whole")
    return problems


def main(folder, start):
    number, wrong = 0, []
    while True:
        number += 1
        path = Path(folder) / str(number) / "x.db"
        path.parent.mkdir()
        prepare(path, start)
        if not killed(path, number):
            break
        wrong += [f"statement {number}: {problem}" for problem in wrong_after(path, start)]
        shutil.rmtree(path.parent)
    print(json.dumps({"kills": number - 1, "wrong": wrong}))  # noqa: T201 - read by the test


if __name__ == "__main__":
    main(*sys.argv[1:])
