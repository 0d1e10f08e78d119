"""Mending the ledger: what is intact stays, what can be made again is, what is lost is said."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from massgen_core.memory._access import drop_damaged_grants
from massgen_core.memory._ledger import Call
from massgen_core.memory._log import (
    GENESIS,
    OWNER,
    Change,
    Entry,
    append,
    chained,
    entries,
    entries_of,
    head,
)
from massgen_core.memory._record import MemoryRecord
from massgen_core.memory._scope import Scope
from massgen_core.memory._table import put
from massgen_core.storage import add_refs

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

_LOST: Final = "lost"
"""The ``op`` of an entry that stands where one is missing."""
_NOTHING: Final = bytes(32)
_ERASE_AGAIN: Final = """
    UPDATE memory_log SET body = NULL, text = NULL, blob = NULL
    WHERE body IS NOT NULL AND op NOT IN ('forget', 'purge')
        AND record IN (SELECT record FROM memory_log WHERE op IN ('forget', 'purge'))
"""


@dataclass(frozen=True, slots=True)
class Mended:
    """What a repair did.

    Attributes:
        restored: Ids of records whose newest revision was damaged, and that are back at the last
            intact one.
        lost: Ids of records (or ``#NUMBER``) of which no intact revision was left.
        entries: Damaged or missing log entries.
        rows: Whether the table of records was made again.
        vectors: Damaged vectors that were thrown away, to be made again.
        grants: Damaged grants that were thrown away, to be given again.
    """

    restored: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    entries: int = 0
    rows: bool = False
    vectors: int = 0
    grants: int = 0


def repair(conn: sqlite3.Connection, call: Call) -> Mended:
    """Make the log and its tables agree again; see `Mended`.

    Content that is damaged is taken out of the log; the records go back to their last intact
    revision, as a new entry.
    """
    gaps = _fill_gaps(conn)
    damaged = [entry for entry in entries(conn) if _is_damaged(entry)]
    for entry in damaged:
        conn.execute(
            "UPDATE memory_log SET body = NULL, text = NULL, blob = NULL WHERE seq = ?",
            (entry.seq,),
        )
    _number_again(conn)
    _chain_again(conn)
    changes, restored, lost = _back_to_intact(conn, damaged)
    if changes:
        append(conn, changes, actor=call.actor, now=call.now)
    _table_again(conn)
    vectors = _drop_damaged_vectors(conn)
    grants = drop_damaged_grants(conn)
    conn.execute("REINDEX")
    return Mended(
        *(tuple(restored), tuple(lost), gaps + len(damaged)),
        rows=True,
        vectors=vectors,
        grants=grants,
    )


def mend(conn: sqlite3.Connection, now: float) -> Mended:
    """The same for a ledger of which only parts were read: what was forgotten is erased in them."""
    conn.execute(_ERASE_AGAIN)
    mended = repair(conn, Call("", now))
    used = "SELECT hash FROM blob WHERE id IN (SELECT blob FROM memory_log)"
    add_refs(conn, OWNER, [digest for (digest,) in conn.execute(used)])
    conn.execute("DELETE FROM blob WHERE id NOT IN (SELECT blob FROM blob_ref)")
    return mended


def erased_ids(conn: sqlite3.Connection) -> list[str]:
    """Ids of the memories that the log says were forgotten, whatever else of it is left."""
    found = (one.record_or_damage() for one in entries(conn, "l.op = 'forget'"))
    return [one.id for one in found if isinstance(one, MemoryRecord)]


def _is_damaged(entry: Entry) -> bool:
    return not entry.erased and isinstance(entry.record_or_damage(), str)


def _fill_gaps(conn: sqlite3.Connection) -> int:
    """Entries that say that one is missing; how many."""
    present = {seq for (seq,) in conn.execute("SELECT seq FROM memory_log")}
    missing = sorted(set(range(1, head(conn)[0])) - present)
    conn.executemany(
        "INSERT INTO memory_log VALUES (?, ?, 0, '', ?, 0, 0, NULL, NULL, NULL, ?, ?)",
        [(seq, seq, _LOST, _NOTHING, _NOTHING) for seq in missing],
    )
    return len(missing)


def _number_again(conn: sqlite3.Connection) -> None:
    """Give every entry columns of the right type, and the numbers that follow from its record."""
    numbers: dict[str, int] = {}
    revisions: dict[str, int] = {}
    for entry in list(entries(conn)):
        batch, number = _whole(entry.batch, entry.seq), _whole(entry.record, entry.seq)
        rev, at = _whole(entry.rev, 1), _real(entry.at)
        record = entry.record_or_damage()
        if not isinstance(record, str):
            first = entry.seq if entry.op == b"create" else number
            number = numbers.setdefault(record.id, first)
            rev = max(rev, revisions.get(record.id, 0) + 1)
            revisions[record.id] = rev
        if (batch, at, number, rev) != (entry.batch, entry.at, entry.record, entry.rev):
            conn.execute(
                "UPDATE memory_log SET batch = ?, at = ?, record = ?, rev = ? WHERE seq = ?",
                (batch, at, number, rev, entry.seq),
            )


def _whole(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise


def _real(value: object) -> float:
    return value if isinstance(value, float) else 0.0


def _chain_again(conn: sqlite3.Connection) -> None:
    prev = GENESIS
    for entry in list(entries(conn)):
        hashed = chained(prev, entry)
        if hashed != entry.hash:
            conn.execute("UPDATE memory_log SET hash = ? WHERE seq = ?", (hashed, entry.seq))
        prev = hashed


def _back_to_intact(
    conn: sqlite3.Connection, damaged: Sequence[Entry]
) -> tuple[list[Change], list[str], list[str]]:
    changes, restored, lost = [], [], []
    for number in sorted({entry.record for entry in damaged}):
        found = entries_of(conn, number)
        if not found[-1].erased:
            continue  # an older revision was damaged: nothing changes for the record
        intact = [
            one for entry in found if isinstance(one := entry.record_or_damage(), MemoryRecord)
        ]
        rev = found[-1].rev + 1
        if intact:
            changes.append(Change("repair", replace(intact[-1], rev=rev)))
            restored.append(intact[-1].id)
        else:
            changes.append(Change("repair", _stone(conn, number, rev)))
            lost.append(changes[-1].record.id)
    return changes, restored, lost


def _stone(conn: sqlite3.Connection, number: int, rev: int) -> MemoryRecord:
    """What is left of a record of which nothing is intact: its id, if the table knows it."""
    query = "SELECT id FROM memory_record WHERE number = ?"
    row = conn.execute(query, (number,)).fetchone()
    name = row[0] if row and isinstance(row[0], str) else f"lost-{number}"
    return MemoryRecord(
        id=name, text="", scope=Scope(), kind="lost", seq=number, rev=rev, state="tombstone"
    )


def _table_again(conn: sqlite3.Connection) -> None:
    newest = {entry.record: entry for entry in entries(conn) if entry.op != _LOST.encode()}
    conn.execute("DELETE FROM memory_record")
    conn.execute("DELETE FROM memory_scope")
    records = [(entry.record_or_damage(), entry.seq) for entry in newest.values()]
    put(conn, [(one, seq) for one, seq in records if isinstance(one, MemoryRecord)])


def _drop_damaged_vectors(conn: sqlite3.Connection) -> int:
    rows = conn.execute("SELECT embedder, record, data, sum FROM memory_vector")
    bad = [
        (embedder, record)
        for embedder, record, data, sum_ in rows
        if not isinstance(data, bytes) or zlib.crc32(data) != sum_
    ]
    conn.executemany("DELETE FROM memory_vector WHERE embedder = ? AND record = ?", bad)
    return len(bad)
