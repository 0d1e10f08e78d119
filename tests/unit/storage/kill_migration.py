"""Migrates a released file to today's schema, killed at the first SQL statement, the second, ….

Prints, as JSON, how many kills there were and what was wrong after each.
"""

import gzip
import json
import os
import runpy
import shutil
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from massgen_core.storage import SCHEMA

each = runpy.run_path(str(Path(__file__).with_name("kill_at_each_statement.py")))


def tables(path):
    with closing(sqlite3.connect(path)) as conn:
        query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        return [name for (name,) in conn.execute(query)]


def rows(path, names):
    """Everything that stands in these tables."""
    with closing(sqlite3.connect(path)) as conn:
        return [conn.execute(f"SELECT * FROM {name}").fetchall() for name in names]  # noqa: S608 - our own words


def layout(path):
    with closing(sqlite3.connect(path)) as conn:
        found = conn.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        return conn.execute("PRAGMA user_version").fetchone()[0], found


def killed(path, number):
    """Whether the kill came before the migration was complete."""
    if (pid := os.fork()) == 0:
        each["killing_at"](number)
        with each["opened"](path, SCHEMA):
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def wrong_after(path, names, before, layouts):
    """What is wrong, if the file must have one of these layouts, oldest first, and these rows."""
    problems = []
    if layout(path) not in layouts:
        problems.append("neither an old schema nor the new one")
    if rows(path, names) != before:
        problems.append("rows differ after the kill")
    with each["opened"](path, SCHEMA) as conn:
        if conn.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            problems.append("integrity")
    if layout(path) != layouts[-1] or rows(path, names) != before:
        problems.append("not migrated by the next opening")
    problems += [
        "backup is not whole"
        for backup in path.parent.glob("*.bak")
        if layout(backup) not in layouts[:-1] or rows(backup, names) != before
    ]
    return problems


def main(folder, file):
    data = gzip.decompress(Path(file).read_bytes())

    def fresh(name):
        path = Path(folder) / name / "massgen.db"
        path.parent.mkdir()
        path.write_bytes(data)
        return path

    old = fresh("old")
    layouts, names = [layout(old)], tables(old)
    before = rows(old, names)
    for version in range(layouts[0][0] + 1, len(SCHEMA) + 1):
        with each["opened"](old, SCHEMA[:version]):
            pass
        layouts.append(layout(old))
    number, wrong = 0, []
    while True:
        number += 1
        path = fresh(str(number))
        if not killed(path, number):
            break
        found = wrong_after(path, names, before, layouts)
        wrong += [f"statement {number}: {problem}" for problem in found]
        shutil.rmtree(path.parent)
    print(json.dumps({"kills": number - 1, "wrong": wrong}))  # noqa: T201 - read by the test


if __name__ == "__main__":
    main(*sys.argv[1:])
