"""What is read of a file that is open gives no lock of SQLite's away."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from massgen_core.memory import Memory

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX locks")
ADA = {"user": "ada"}
# SQLite's "dead man's switch": who can lock this byte of the index takes itself for the first.
FIRST = """
import fcntl, sys
file = open(sys.argv[1] + "-shm", "rb+")
try:
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 128)
    print("mine")
except OSError:
    print("locked")
"""
EXCLUSIVE = """
import sqlite3, sys
conn = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
print(conn.execute("PRAGMA journal_mode = DELETE").fetchone()[0])
"""


def as_another(path, script):
    """What another process gets when it wants the file for itself."""
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or done.stderr.strip().rpartition("\n")[2]


def test_opening_a_memory_twice_keeps_others_out(tmp_path):
    async def main():
        async with Memory.open(tmp_path) as one:
            await one.remember("tea", scope=ADA)
            async with Memory.open(tmp_path):
                pass
            said = as_another(one.path, FIRST)
            await one.remember("tea two", scope=ADA)
            assert (await one.verify()).ok
            return said

    assert "locked" in asyncio.run(main())


def test_a_repair_keeps_others_out(tmp_path):
    async def main():
        async with Memory.open(tmp_path) as memory:
            await memory.remember("tea", scope=ADA)
            with closing(sqlite3.connect(memory.path)) as conn, conn:
                conn.execute("UPDATE memory_record SET state = 'superseded'")
            await memory.repair()
            return as_another(memory.path, EXCLUSIVE)

    assert "locked" in asyncio.run(main())
