"""Copies that share their texts, and removal that leaves nothing behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_core.errors import InvalidArgument, SessionExists
from massgen_core.sessions._body import references
from massgen_core.sessions._chain import genesis
from massgen_core.sessions._journal import owner
from massgen_core.sessions._table import Head, find_row, get_row, insert_row, new_row, sound_head
from massgen_core.storage import add_refs, drop_owner

if TYPE_CHECKING:
    import sqlite3

    from massgen_core.sessions._table import SessionRow

_COPY = """
    INSERT INTO entry
    SELECT ?, seq, id, kind, schema, created_at, tokens, tokenizer, body, sums, prev, hash
    FROM entry WHERE session_id = ? AND seq <= ? ORDER BY seq
"""
_TOTALS = """
    SELECT count(*), coalesce(sum(tokens), 0) FROM entry
    WHERE session_id = ? AND seq <= ? AND kind = 'message'
"""


def fork(
    conn: sqlite3.Connection, session_id: str, *, at: int | None, new_id: str, now: float
) -> SessionRow:
    """Copy the entries up to `at`, hashes and all: the chain begins at the shared origin."""
    row = get_row(conn, session_id)
    last = sound_head(row, session_id).seq
    at = last if at is None else at
    if not 0 <= at <= last:
        raise InvalidArgument(
            f"session {session_id!r} has no entry {at}", hint=f"It has entries 1 to {last}."
        )
    if find_row(conn, new_id) is not None:
        raise SessionExists(
            f"there is a session {new_id!r} already",
            session_id=new_id,
            hint="Choose another id for the fork.",
        )
    info = row.info()
    copy = new_row(
        new_id,
        created_at=now,
        title=info.title,
        meta=info.meta,
        origin=info.origin,
        parent=(session_id, at),
        head=_head_at(conn, session_id, at, info.origin, now),
    )
    insert_row(conn, copy)
    conn.execute(_COPY, (new_id, session_id, at))
    bodies = conn.execute("SELECT CAST(body AS BLOB) FROM entry WHERE session_id = ?", (new_id,))
    add_refs(conn, owner(new_id), {digest for (body,) in bodies for digest in references(body)})
    return copy


def delete(conn: sqlite3.Connection, session_id: str) -> None:
    """Remove the session's rows, set-aside entries, references, and blobs nobody else has."""
    get_row(conn, session_id)
    drop_owner(conn, owner(session_id))
    conn.execute("DELETE FROM entry WHERE session_id = ?", (session_id,))
    conn.execute("DELETE FROM quarantine WHERE session_id = ?", (session_id,))
    conn.execute("DELETE FROM session WHERE id = ?", (session_id,))


def _head_at(conn: sqlite3.Connection, session_id: str, at: int, origin: str, now: float) -> Head:
    if at == 0:
        return Head(0, genesis(origin), 0, 0, now, b"")
    found = conn.execute(
        "SELECT hash, created_at FROM entry WHERE session_id = ? AND seq = ?", (session_id, at)
    ).fetchone()
    if found is None:
        raise InvalidArgument(
            f"entry {at} of session {session_id!r} is missing", hint="Run `mgc session verify`."
        )
    messages, tokens = conn.execute(_TOTALS, (session_id, at)).fetchone()
    return Head(at, found[0], messages, tokens, found[1], b"")
