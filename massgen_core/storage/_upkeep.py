"""What is done to a whole file by its own writer: emptying its log, shrinking it, copying it.

Each runs outside any transaction, while nothing else is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from massgen_core.storage._copy import free_name, sync_file
from massgen_core.storage._files import sync_folder
from massgen_core.storage._outside import copy_outside

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

# Milliseconds that a checkpoint waits for readers; other writes wait as long.
_CHECKPOINT_WAIT: Final = 500


def checkpoint(conn: sqlite3.Connection) -> bool:
    """Move the write-ahead log into the file; whether it is empty now."""
    (patience,) = conn.execute("PRAGMA busy_timeout").fetchone()
    conn.execute(f"PRAGMA busy_timeout = {_CHECKPOINT_WAIT}")
    try:
        (blocked, _, _) = conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        conn.execute(f"PRAGMA busy_timeout = {patience}")
    return not blocked


def vacuum(conn: sqlite3.Connection, path: Path, *, whole: bool) -> int:
    """Give unused pages back, or write the `whole` file anew; the bytes it shrank by.

    ``VACUUM`` changes ``auto_vacuum`` of a file in WAL mode as well.
    """
    checkpoint(conn)
    before = path.stat().st_size
    if whole:
        conn.execute("PRAGMA auto_vacuum = INCREMENTAL")
        conn.execute("PRAGMA temp_store = FILE")  # else memory would have to hold the whole file
        try:
            conn.execute("VACUUM")
        finally:
            conn.execute("PRAGMA temp_store = MEMORY")
    else:
        conn.executescript("PRAGMA incremental_vacuum")  # execute() stops after its first page
    checkpoint(conn)
    return max(0, before - path.stat().st_size)


def copy_aside(conn: sqlite3.Connection, path: Path, now: float) -> Path:
    """Copy the file as it is beside it, damage and all; where the copy is."""
    checkpoint(conn)
    target = free_name(path, "damaged", now)
    copy_outside(path, target)
    sync_file(target)
    sync_folder(path.parent)
    return target
