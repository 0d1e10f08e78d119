"""Going back: what a call did is undone, or the whole ledger is as it was. The log only grows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from massgen_core.errors import AccessDenied, InvalidArgument, RecordConflict
from massgen_core.memory._ledger import anything, damaged, write
from massgen_core.memory._log import Change, entries, entries_of, head

if TYPE_CHECKING:
    import sqlite3

    from massgen_core.memory._ledger import Call, May
    from massgen_core.memory._record import MemoryRecord


def undo(
    conn: sqlite3.Connection, batch: int, call: Call, may: May = anything
) -> list[MemoryRecord]:
    """Bring all records of a batch back to what they were before it.

    What the batch created becomes invalidated. The log only grows.

    Args:
        conn: Inside a transaction.
        batch: What to undo.
        call: Who undoes it.
        may: Whether a record may be changed; asked for each as it is and as it was.

    Raises:
        AccessDenied: One of the records may not be changed.
        InvalidArgument: There is no such batch, or it cannot be undone.
        RecordConflict: A record was changed since.
    """
    numbers = dict(
        conn.execute(
            "SELECT record, max(seq) FROM memory_log WHERE batch = ? GROUP BY record", (batch,)
        )
    )
    if not numbers:
        raise InvalidArgument(
            f"there is no change {batch}", hint="`history` names the batch of each change."
        )
    changes = [
        _undone(conn, number, seq, batch, call, may) for number, seq in sorted(numbers.items())
    ]
    return write(conn, changes, call)


def rewind(
    conn: sqlite3.Connection, until: float, call: Call, *, dry_run: bool = False
) -> list[MemoryRecord]:
    """Bring every record back to what it was at a point of the log: an entry, or a time.

    What did not exist then becomes invalidated. What was forgotten since stays forgotten.

    Args:
        conn: Inside a transaction.
        until: The last entry that counts if it is a whole number; else seconds since the Unix
            epoch.
        call: Who rewinds.
        dry_run: Whether nothing is written.

    Raises:
        InvalidArgument: The log has no such entry.
        LedgerCorrupt: What a record is, or was then, is damaged.
    """
    if isinstance(until, int):
        newest_entry, _ = head(conn)
        if not 0 <= until <= newest_entry:
            raise InvalidArgument(
                f"the log has no entry {until}: it has {newest_entry}",
                hint="0 is before everything; `mgc memory history` tells the entries of a memory.",
            )
    column = "seq" if isinstance(until, int) else "at"
    then: dict[int, int] = dict(
        conn.execute(
            f"SELECT record, max(seq) FROM memory_log WHERE {column} <= ? GROUP BY record",  # noqa: S608 - one of two words
            (until,),
        )
    )
    changes = []
    for number, newest in conn.execute("SELECT number, log FROM memory_record").fetchall():
        if then.get(number) != newest:
            changes += _rewound(conn, number, then.get(number), call)
    return [change.record for change in changes] if dry_run else write(conn, changes, call)


def _rewound(conn: sqlite3.Connection, number: int, seq: int | None, call: Call) -> list[Change]:
    now = entries_of(conn, number)[-1].record_or_damage()
    if isinstance(now, str):
        raise damaged(f"number {number}", now)
    if now.state == "tombstone":
        return []
    if seq is None:
        gone = replace(now, state="invalidated", rev=now.rev + 1, valid_to=call.now)
        return [] if now.state == "invalidated" else [Change("rewind", gone)]
    (entry,) = entries(conn, "l.seq = ?", (seq,))
    was = entry.record_or_damage()
    if isinstance(was, str):
        raise damaged(now.id, was)
    same = was.sha256 == now.sha256
    return [] if same else [Change("rewind", replace(was, rev=now.rev + 1))]


def _undone(
    conn: sqlite3.Connection, number: int, seq: int, batch: int, call: Call, may: May
) -> Change:
    found = entries_of(conn, number)
    newest = found[-1]
    now = newest.record_or_damage()
    if isinstance(now, str):
        raise damaged(f"number {number}", now)
    if not may(now):
        raise _not_theirs(call)
    if now.state == "tombstone":
        raise InvalidArgument(f"memory {now.id!r} was forgotten: that cannot be undone")
    if newest.seq != seq:
        raise RecordConflict(
            f"memory {now.id!r} was changed since, by batch {newest.batch}",
            record_id=now.id,
            expected=found[[entry.seq for entry in found].index(seq)].rev,
            found=newest.rev,
            hint="Undo that batch first.",
        )
    before = [entry for entry in found if entry.batch < batch]
    if not before:
        gone = replace(now, state="invalidated", rev=now.rev + 1, valid_to=call.now)
        return Change("undo", gone)
    was = before[-1].record_or_damage()
    if isinstance(was, str):
        raise damaged(now.id, was)
    if not may(was):
        raise _not_theirs(call)
    return Change("undo", replace(was, rev=now.rev + 1))


def _not_theirs(call: Call) -> AccessDenied:
    return AccessDenied(
        "the same change is of memories that may not be changed here, or were elsewhere before it",
        principal=call.actor,
        right="write",
        hint="Whoever made the change can undo it.",
    )
