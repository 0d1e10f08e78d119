"""Changing the ledger: each function is one call, one batch of the log, one transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from massgen_core.clock import uuid7
from massgen_core.errors import InvalidArgument, LedgerCorrupt, RecordConflict, RecordNotFound
from massgen_core.memory._log import Change, append, entries, erase, head
from massgen_core.memory._record import MemoryRecord, NewMemory, changed
from massgen_core.memory._scope import Scope
from massgen_core.memory._table import by_ids, put

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from massgen_core.memory._record import State


@dataclass(frozen=True, slots=True)
class Call:
    """Who changes something, and when.

    Attributes:
        actor: Who; empty for the program itself.
        now: Seconds since the Unix epoch.
    """

    actor: str
    now: float


@dataclass(frozen=True, slots=True)
class Revision:
    """One entry of a record's history.

    Attributes:
        seq: Number of the log entry.
        batch: Number of the first entry of the same call: what `undo` takes back together.
        at: When, in seconds since the Unix epoch.
        actor: Who.
        op: ``create``, ``update``, ``supersede``, ``invalidate``, ``expire``, ``undo``,
            ``forget``, ``purge``, …
        record: The record after it; None if this content was forgotten since.
    """

    seq: int
    batch: int
    at: float
    actor: str
    op: str
    record: MemoryRecord | None


def create(
    conn: sqlite3.Connection, news: Sequence[NewMemory], call: Call
) -> tuple[list[MemoryRecord], list[MemoryRecord]]:
    """Remember `news`; returns a record for each, and the records that were really written.

    What is there already under its id stays as it is.

    Raises:
        RecordConflict: There is something else under an id.
        RecordNotFound: A record that is to be superseded does not exist.
    """
    known = _known(conn, [new.id for new in news if new.id is not None])
    out: dict[int, MemoryRecord] = {}
    changes: list[Change] = []
    places: list[int] = []
    mine: dict[str, int] = {}
    for place, new in enumerate(news):
        if new.id is not None and new.id in known:
            out[place] = _same(known[new.id], new)
        elif new.id is not None and new.id in mine:
            _same(changes[mine[new.id]].record, new)
            places.append(-1 - mine[new.id])
            continue
        else:
            record = _created(new, call.now)
            mine[record.id] = len(changes)
            places.append(len(changes))
            changes.append(Change("create", record))
    superseded = _superseded(conn, [change.record for change in changes], call)
    written = _write(conn, [*changes, *superseded], call)
    fresh = iter(places)
    for place in range(len(news)):
        if place not in out:
            found = next(fresh)
            out[place] = written[found if found >= 0 else -1 - found]
    return [out[place] for place in range(len(news))], written


def update(
    conn: sqlite3.Connection, record: MemoryRecord, changes: Mapping[str, Any], call: Call
) -> list[MemoryRecord]:
    """Change fields of a record; nothing is written if nothing differs."""
    new = changed(record, changes)
    if replace(new, content_hash="", sha256="") == replace(record, content_hash="", sha256=""):
        return []
    return _write(conn, [Change("update", replace(new, rev=record.rev + 1))], call)


def set_state(
    conn: sqlite3.Connection, records: Sequence[MemoryRecord], state: State, op: str, call: Call
) -> list[MemoryRecord]:
    """Let records be superseded, invalidated or active again; ``valid_to`` follows."""
    until = None if state == "active" else call.now
    changes = [
        Change(
            op, replace(one, state=state, rev=one.rev + 1, valid_to=_earlier(one.valid_to, until))
        )
        for one in records
        if one.state != state
    ]
    return _write(conn, changes, call)


def forget(
    conn: sqlite3.Connection, records: Sequence[MemoryRecord], call: Call, op: str = "forget"
) -> list[MemoryRecord]:
    """Take the content of records out of table, log, vectors and blobs; a tombstone stays.

    Args:
        conn: Inside a transaction.
        records: What goes.
        call: Who wants it.
        op: ``forget`` if somebody asked for it, ``purge`` if it was no longer needed.
    """
    stones = [
        MemoryRecord(
            id=one.id,
            text="",
            scope=one.scope,
            kind=one.kind,
            seq=one.seq,
            rev=one.rev + 1,
            state="tombstone",
            recorded_at=one.recorded_at,
        )
        for one in records
    ]
    numbers = [(one.seq,) for one in records]
    erase(conn, [number for (number,) in numbers])
    for table in ("memory_vector", "memory_usage", "memory_outbox"):
        conn.executemany(f"DELETE FROM {table} WHERE record = ?", numbers)  # noqa: S608 - our own words
    return _write(conn, [Change(op, stone) for stone in stones], call)


def bury(
    conn: sqlite3.Connection, stones: Sequence[MemoryRecord], call: Call, op: str
) -> list[MemoryRecord]:
    """Write tombstones of records that were forgotten elsewhere and are not known here."""
    fresh = [replace(one, seq=0, rev=1, recorded_at=call.now) for one in stones]
    return _write(conn, [Change(op, one) for one in fresh], call)


def history(conn: sqlite3.Connection, record: MemoryRecord) -> list[Revision]:
    """What happened to a record, oldest first.

    Raises:
        LedgerCorrupt: An entry of it is damaged.
    """
    out = []
    for entry in entries(conn, "l.record = ?", (record.seq,)):
        found = None if entry.erased else entry.record_or_damage()
        if isinstance(found, str):
            raise damaged(record.id, found)
        out.append(
            Revision(
                entry.seq, entry.batch, entry.at, entry.actor.decode(), entry.op.decode(), found
            )
        )
    return out


def undo(conn: sqlite3.Connection, batch: int, call: Call) -> list[MemoryRecord]:
    """Bring all records of a batch back to what they were before it.

    What the batch created becomes invalidated. The log only grows.

    Raises:
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
    changes = [_undone(conn, number, seq, batch, call) for number, seq in sorted(numbers.items())]
    return _write(conn, changes, call)


