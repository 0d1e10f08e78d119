"""The ``entry`` table: appending, and reading with every entry checked."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from massgen_core.clock import uuid7
from massgen_core.errors import InvalidArgument, JournalCorrupt, SessionConflict
from massgen_core.sessions._body import (
    BODY_SCHEMA,
    decode_body,
    encode_body,
    reference_path,
    references,
)
from massgen_core.sessions._chain import Damage, Row, examine, seal, whole
from massgen_core.sessions._model import KINDS, Entry, NewEntry
from massgen_core.sessions._table import Head, get_row, set_head, sound_head
from massgen_core.storage import BlobDamage, get_blobs, put_blobs

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_COLUMNS: Final = """
    seq, CAST(id AS BLOB), CAST(kind AS BLOB), schema, created_at, tokens,
    CAST(tokenizer AS BLOB), CAST(body AS BLOB), sums, prev, hash
"""
_INSERT: Final = """
    INSERT INTO entry VALUES (
        ?, ?, CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, ?, CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, ?
    )
"""
# Rows per fetch: their blobs are fetched in one query.
_BATCH: Final = 500
_MAX_INT: Final = (1 << 63) - 1
_NO_RAWS: Final[dict[bytes, bytes]] = {}


class Scanned(NamedTuple):
    """An entry as it was found.

    Attributes:
        row: Its columns.
        raws: The payloads its body refers to, by hash.
        damage: What is wrong with it or with its place in the chain; None if nothing is.
        intact: Whether the entry by itself is what was written, whatever stands before it.
    """

    row: Row
    raws: Mapping[bytes, bytes]
    damage: Damage | None
    intact: bool

    def entry(self) -> Entry:
        """The entry; its body is decoded when asked for."""
        row = self.row
        return Entry(
            row.seq,
            row.id.decode(),
            sys.intern(row.kind.decode()),
            partial(decode_body, row.body, self.raws),
            row.created_at,
            row.tokens,
            sys.intern(row.tokenizer.decode()),
        )


def owner(session_id: str) -> str:
    """Who a session's blobs belong to."""
    return f"session:{session_id}"


def append(
    conn: sqlite3.Connection,
    session_id: str,
    entries: Sequence[NewEntry],
    *,
    writer: bytes,
    at_least: int,
    now: float,
) -> tuple[Entry, ...]:
    """Write the entries after the head, if `writer` still is who may.

    Args:
        conn: Inside a transaction.
        session_id: The session.
        entries: In order.
        writer: The token the session was opened with.
        at_least: The last sequence number this writer knows to be on disk.
        now: Seconds since the Unix epoch.

    Raises:
        SessionConflict: Another writer opened the session since, or the journal went back.
        InvalidArgument: An entry cannot be stored.
    """
    head = sound_head(get_row(conn, session_id), session_id)
    if head.writer != writer or head.seq < at_least:
        raise SessionConflict(
            f"session {session_id!r} was changed by another writer",
            session_id=session_id,
            hint="Open it again and append to what is there now.",
        )
    rows, raws, kept = _sealed(entries, head, now)
    put_blobs(conn, owner(session_id), raws)
    insert(conn, session_id, rows)
    set_head(conn, session_id, advanced(head, rows))
    return kept


def insert(conn: sqlite3.Connection, session_id: str, rows: Iterable[Row]) -> None:
    """Store sealed entries."""
    conn.executemany(_INSERT, [(session_id, *row) for row in rows])


def advanced(head: Head, rows: Sequence[Row]) -> Head:
    """The head after these rows."""
    if not rows:
        return head
    counted = [row.tokens for row in rows if row.kind == b"message"]
    return head._replace(
        seq=rows[-1].seq,
        hash=rows[-1].hash,
        messages=head.messages + len(counted),
        tokens=head.tokens + sum(counted),
        active_at=rows[-1].created_at,
    )


def scan(
    conn: sqlite3.Connection,
    session_id: str,
    *,
    start: int = 1,
    stop: int | None = None,
    kinds: Sequence[str] | None = None,
) -> Iterator[Scanned]:
    """The entries with ``start <= seq < stop``, each checked by itself, its blobs too."""
    query = f"SELECT {_COLUMNS} FROM entry WHERE session_id = ? AND seq >= ? AND seq < ?"  # noqa: S608 - constants
    parameters: list[object] = [session_id, start, _MAX_INT if stop is None else stop]
    if kinds is not None:
        query += f" AND kind IN ({','.join('?' * len(kinds))})"
        parameters += kinds
    cursor = conn.execute(f"{query} ORDER BY seq", parameters)
    while rows := cursor.fetchmany(_BATCH):
        yield from _scan_batch(conn, [Row._make(row) for row in rows])


