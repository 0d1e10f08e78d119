"""Forgetting for good: a memory, what was made from it, and where else it stands."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from glob import escape
from typing import TYPE_CHECKING, Protocol

from massgen_core.errors import InvalidArgument
from massgen_core.memory._ledger import bury, forget, records_of
from massgen_core.memory._record import LOST, MemoryRecord
from massgen_core.memory._scope import FIELDS, Scope
from massgen_core.memory._table import in_scopes
from massgen_core.storage import indexes_beside

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from massgen_core.memory._ledger import Call, May


class Journals(Protocol):
    """Takes messages out of the journals of the file, in the transaction that forgets them."""

    def __call__(
        self, conn: sqlite3.Connection, texts: Mapping[str, str], /, *, now: float, dry_run: bool
    ) -> tuple[Sequence[str], Sequence[str]]:
        """The sessions that changed, or would; and other entries of these that say the same.

        Args:
            conn: Inside a transaction.
            texts: What the messages say, by id; empty where it is not known.
            now: Seconds since the Unix epoch.
            dry_run: Whether only to say what would change.
        """
        ...


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was forgotten.

    Attributes:
        ids: The memories, those derived from the ones that were named among them; a principal is
            not told of derived ones that it may not read.
        derived: Those of them that were derived.
        at: When, in seconds since the Unix epoch.
        actor: Who; empty for the program itself.
        entry: The log entry that says so; the first of several.
        sessions: Ids of sessions whose journals were changed.
        mentions: Other entries of these sessions that say the same word for word, as
            ``SESSION#ENTRY``: they are memories of their own, and stay until they are forgotten.
        behind: Indexes that could not be told yet; they are told when they work again.
        snapshots: Snapshots that still hold it.
        copies: What lies beside the file and may hold it: copies from before a migration, a repair
            or a restore, and folders of indexes that are not open. These may be deleted: an index
            is made again when it is used again.
        scrubbed: Whether the file was written anew and its log emptied, so that no stale copy is
            left in their unused parts; not while somebody else holds the file. `Memory.compact`
            makes up for it.
    """

    ids: tuple[str, ...]
    derived: tuple[str, ...]
    at: float
    actor: str
    entry: int
    sessions: tuple[str, ...] = ()
    mentions: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()
    snapshots: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    scrubbed: bool = True


def erasure(
    conn: sqlite3.Connection,
    named: Sequence[MemoryRecord],
    call: Call,
    journals: Journals | None,
    *,
    dry_run: bool = False,
    may: May | None = None,
) -> Receipt:
    """Erase the records and all that was derived from them, however far; or say what that is.

    Args:
        conn: Inside a transaction, unless it is a dry run.
        named: What is erased.
        call: Who wants it.
        journals: Erases it from the journals of the file.
        dry_run: Whether only to say what would be erased.
        may: Whether the receipt may name a derived record; any if omitted.
    """
    derived = _derived(conn, named)
    records = [*named, *derived]
    told = tuple(one.id for one in derived if may is None or may(one))
    ids = (*(one.id for one in named), *told)
    receipt = Receipt(ids, told, call.now, call.actor, 0)
    if journals is not None:
        texts = {record.id: record.text for record in records}
        sessions, mentions = journals(conn, texts, now=call.now, dry_run=dry_run)
        receipt = replace(receipt, sessions=tuple(sessions), mentions=tuple(mentions))
    if dry_run or not records:
        return receipt
    (entry,) = conn.execute("SELECT max(seq) + 1 FROM memory_log").fetchone()
    forget(conn, records, call)
    return replace(receipt, entry=entry)


def copies_of(path: Path, indexes: Collection[str]) -> list[str]:
    """What lies beside the database and was copied from it, was in its place, or was made of it.

    Args:
        path: The database file.
        indexes: Those that are open.
    """
    patterns = ("v*.bak", "damaged-*", "before-restore-*", "incoming*", "salvaging*")
    found = {one for each in patterns for one in path.parent.glob(f"{escape(path.name)}.{each}")}
    found.update(
        one
        for one in indexes_beside(path).glob("*")
        if one.name not in indexes and one.is_dir() and any(one.iterdir())
    )
    return sorted(map(str, found))


def erase_again(
    old: sqlite3.Connection, new: sqlite3.Connection, call: Call, journals: Journals | None
) -> bool:
    """Erase in `new`, an older state of the file, what was forgotten or purged in `old`.

    What `new` does not know yet gets a tombstone there, so that a later state of the file brings it
    back no more.

    Args:
        old: May be damaged.
        new: Inside a transaction.
        call: Who restores.
        journals: As in `erasure`.

    Returns:
        Whether all tombstones of `old` could be read.
    """
    stones, whole = _stones(old)
    for op in ("forget", "purge"):
        ours = {one.id: one for one, why in stones if (why == "purge") == (op == "purge")}
        known = records_of(new, list(ours))
        back = [one for one in known.values() if one.state != "tombstone"]
        if op == "purge":
            forget(new, back, call, op)
        else:
            erasure(new, back, call, journals)
        bury(new, [one for one in ours.values() if one.id not in known], call, op)
    gone = {one.id: "" for one, why in stones if why != "purge"}
    if gone and journals is not None:  # a session may say what its memory did not yet know
        journals(new, gone, now=call.now, dry_run=False)
    return whole


def _stones(conn: sqlite3.Connection) -> tuple[list[tuple[MemoryRecord, str]], bool]:
    """The tombstones, each with what was done to it, as far as they can be read; whether all."""
    names = ", ".join(f"s.{name}" for name in FIELDS)
    out: list[tuple[MemoryRecord, str]] = []
    try:
        for record_id, kind, op, *scope in conn.execute(
            f"SELECT r.id, r.kind, l.op, {names} FROM memory_record AS r "  # noqa: S608 - our own words
            "LEFT JOIN memory_log AS l ON l.seq = r.log "
            "LEFT JOIN memory_scope AS s ON s.id = r.scope "
            f"WHERE r.state = 'tombstone' AND r.kind <> '{LOST}'"  # those may come back
        ):
            whose = Scope(*(value or "" for value in scope))
            stone = MemoryRecord(id=record_id, text="", scope=whose, kind=kind, state="tombstone")
            out.append((stone, op))
    except (sqlite3.DatabaseError, UnicodeDecodeError, InvalidArgument):
        return out, False
    return out, True


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