def rewind(conn: sqlite3.Connection, until: float, call: Call) -> list[MemoryRecord]:
    """Bring every record back to what it was at a point of the log: an entry, or a time.

    What did not exist then becomes invalidated. What was forgotten since stays forgotten.

    Args:
        conn: Inside a transaction.
        until: The last entry that counts if it is a whole number; else seconds since the Unix
            epoch.
        call: Who rewinds.
    """
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
    return _write(conn, changes, call)


def _rewound(conn: sqlite3.Connection, number: int, seq: int | None, call: Call) -> list[Change]:
    now = list(entries(conn, "l.record = ?", (number,)))[-1].record_or_damage()
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


def damaged(record_id: str, what: str) -> LedgerCorrupt:
    """The error for a record that is not what was written."""
    return LedgerCorrupt(
        f"memory {record_id!r} is damaged on disk: {what}",
        record_id=record_id,
        hint="`mgc memory verify` lists all damage, `mgc memory repair` mends what can be mended.",
    )


def not_found(record_id: str) -> RecordNotFound:
    """The error for a record that is not there, or not for who asks."""
    return RecordNotFound(
        f"there is no memory {record_id!r} in this scope",
        record_id=record_id,
        hint="Ids are those that remember() and recall() give; the scope must cover the memory's.",
    )


def _write(conn: sqlite3.Connection, changes: Sequence[Change], call: Call) -> list[MemoryRecord]:
    if not changes:
        return []
    first = head(conn)[0] + 1
    records = append(conn, changes, actor=call.actor, now=call.now)
    put(conn, [(record, first + place) for place, record in enumerate(records)])
    _drop_stale_vectors(conn, records)
    return records


def _drop_stale_vectors(conn: sqlite3.Connection, records: Sequence[MemoryRecord]) -> None:
    changed_ = [(one.seq, bytes.fromhex(one.content_hash)) for one in records if one.rev > 1]
    conn.executemany("DELETE FROM memory_vector WHERE record = ? AND content <> ?", changed_)


def _known(conn: sqlite3.Connection, ids: Sequence[str]) -> dict[str, MemoryRecord]:
    return {} if not ids else records_of(conn, ids)


def records_of(conn: sqlite3.Connection, ids: Sequence[str]) -> dict[str, MemoryRecord]:
    """The records of these ids that exist, by id.

    Raises:
        LedgerCorrupt: One of them is damaged.
    """
    out = {}
    for record_id, (record, damage) in by_ids(conn, ids).items():
        if record is None:
            raise damaged(record_id, damage.what if damage else "it cannot be read")
        out[record_id] = record
    return out


def _created(new: NewMemory, now: float) -> MemoryRecord:
    fields = {name: getattr(new, name) for name in NewMemory.__dataclass_fields__}
    return MemoryRecord(**{**fields, "id": new.id or uuid7(now)}, recorded_at=now)


def _same(found: MemoryRecord, new: NewMemory) -> MemoryRecord:
    """What is there, if it is what shall be remembered."""
    same = (found.text, found.scope, found.kind) == (new.text, new.scope, new.kind)
    if same or found.state == "tombstone":
        return found
    raise RecordConflict(
        f"there is another memory under the id {found.id!r}",
        record_id=found.id,
        expected=None,
        found=found.rev,
        hint="Leave the id out, or change that memory with update().",
    )


def _superseded(conn: sqlite3.Connection, news: Sequence[MemoryRecord], call: Call) -> list[Change]:
    """What becomes of the records that `news` take the place of."""
    by = {old: new for new in news for old in new.supersedes}
    if not by:
        return []
    found = records_of(conn, list(by))
    out = []
    for old, new in by.items():
        record = found.get(old)
        whose = Scope(new.scope.tenant, new.scope.team, new.scope.user)
        if record is None or not whose.covers(record.scope):
            raise not_found(old)
        if record.state == "active":
            until = _earlier(record.valid_to, new.valid_from or call.now)
            state = replace(record, state="superseded", rev=record.rev + 1, valid_to=until)
            out.append(Change("supersede", state))
    return out


def _undone(conn: sqlite3.Connection, number: int, seq: int, batch: int, call: Call) -> Change:
    found = list(entries(conn, "l.record = ?", (number,)))
    newest = found[-1]
    now = newest.record_or_damage()
    if isinstance(now, str):
        raise damaged(f"number {number}", now)
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
    return Change("undo", replace(was, rev=now.rev + 1))


def _earlier(one: float | None, other: float | None) -> float | None:
    if other is None:
        return None
    return other if one is None else min(one, other)
