"""Changing the ledger: each function is one call, one batch of the log, one transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from massgen_core.clock import uuid7
from massgen_core.errors import (
    LedgerCorrupt,
    RecordConflict,
    RecordNotFound,
)
from massgen_core.memory._log import Change, append, entries_of, erase
from massgen_core.memory._record import MemoryRecord, NewMemory, changed
from massgen_core.memory._scope import Scope
from massgen_core.memory._table import by_ids, put

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

_FIELDS: Final = tuple(NewMemory.__dataclass_fields__)
_of: Final = attrgetter(*_FIELDS)
May: TypeAlias = Callable[["MemoryRecord"], bool]
"""Whether something may be done to a record."""


def anything(_: MemoryRecord) -> bool:
    """The right to all records."""
    return True


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
        record: The record after it; None if this content was forgotten since, or is not to be seen.
    """

    seq: int
    batch: int
    at: float
    actor: str
    op: str
    record: MemoryRecord | None


def create(
    conn: sqlite3.Connection, news: Sequence[NewMemory], call: Call, may: May = anything
) -> tuple[list[MemoryRecord], list[MemoryRecord]]:
    """Remember `news`; returns a record for each, and the records that were really written.

    What is there already under its id stays as it is.

    Args:
        conn: Inside a transaction.
        news: In order.
        call: Who remembers.
        may: Whether a record may be superseded.

    Raises:
        RecordConflict: There is something else under an id, or was, and was forgotten.
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
    superseded = _superseded(conn, [change.record for change in changes], call, may)
    written = write(conn, [*changes, *superseded], call)
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
    return write(conn, [Change("update", replace(new, rev=record.rev + 1))], call)


def invalidate(
    conn: sqlite3.Connection, records: Sequence[MemoryRecord], op: str, call: Call
) -> list[MemoryRecord]:
    """Hold records no longer true from now on; returns those that were not invalidated before."""
    changes = [
        Change(
            op,
            replace(
                one,
                state="invalidated",
                rev=one.rev + 1,
                valid_to=_ended(one, call.now),
            ),
        )
        for one in records
        if one.state != "invalidated"
    ]
    return write(conn, changes, call)


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
    return write(conn, [Change(op, stone) for stone in stones], call)


def bury(
    conn: sqlite3.Connection, stones: Sequence[MemoryRecord], call: Call, op: str
) -> list[MemoryRecord]:
    """Write tombstones of records that were forgotten elsewhere and are not known here."""
    fresh = [replace(one, seq=0, rev=1, recorded_at=call.now) for one in stones]
    return write(conn, [Change(op, one) for one in fresh], call)


def history(conn: sqlite3.Connection, record: MemoryRecord, may: May = anything) -> list[Revision]:
    """What happened to a record, oldest first; without what it was where it may not be seen.

    Raises:
        LedgerCorrupt: An entry of it is damaged.
    """
    out = []
    for entry in entries_of(conn, record.seq):
        found = None if entry.erased else entry.record_or_damage()
        if isinstance(found, str):
            raise damaged(record.id, found)
        seen = found if found is not None and may(found) else None
        out.append(
            Revision(
                entry.seq, entry.batch, entry.at, entry.actor.decode(), entry.op.decode(), seen
            )
        )
    return out


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


def write(conn: sqlite3.Connection, changes: Sequence[Change], call: Call) -> list[MemoryRecord]:
    """Log the changes as one batch, and let the tables follow."""
    if not changes:
        return []
    written = append(conn, changes, actor=call.actor, now=call.now)
    put(conn, written)
    records = [record for record, _ in written]
    _drop_stale_vectors(conn, records)
    return records


def _drop_stale_vectors(conn: sqlite3.Connection, records: Sequence[MemoryRecord]) -> None:
    changed_ = [(one.seq, bytes.fromhex(one.content_hash)) for one in records if one.rev > 1]
    if changed_:
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
    fields = dict(zip(_FIELDS, _of(new), strict=True))
    fields["id"] = new.id or uuid7(now)
    return MemoryRecord(**fields, recorded_at=now)


def _same(found: MemoryRecord, new: NewMemory) -> MemoryRecord:
    """What is there, if it is what shall be remembered."""
    if found.state == "tombstone":
        what = f"the memory {found.id!r} was {'lost' if found.kind == 'lost' else 'forgotten'}"
        hint = "Leave the id out: under this one nothing comes back."
    elif (found.text, found.scope, found.kind) == (new.text, new.scope, new.kind):
        return found
    else:
        what = f"there is another memory under the id {found.id!r}"
        hint = "Leave the id out, or change that memory with update()."
    raise RecordConflict(what, record_id=found.id, expected=None, found=found.rev, hint=hint)


def _superseded(
    conn: sqlite3.Connection, news: Sequence[MemoryRecord], call: Call, may: May
) -> list[Change]:
    """What becomes of the records that `news` take the place of."""
    by = {old: new for new in news for old in new.supersedes}
    if not by:
        return []
    found = records_of(conn, list(by))
    out = []
    for old, new in by.items():
        record = found.get(old)
        whose = Scope(new.scope.tenant, new.scope.team, new.scope.user)
        if whose == Scope():
            whose = new.scope.lasting
        if record is None or not whose.covers(record.scope) or not may(record):
            raise not_found(old)
        if record.state == "active":
            since = call.now if new.valid_from is None else new.valid_from
            until = _ended(record, since)
            state = replace(record, state="superseded", rev=record.rev + 1, valid_to=until)
            out.append(Change("supersede", state))
    return out


def _ended(record: MemoryRecord, when: float) -> float:
    """Until when it is true if that ends at `when`: not later than known, nor before it began."""
    until = when if record.valid_to is None else min(record.valid_to, when)
    return until if record.valid_from is None else max(until, record.valid_from)
