"""Forgetting for good: a memory, what was made from it, and where else it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from massgen_core.memory._ledger import forget, records_of
from massgen_core.memory._scope import Scope
from massgen_core.memory._table import in_scopes

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from massgen_core.memory._ledger import Call
    from massgen_core.memory._record import MemoryRecord

Journals: TypeAlias = "Callable[[sqlite3.Connection, Sequence[MemoryRecord]], Sequence[str]]"
"""Takes what these records say out of the journals of the file; the sessions that changed."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was forgotten.

    Attributes:
        ids: The memories, those derived from the ones that were named among them.
        derived: Those of them that were derived.
        at: When, in seconds since the Unix epoch.
        actor: Who; empty for the program itself.
        entry: The log entry that says so; the first of several.
        sessions: Ids of sessions whose journals were changed.
        behind: Indexes that could not be told yet; they are told when they work again.
        snapshots: Snapshots that still hold it.
        log_emptied: Whether the write-ahead log was emptied; not if somebody still reads an older
            state.
    """

    ids: tuple[str, ...]
    derived: tuple[str, ...]
    at: float
    actor: str
    entry: int
    sessions: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    snapshots: tuple[str, ...] = ()
    log_emptied: bool = True


def erasure(
    conn: sqlite3.Connection,
    named: Sequence[MemoryRecord],
    call: Call,
    journals: Journals | None,
    *,
    dry_run: bool = False,
) -> Receipt:
    """Erase the records and all that was derived from them, however far; or say what that is."""
    derived = _derived(conn, named)
    records = [*named, *derived]
    if dry_run:
        would = tuple(record.id for record in records)
        return Receipt(would, would[len(named) :], call.now, call.actor, 0)
    sessions = () if journals is None else tuple(journals(conn, records))
    if not records:
        return Receipt((), (), call.now, call.actor, 0)
    (entry,) = conn.execute("SELECT max(seq) + 1 FROM memory_log").fetchone()
    forget(conn, records, call)
    ids = tuple(record.id for record in records)
    return Receipt(
        ids, tuple(one.id for one in derived), call.now, call.actor, entry, sessions=sessions
    )


def forgotten(conn: sqlite3.Connection, op: str = "forget") -> list[str]:
    """The ids of everything that was forgotten; or, by the `op` of another erasure, purged."""
    rows = conn.execute(
        "SELECT r.id FROM memory_record AS r JOIN memory_log AS l ON l.seq = r.log "
        "WHERE r.state = 'tombstone' AND l.op = ?",
        (op,),
    )
    return [record_id for (record_id,) in rows]


def purge_again(conn: sqlite3.Connection, ids: Sequence[str], call: Call) -> int:
    """Take the content of these out once more, where a snapshot brought it back; how many."""
    found = records_of(conn, present(conn, ids))
    return len(forget(conn, list(found.values()), call, "purge"))


def present(conn: sqlite3.Connection, ids: Sequence[str]) -> list[str]:
    """Those of the ids under which something is remembered."""
    query = "SELECT id FROM memory_record WHERE id = ? AND state <> 'tombstone'"
    return [one for one in ids if conn.execute(query, (one,)).fetchone() is not None]


def _derived(conn: sqlite3.Connection, named: Sequence[MemoryRecord]) -> list[MemoryRecord]:
    """What has one of the records among its sources, directly or by way of others."""
    if not named:
        return []
    gone = {record.id for record in named}
    made = [
        record
        for record, _ in in_scopes(conn, [Scope()], "l.body LIKE '%\"source_ids\"%'")
        if record is not None and record.id not in gone and record.state != "tombstone"
    ]
    out: list[MemoryRecord] = []
    while True:
        more = [one for one in made if one.id not in gone and gone & set(one.source_ids)]
        if not more:
            return out
        out += more
        gone |= {one.id for one in more}
