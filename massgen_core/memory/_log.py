"""The log: every change of long-term memory, in order, each entry chained to the one before."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from massgen_core.memory._record import (
    MemoryRecord,
    body_of,
    content_hash,
    digest_of,
    record_from,
)
from massgen_core.storage import blob_ids, put_blobs, unpack

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

OWNER: Final = "memory"
"""Whose the texts in blobs are."""
GENESIS: Final = hashlib.sha256(b"massgen memory log 1\n").digest()
"""What the first entry is chained to."""
INLINE: Final = 512
"""Bytes from which on a text is a blob: below that the blob's hash and references, which touch five
more pages of the file, cost more than compressing the text and sharing it with sessions saves."""

# seq, batch, record, rev; at as IEEE 754; lengths of actor and op. Big-endian.
_HEADER: Final = struct.Struct(">qqqqdII")
_INSERT: Final = "INSERT INTO memory_log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
COLUMNS: Final = """
    l.seq, l.batch, l.at, CAST(l.actor AS BLOB), CAST(l.op AS BLOB), l.record, l.rev,
    CAST(l.body AS BLOB), CAST(l.text AS BLOB), l.blob, l.digest, l.hash,
    b.hash, CAST(b.codec AS BLOB), b.size, b.data
"""
"""What `Entry` is made of, with ``memory_log AS l LEFT JOIN blob AS b ON b.id = l.blob``."""
_OF_RECORD: Final = "(l.seq = ?1 AND l.record = ?1 OR l.record = ?1 AND l.record <> l.seq)"
"""A record's number is that of its first entry; only the others are in the index."""


class Entry(NamedTuple):
    """One row of the log with its blob; texts as bytes, for a damaged row may hold anything."""

    seq: int
    batch: int
    at: float
    actor: bytes
    op: bytes
    record: int
    rev: int
    body: bytes | None
    text: bytes | None
    blob: int | None
    digest: bytes
    hash: bytes
    blob_hash: bytes | None = None
    codec: bytes | None = None
    size: int | None = None
    data: bytes | None = None

    @property
    def erased(self) -> bool:
        """Whether its content was forgotten; its hashes are still there."""
        return self.body is None

    def content(self) -> tuple[str, str] | str:
        """Body and text, checked against the digest; or what is wrong with them."""
        if self.body is None:
            return "its content was forgotten"
        raw: object = self.text
        if self.blob is not None:
            raw = unpack(self.blob_hash, self.codec, self.size, self.data)
        if not isinstance(raw, bytes):
            return "its text is missing or damaged"
        try:
            body, text = self.body.decode(), raw.decode("utf-8", "surrogatepass")
        except (UnicodeDecodeError, AttributeError):
            return "its text is damaged"
        return (
            (body, text) if digest_of(body, text) == self.digest else "it does not match its hash"
        )

    def record_or_damage(self) -> MemoryRecord | str:
        """The record as this entry left it; or what is wrong with the entry."""
        found = self.content()
        if isinstance(found, str):
            return found
        body, text = found
        return record_from(body, text, seq=self.record, rev=self.rev, digest=self.digest)


class Change(NamedTuple):
    """One change to be logged: the whole state of a record after it.

    Attributes:
        op: What is done, in a word.
        record: Its state; ``seq`` is 0 for one that is created.
    """

    op: str
    record: MemoryRecord


def head(conn: sqlite3.Connection) -> tuple[int, bytes]:
    """Number and hash of the newest entry; 0 and `GENESIS` of an empty log."""
    row = conn.execute("SELECT seq, hash FROM memory_log ORDER BY seq DESC LIMIT 1").fetchone()
    return (0, GENESIS) if row is None else (row[0], row[1])


class Draft(NamedTuple):
    """An entry that is to be written.

    Attributes:
        record_id: Whose state it is.
        number: The record's number; 0 if this entry creates it, or one before it in the same call.
        op: What was done.
        rev: The record's revision after it.
        body: The record without its text; None if it was forgotten.
        text: Its text.
        digest: Of both.
        at: When, in seconds since the Unix epoch.
        actor: Who.
        batch: What belongs to one call has the same number here; the log gives it its own.
    """

    record_id: str
    number: int
    op: str
    rev: int
    body: str | None
    text: str
    digest: bytes
    at: float
    actor: str
    batch: int = 0


class Place(NamedTuple):
    """Where an entry is: its number, and its record's."""

    seq: int
    record: int


def append(
    conn: sqlite3.Connection, changes: Sequence[Change], *, actor: str, now: float
) -> list[tuple[MemoryRecord, int]]:
    """Write the changes as one batch.

    Args:
        conn: Inside a transaction.
        changes: In order.
        actor: Who makes them.
        now: When, in seconds since the Unix epoch.

    Returns:
        The records with ``seq``, ``content_hash`` and ``sha256`` filled in, each with the number of
        its entry.
    """
    drafts = []
    for op, record in changes:
        body = body_of(record)
        digest = digest_of(body, record.text)
        drafts.append(
            Draft(record.id, record.seq, op, record.rev, body, record.text, digest, now, actor)
        )
    return [
        (
            replace(
                change.record,
                seq=place.record,
                content_hash=content_hash(draft.text).hex(),
                sha256=draft.digest.hex(),
            ),
            place.seq,
        )
        for change, draft, place in zip(changes, drafts, write(conn, drafts), strict=True)
    ]


