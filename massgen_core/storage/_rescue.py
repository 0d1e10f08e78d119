"""A new database file of what can be read of one that cannot be opened."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final, NamedTuple

from massgen_core.storage._blobs import BlobDamage, unpack
from massgen_core.storage._carve import Value, pages_of, rows_in
from massgen_core.storage._connect import connect_writer
from massgen_core.storage._errors import translating
from massgen_core.storage._schema import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from massgen_core.clock import Clock

_TABLES: Final = (
    *("blob", "session", "entry", "quarantine", "memory_log", "memory_record", "memory_usage"),
    *("memory_outbox", "memory_grant", "memory_meta"),
)
"""What is looked for; all else is made from it again."""
_WAIT: Final = 30.0
"""Seconds to wait for a lock on the new file."""
_TYPES: Final[dict[str, type | tuple[type, ...]]] = {
    "INTEGER": int,
    "REAL": (int, float),
    "TEXT": str,
    "BLOB": bytes,
}


def create_database(path: Path, clock: Clock) -> None:
    """An empty file of the newest schema, without a write-ahead log."""
    with translating(path):
        conn = connect_writer(path, SCHEMA, synchronous="full", clock=clock, busy_timeout=_WAIT)
        with closing(conn):
            conn.execute("PRAGMA journal_mode = DELETE")


class _Table(NamedTuple):
    name: str
    types: tuple[str, ...]
    required: tuple[bool, ...]
    numbered: bool


class Carved(NamedTuple):
    """What was read of a damaged file.

    Attributes:
        rows: Rows by table.
        pages: Pages the file has.
        unread: Those of them in which nothing could be read.
    """

    rows: dict[str, int]
    pages: int
    unread: int


def carve_into(conn: sqlite3.Connection, damaged: Path) -> Carved:
    """Put every row that can be read in `damaged` into a database that has the schema already.

    A row belongs to the table whose columns have the types of its values: those of our tables
    differ. Texts that do not match their hash are left out.
    """
    tables = [_table(conn, name) for name in _TABLES]
    pages = pages_of(damaged)
    counts = dict.fromkeys(_TABLES, 0)
    for number, values in rows_in(pages):
        table = next((one for one in tables if _fits(one, number, values)), None)
        if table is not None and _sound(table.name, values):
            row = values if number is None else [number, *values[1:]]
            counts[table.name] += _put(conn, table, row)
    return Carved(counts, pages.count, pages.unread)


def fill_from(conn: sqlite3.Connection, copy: Path) -> dict[str, int]:
    """Add what a complete copy has of the log and of the sessions that are here in part; how much.

    Only what is of the same history: where an entry that both have differs, nothing is taken. A
    session of which nothing is here may have been deleted since, and is left out; so are grants.
    """
    uri = f"{copy.absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as other:
        (texts,) = conn.execute("SELECT count(*) FROM blob").fetchone()
        log = _fill_log(conn, other)
        ids = conn.execute("SELECT id FROM session UNION SELECT session_id FROM entry").fetchall()
        filled = [_fill_session(conn, other, session_id) for (session_id,) in ids]
        same = [one for one in filled if one is not None]
        if same:
            _bring_texts(conn, other)
    (now,) = conn.execute("SELECT count(*) FROM blob").fetchone()
    return {
        "memory_log": log,
        "entry": sum(entries for entries, _ in same),
        "session": sum(sessions for _, sessions in same),
        "blob": now - texts,
    }


def _fill_log(conn: sqlite3.Connection, other: sqlite3.Connection) -> int:
    mine = dict(conn.execute("SELECT seq, hash FROM memory_log"))
    rows = other.execute("SELECT * FROM memory_log").fetchall()
    if any(mine.get(row[0], row[11]) != row[11] for row in rows):
        return 0
    theirs = {row[0]: row[9] for row in rows}
    missing = [row for row in rows if row[0] not in mine]
    for row in missing:
        blob = None if row[9] is None else _bring_blob(conn, other, "id = ?", row[9])
        values = (*row[:9], blob, *row[10:])
        conn.execute("INSERT INTO memory_log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    for seq, blob in conn.execute(  # the entry is here, and its text is not
        "SELECT seq, blob FROM memory_log WHERE blob IS NOT NULL "
        "AND blob NOT IN (SELECT id FROM blob)"
    ).fetchall():
        number = theirs.get(seq)
        found = None if number is None else _bring_blob(conn, other, "id = ?", number)
        conn.execute("UPDATE memory_log SET blob = ? WHERE seq = ?", (found or blob, seq))
    return len(missing)


def _fill_session(
    conn: sqlite3.Connection, other: sqlite3.Connection, session_id: str
) -> tuple[int, int] | None:
    """Entries and sessions that were added, without their texts; None if its history differs."""
    mine = dict(conn.execute("SELECT seq, hash FROM entry WHERE session_id = ?", (session_id,)))
    rows = other.execute("SELECT * FROM entry WHERE session_id = ?", (session_id,)).fetchall()
    if any(mine.get(row[1], row[11]) != row[11] for row in rows):
        return None
    missing = [row for row in rows if row[1] not in mine]
    marks = ", ".join("?" * 12)
    conn.executemany(f"INSERT INTO entry VALUES ({marks})", missing)  # noqa: S608 - only marks
    row = other.execute("SELECT * FROM session WHERE id = ?", (session_id,)).fetchone()
    marks = ", ".join("?" * 15)
    added = 0
    if row is not None:
        insert = f"INSERT OR IGNORE INTO session VALUES ({marks})"  # noqa: S608 - only marks
        added = conn.execute(insert, row).rowcount
    return len(missing), max(0, added)


def _bring_texts(conn: sqlite3.Connection, other: sqlite3.Connection) -> None:
    """All texts of the copy; those that nothing needs are dropped when references are made."""
    have = {digest for (digest,) in conn.execute("SELECT hash FROM blob")}
    for (digest,) in other.execute("SELECT hash FROM blob").fetchall():
        if digest not in have:
            _bring_blob(conn, other, "hash = ?", digest)


def _bring_blob(
    conn: sqlite3.Connection, other: sqlite3.Connection, where: str, key: Value
) -> int | None:
    """The number here of a text of the copy, which is added if need be."""
    query = f"SELECT hash, codec, size, data FROM blob WHERE {where}"  # noqa: S608 - one of two words
    row = other.execute(query, (key,)).fetchone()
    if row is None:
        return None
    conn.execute("INSERT OR IGNORE INTO blob (hash, codec, size, data) VALUES (?, ?, ?, ?)", row)
    (number,) = conn.execute("SELECT id FROM blob WHERE hash = ?", row[:1]).fetchone()
    return int(number)


def _table(conn: sqlite3.Connection, name: str) -> _Table:
    columns = conn.execute(f"PRAGMA table_info({name})").fetchall()
    ((sql,),) = conn.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,))
    return _Table(
        name,
        tuple(kind for _, _, kind, _, _, _ in columns),
        tuple(bool(required) for _, _, _, required, _, _ in columns),
        "WITHOUT ROWID" not in sql,
    )


def _fits(table: _Table, number: int | None, values: Sequence[Value]) -> bool:
    if table.numbered != (number is not None) or len(values) != len(table.types):
        return False
    first = 1 if table.numbered else 0  # the number stands for the first column
    if table.numbered and values[0] is not None:
        return False
    return all(
        isinstance(value, _TYPES[kind]) if value is not None else not required
        for kind, required, value in _columns(table, values, first)
    )


def _columns(
    table: _Table, values: Sequence[Value], first: int
) -> Iterator[tuple[str, bool, Value]]:
    return zip(table.types[first:], table.required[first:], values[first:], strict=True)


def _sound(name: str, values: Sequence[Value]) -> bool:
    if name != "blob":
        return True
    _, digest, codec, size, data = values
    known = codec.encode() if isinstance(codec, str) else codec
    return not isinstance(unpack(digest, known, size, data), BlobDamage)


def _put(conn: sqlite3.Connection, table: _Table, row: Sequence[Value]) -> int:
    """Adds a row; what was erased in one of two copies is erased."""
    if table.name == "memory_log":
        there = conn.execute("SELECT body FROM memory_log WHERE seq = ?", row[:1]).fetchone()
        if there is not None and there[0] is None:
            return 0
    how = "IGNORE" if table.name == "blob" else "REPLACE"
    marks = ", ".join("?" * len(row))
    insert = f"INSERT OR {how} INTO {table.name} VALUES ({marks})"  # noqa: S608 - our own words
    return max(0, conn.execute(insert, row).rowcount)
