"""Small facts about a ledger, by key."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3


def get_meta(conn: sqlite3.Connection, key: str) -> str | None:
    """The value under a key; None if there is none."""
    row = conn.execute("SELECT value FROM memory_meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def put_meta(conn: sqlite3.Connection, key: str, value: str) -> None:
    """Put a value under a key, in the place of the one before."""
    conn.execute("INSERT OR REPLACE INTO memory_meta VALUES (?, ?)", (key, value))


def drop_meta(conn: sqlite3.Connection, key: str) -> None:
    """Forget a key and its value, if there is one."""
    conn.execute("DELETE FROM memory_meta WHERE key = ?", (key,))