def write(conn: sqlite3.Connection, drafts: Sequence[Draft]) -> list[Place]:
    """Write the entries, chained to the newest one; where each of them is."""
    seq, prev = head(conn)
    blobs = _put_texts(conn, [draft.text for draft in drafts if draft.body is not None])
    batches: dict[int, int] = {}
    numbers: dict[str, int] = {}
    places, rows = [], []
    for record_id, number, op, rev, body, text, digest, at, actor, batch in drafts:
        seq += 1
        place = Place(seq, number or numbers.setdefault(record_id, seq))
        first = batches.setdefault(batch, seq)
        blob = None if body is None else blobs.get(text)
        inline = None if body is None or blob is not None else text
        prev = _linked(
            prev, (seq, first, place.record, rev, at), actor.encode(), op.encode(), digest
        )
        rows.append(
            (seq, first, at, actor, op, place.record, rev, body, inline, blob, digest, prev)
        )
        places.append(place)
    conn.executemany(_INSERT, rows)
    return places


def erase(conn: sqlite3.Connection, numbers: Iterable[int]) -> int:
    """Take body and text out of every entry of these records; the hashes stay. How many it were."""
    erased = 0
    for number in numbers:
        blobs = conn.execute(
            f"SELECT DISTINCT blob FROM memory_log AS l WHERE {_OF_RECORD} AND blob IS NOT NULL",  # noqa: S608 - our own words
            (number,),
        ).fetchall()
        erased += conn.execute(
            "UPDATE memory_log AS l SET body = NULL, text = NULL, blob = NULL "  # noqa: S608 - our own words
            f"WHERE {_OF_RECORD} AND body IS NOT NULL",
            (number,),
        ).rowcount
        for (blob,) in blobs:
            _release(conn, blob)
    return erased


def chained(prev: bytes, row: Entry) -> bytes:
    """The hash of an entry that follows the one of hash `prev`; content counts by its digest."""
    numbers = (row.seq, row.batch, row.record, row.rev, row.at)
    return _linked(prev, numbers, row.actor, row.op, row.digest)


def _linked(
    prev: bytes, numbers: tuple[int, int, int, int, float], actor: bytes, op: bytes, digest: bytes
) -> bytes:
    header = _HEADER.pack(*numbers, len(actor), len(op))
    return hashlib.sha256(b"".join((prev, header, actor, op, digest))).digest()


def entries(
    conn: sqlite3.Connection, where: str = "1", given: Sequence[object] = ()
) -> Iterator[Entry]:
    """The entries that match, oldest first.

    Args:
        conn: The database.
        where: A condition over ``l``, of this package's own making.
        given: Its parameters.
    """
    rows = conn.execute(
        f"SELECT {COLUMNS} FROM memory_log AS l LEFT JOIN blob AS b ON b.id = l.blob "  # noqa: S608 - our own words
        f"WHERE {where} ORDER BY l.seq",
        given,
    )
    return map(Entry._make, rows)


def entries_of(conn: sqlite3.Connection, number: int) -> list[Entry]:
    """The entries of a record, oldest first."""
    return list(entries(conn, _OF_RECORD, (number,)))


def _put_texts(conn: sqlite3.Connection, texts: Iterable[str]) -> dict[str, int]:
    """Store the long texts, and those SQLite cannot take as text; their blobs' numbers."""
    raws = {text: text.encode("utf-8", "surrogatepass") for text in texts if _needs_blob(text)}
    if not raws:
        return {}
    put_blobs(conn, OWNER, raws.values())
    numbers = blob_ids(conn, raws.values())
    return {text: numbers[raw] for text, raw in raws.items()}


def _needs_blob(text: str) -> bool:
    if text.isascii():
        return len(text) >= INLINE
    try:
        return len(text.encode()) >= INLINE
    except UnicodeEncodeError:  # a lone surrogate
        return True


def _release(conn: sqlite3.Connection, blob: int) -> None:
    """Forget our reference to a blob that no entry needs, and the blob if nobody else has one."""
    used = "SELECT 1 FROM memory_log WHERE blob = ?1"
    conn.execute(
        f"DELETE FROM blob_ref WHERE blob = ?1 AND NOT EXISTS ({used}) "  # noqa: S608 - our own words
        "AND owner = (SELECT id FROM owner WHERE name = ?2)",
        (blob, OWNER),
    )
    conn.execute(
        "DELETE FROM blob WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM blob_ref WHERE blob = ?1)",
        (blob,),
    )
