"""Reading what is intact out of a file that is not."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from massgen_core.sessions._chain import whole
from massgen_core.sessions._journal import scan
from massgen_core.sessions._table import get_row

if TYPE_CHECKING:
    from massgen_core.sessions._journal import Scanned


def intact_entries(conn: sqlite3.Connection, session_id: str) -> list[Scanned]:
    """Every entry that by itself is what was written, in order; the others are left out.

    Raises:
        SessionNotFound: There is no such session.
    """
    row = get_row(conn, session_id)
    found: list[Scanned] = []
    seq = 0
    try:
        for item in scan(conn, session_id):
            seq = max(seq, whole(item.row.seq))
            found.append(item)
    except (
        sqlite3.DatabaseError,
        UnicodeDecodeError,
    ):  # a page is gone: ask for each entry behind it by itself
        last = row.head.seq if "head" not in row.damage() else seq
        found += [item for at in range(seq + 1, last + 1) for item in _one(conn, session_id, at)]
    return [item for item in found if item.intact]


def _one(conn: sqlite3.Connection, session_id: str, seq: int) -> list[Scanned]:
    try:
        return list(scan(conn, session_id, start=seq, stop=seq + 1))
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        return []
