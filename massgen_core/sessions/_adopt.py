"""Giving entries whose session, or whose references to texts, were lost a home again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_core.sessions._body import references
from massgen_core.sessions._chain import genesis
from massgen_core.sessions._journal import advanced, owner, rows_of
from massgen_core.sessions._table import Head, all_rows, insert_row, new_row
from massgen_core.storage import add_refs

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from massgen_core.sessions._chain import Row
    from massgen_core.sessions._table import SessionRow


def adopt(conn: sqlite3.Connection) -> dict[str, str]:
    """Make sessions for entries without one, and all references anew; what is wrong, by session.

    A missing title and meta cannot be made again. What is missing in the middle of a journal is
    found when it is opened, and `export` writes the rest.
    """
    problems: dict[str, str] = {}
    known = {row.info().id: row for row in all_rows(conn)}
    origins = sorted({row.info().origin for row in known.values()})
    ids = [one for (one,) in conn.execute("SELECT DISTINCT session_id FROM entry ORDER BY 1")]
    for session_id in sorted({*ids, *known}):
        rows = rows_of(conn, session_id)
        if session_id not in known:
            insert_row(conn, _made(session_id, rows, origins))
            problems[session_id] = "its title and meta are lost"
        last = known[session_id].head.seq if session_id in known else 0
        missing = sorted(set(range(1, last + 1)) - {row.seq for row in rows}) or _gaps(rows)
        if missing:
            problems[session_id] = f"{len(missing)} entries are lost, from number {missing[0]} on"
        _refer(conn, session_id, rows)
    return problems


def _made(session_id: str, rows: list[Row], origins: Iterable[str]) -> SessionRow:
    """The row of a session whose own was lost; its first entry is chained to its origin."""
    begun = rows[0].prev if rows[0].seq == 1 else b""
    origin = next((one for one in origins if genesis(one) == begun), session_id)
    head = Head(0, genesis(origin), 0, 0, rows[0].created_at, b"")
    return new_row(
        session_id, created_at=rows[0].created_at, origin=origin, head=advanced(head, rows)
    )


def _gaps(rows: list[Row]) -> list[int]:
    there = {row.seq for row in rows}
    return sorted(set(range(1, max(there, default=0))) - there)


def _refer(conn: sqlite3.Connection, session_id: str, rows: list[Row]) -> None:
    aside = conn.execute(
        "SELECT CAST(body AS BLOB) FROM quarantine WHERE session_id = ?", (session_id,)
    )
    bodies = [row.body for row in rows] + [body for (body,) in aside]
    add_refs(conn, owner(session_id), {one for body in bodies for one in references(body)})