def rows_of(conn: sqlite3.Connection, session_id: str) -> list[Row]:
    """The entries of a session as they stand, in order, unchecked."""
    query = f"SELECT {_COLUMNS} FROM entry WHERE session_id = ? ORDER BY seq"  # noqa: S608 - constants
    return [Row._make(row) for row in conn.execute(query, (session_id,))]


def chained(scanned: Iterable[Scanned], seq: int, prev: bytes | None) -> Iterator[Scanned]:
    """The same entries, their places in the chain checked too.

    Args:
        scanned: Entries in order, none filtered out.
        seq: The sequence number before the first.
        prev: What the first must be chained to; None to take it as it is.
    """
    for item in scanned:
        found = item
        if item.intact:
            damage = _link_damage(item.row, seq, prev)
            if damage is not None:
                found = item._replace(damage=damage)
        yield found
        seq = whole(item.row.seq) or seq + 1
        prev = item.row.hash if item.intact else None


def read_entries(
    conn: sqlite3.Connection,
    *,
    session_id: str,
    start: int,
    stop: int | None,
    kinds: Sequence[str] | None,
) -> list[Entry]:
    """The entries with ``start <= seq < stop``.

    Raises:
        SessionNotFound: There is no such session.
        JournalCorrupt: One of them is damaged.
    """
    get_row(conn, session_id)
    found = scan(conn, session_id, start=start, stop=stop, kinds=kinds)
    if kinds is None:
        found = chained(found, max(start, 1) - 1, None)
    entries = []
    for item in found:
        if item.damage is not None:
            raise corrupt(session_id, item.damage)
        entries.append(item.entry())
    return entries


def corrupt(session_id: str, damage: Damage) -> JournalCorrupt:
    """The error that names the damage."""
    return JournalCorrupt(
        f"session {session_id!r}, entry {damage.seq}: {damage.field} {damage.what}",
        session_id=session_id,
        seq=damage.seq,
        field=damage.field,
        hint="`mgc session verify` lists all damage; `mgc session export --salvage` writes the "
        "intact entries to a file that can be imported.",
    )


def _sealed(
    entries: Sequence[NewEntry], head: Head, now: float
) -> tuple[list[Row], list[bytes], tuple[Entry, ...]]:
    rows: list[Row] = []
    raws: list[bytes] = []
    kept: list[Entry] = []
    seq, prev = head.seq, head.hash
    for new in entries:
        _check(new)
        body, payloads = encode_body(new.body)
        seq += 1
        entry_id = uuid7(now)
        row = seal(
            seq=seq,
            id=entry_id,
            kind=new.kind,
            schema=BODY_SCHEMA,
            created_at=now,
            tokens=new.tokens,
            tokenizer=new.tokenizer,
            body=body,
            prev=prev,
        )
        prev = row.hash
        rows.append(row)
        raws += payloads
        kept.append(Entry(seq, entry_id, new.kind, new.body, now, new.tokens, new.tokenizer))
    return rows, raws, tuple(kept)


def _check(new: NewEntry) -> None:
    if new.kind not in KINDS:
        raise InvalidArgument(f"entry kind {new.kind!r} is none of {', '.join(sorted(KINDS))}")
    if type(new.tokens) is not int or not 0 <= new.tokens <= _MAX_INT:
        raise InvalidArgument(f"tokens is {new.tokens!r}, expected a whole number from 0")
    if not new.tokenizer.isprintable():
        raise InvalidArgument(f"tokenizer is {new.tokenizer!r}, expected the name of a counter")


def _scan_batch(conn: sqlite3.Connection, rows: list[Row]) -> Iterator[Scanned]:
    damages = [examine(row) for row in rows]
    wanted = [
        references(row.body) if damage is None else []
        for row, damage in zip(rows, damages, strict=True)
    ]
    blobs = get_blobs(conn, [digest for digests in wanted for digest in digests])
    for row, damage, digests in zip(rows, damages, wanted, strict=True):
        if not digests:
            yield Scanned(row, _NO_RAWS, damage, damage is None)
            continue
        raws, blob_damage = _gather(row, digests, blobs)
        yield Scanned(row, raws, blob_damage, blob_damage is None)


def _gather(
    row: Row, digests: Sequence[bytes], blobs: Mapping[bytes, bytes | BlobDamage]
) -> tuple[dict[bytes, bytes], Damage | None]:
    raws: dict[bytes, bytes] = {}
    for digest in digests:
        blob = blobs[digest]
        if isinstance(blob, BlobDamage):
            return raws, Damage(row.seq, reference_path(row.body, digest), blob.what)
        raws[digest] = blob
    return raws, None


def _link_damage(row: Row, seq: int, prev: bytes | None) -> Damage | None:
    if row.seq == seq + 2:
        return Damage(seq + 1, "seq", "is missing")
    if row.seq != seq + 1:
        return Damage(seq + 1, "seq", f"is missing, and all before {row.seq}")
    if prev is not None and row.prev != prev:
        return Damage(row.seq, "prev", "does not continue the entry before it")
    return None
