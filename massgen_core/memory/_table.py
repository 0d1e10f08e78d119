"""The table of records: where each stands now, found by id and by scope; rebuilt from the log."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from massgen_core.errors import LedgerCorrupt
from massgen_core.memory._log import COLUMNS, Entry
from massgen_core.memory._scope import FIELDS, Scope, is_text

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

    from massgen_core.memory._record import MemoryRecord

    Found = tuple[MemoryRecord, None] | tuple[None, "Damaged"]

_PUT: Final = """
    INSERT INTO memory_record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (number) DO UPDATE SET
        id = excluded.id, log = excluded.log, rev = excluded.rev, state = excluded.state,
        kind = excluded.kind, scope = excluded.scope, pinned = excluded.pinned,
        expires = excluded.expires, size = excluded.size, content = excluded.content,
        sum = excluded.sum
    WHERE id = excluded.id
"""  # a number is never another record's: only a log that lost entries gives it away again
_SELECT: Final = f"""
    SELECT CAST(r.id AS BLOB), r.number, u.uses, u.used, {COLUMNS}
    FROM memory_record AS r
    LEFT JOIN memory_log AS l ON l.seq = r.log
    LEFT JOIN blob AS b ON b.id = l.blob
    LEFT JOIN memory_usage AS u ON u.record = r.number
"""  # noqa: S608 - our own words
_BATCH: Final = 500


class Damaged:
    """A record that cannot be given: which one, and why.

    Attributes:
        record_id: Its id, as far as it can be read.
        number: Its number.
        what: What is wrong, for a person.
    """

    __slots__ = ("number", "record_id", "what")

    def __init__(self, record_id: str, number: int, what: str) -> None:
        self.record_id = record_id
        self.number = number
        self.what = what


class Scopes:
    """Numbers of scopes, created when they are first needed; for one transaction."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        self._known: dict[Scope, int] = {}

    def number(self, scope: Scope) -> int:
        """The number of the scope."""
        found = self._known.get(scope)
        if found is None:
            found = self._known[scope] = _scope_number(self._conn, scope)
        return found


def put(conn: sqlite3.Connection, records: Sequence[tuple[MemoryRecord, int]]) -> None:
    """Let the table say where these records stand: each with the number of its log entry.

    Raises:
        LedgerCorrupt: The log has lost entries: it gave a number away that another record has.
    """
    scopes = Scopes(conn)
    rows = [row_of(one, log, scopes.number(one.scope)) for one, log in records]
    if conn.executemany(_PUT, rows).rowcount < len(rows):
        raise LedgerCorrupt(
            "the log of the ledger has lost its newest entries; nothing was written",
            hint="`mgc memory repair` mends what can be mended, and names what is lost.",
        )


def row_of(record: MemoryRecord, log: int, scope: int) -> tuple[object, ...]:
    """What the table holds of a record, by the numbers of its newest entry and of its scope."""
    row = (
        record.seq,
        record.id,
        log,
        record.rev,
        record.state,
        record.kind,
        scope,
        int(record.pinned),
        record.expires_at,
        len(record.text.encode("utf-8", "surrogatepass")),
        bytes.fromhex(record.content_hash),
    )
    return (*row, row_sum(row))


def row_sum(row: tuple[object, ...]) -> int:
    """The checksum of a row's other columns."""
    return zlib.crc32(repr(row).encode("utf-8", "backslashreplace"))


def covered(scopes: Sequence[Scope]) -> tuple[str, list[str]]:
    """A condition over ``memory_scope`` for what one of `scopes` covers; and its parameters.

    Fields are compared exactly, byte by byte.
    """
    parts: list[str] = []
    given: list[str] = []
    for scope in scopes:
        named = scope.named()
        parts.append(" AND ".join(f"{name} = ?" for name in named) or "1")
        given += named.values()
    return " OR ".join(f"({part})" for part in parts) or "0", given


def in_scopes(
    conn: sqlite3.Connection,
    scopes: Sequence[Scope],
    where: str = "1",
    given: Sequence[object] = (),
) -> Iterator[Found]:
    """The records that one of the scopes covers, oldest first; damaged ones as such.

    Args:
        conn: The database.
        scopes: Whose.
        where: A condition over ``r`` and ``l``, of this package's own making.
        given: Its parameters.
    """
    condition, values = covered(scopes)
    within = f"r.scope IN (SELECT id FROM memory_scope WHERE {condition})"  # noqa: S608 - our own words
    query = f"{_SELECT} WHERE {within} AND {where} ORDER BY r.number"
    return map(_found, conn.execute(query, (*values, *given)))


def by_ids(conn: sqlite3.Connection, ids: Iterable[str]) -> dict[str, Found]:
    """The records of these ids, by id; those that do not exist are missing."""
    out: dict[str, Found] = {}
    wanted = list(dict.fromkeys(filter(is_text, ids)))
    for start in range(0, len(wanted), _BATCH):
        some = wanted[start : start + _BATCH]
        rows = conn.execute(f"{_SELECT} WHERE r.id IN ({','.join('?' * len(some))})", some)
        for row in rows:
            out[row[0].decode()] = _found(row)
    return out


def by_numbers(conn: sqlite3.Connection, numbers: Iterable[int]) -> list[Found]:
    """The records of these numbers, oldest first; those that do not exist are missing."""
    out: list[Found] = []
    wanted = sorted(set(numbers))
    for start in range(0, len(wanted), _BATCH):
        some = wanted[start : start + _BATCH]
        marks = ",".join("?" * len(some))
        query = f"{_SELECT} WHERE r.number IN ({marks}) ORDER BY r.number"
        out += map(_found, conn.execute(query, some))
    return out


def _found(row: tuple[Any, ...]) -> Found:
    """The record of a row of `_SELECT`, or why it cannot be given."""
    id_, number, uses, used = row[:4]
    name = id_.decode("utf-8", "replace") if isinstance(id_, bytes) else repr(id_)
    whole = number if isinstance(number, int) else 0
    if row[4] is None:
        return None, Damaged(name, whole, "its log entry is missing")
    record = Entry._make(row[4:]).record_or_damage()
    if isinstance(record, str):
        return None, Damaged(name, whole, record)
    if record.id != name or record.seq != number:
        return None, Damaged(name, whole, "its row names another log entry")
    if uses:
        record = replace(record, use_count=uses, last_used_at=used)
    return record, None


def _scope_number(conn: sqlite3.Connection, scope: Scope) -> int:
    values = scope.values()
    same = " AND ".join(f"{name} = ?" for name in FIELDS)
    found = conn.execute(f"SELECT id FROM memory_scope WHERE {same}", values).fetchone()  # noqa: S608 - our own words
    if found is not None:
        return int(found[0])
    columns = ", ".join(FIELDS)
    made = conn.execute(
        f"INSERT INTO memory_scope ({columns}) VALUES (?, ?, ?, ?, ?, ?) RETURNING id",  # noqa: S608 - our own words
        values,
    ).fetchone()
    return int(made[0])
