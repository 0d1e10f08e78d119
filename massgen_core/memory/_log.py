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
INLINE: Final = 128
"""Bytes from which on a text is a blob: below that a reference costs more than the text."""

# seq, batch, record, rev; at as IEEE 754; lengths of actor and op. Big-endian.
_HEADER: Final = struct.Struct(">qqqqdII")
_INSERT: Final = "INSERT INTO memory_log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_TEXTS: Final = frozenset({"actor", "op", "body", "text"})
COLUMNS: Final = """
    l.seq, l.batch, l.at, CAST(l.actor AS BLOB), CAST(l.op AS BLOB), l.record, l.rev,
    CAST(l.body AS BLOB), CAST(l.text AS BLOB), l.blob, l.digest, l.hash,
    b.hash, CAST(b.codec AS BLOB), b.size, b.data
"""
"""What `Entry` is made of, with ``memory_log AS l LEFT JOIN blob AS b ON b.id = l.blob``."""


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


def append(
    conn: sqlite3.Connection, changes: Sequence[Change], *, actor: str, now: float
) -> list[MemoryRecord]:
    """Write the changes as one batch; returns the records with ``seq`` and ``sha256`` filled in.

    Args:
        conn: Inside a transaction.
        changes: In order.
        actor: Who makes them.
        now: When, in seconds since the Unix epoch.
    """
    seq, prev = head(conn)
    batch = seq + 1
    blobs = _put_texts(conn, [change.record.text for change in changes])
    rows: list[Entry] = []
    out: list[MemoryRecord] = []
    for op, record in changes:
        seq += 1
        body = body_of(record)
        digest = digest_of(body, record.text)
        number = record.seq or seq
        blob = blobs.get(record.text)
        row = Entry(
            *(seq, batch, now, actor.encode(), op.encode(), number, record.rev),
            *(body.encode(), None if blob else record.text.encode(), blob, digest, b""),
        )
        prev = chained(prev, row)
        rows.append(row._replace(hash=prev))
        hashed = content_hash(record.text).hex()
        out.append(replace(record, seq=number, content_hash=hashed, sha256=digest.hex()))
    conn.executemany(_INSERT, map(_stored, rows))
    return out


def erase(conn: sqlite3.Connection, numbers: Iterable[int]) -> int:
    """Take body and text out of every entry of these records; the hashes stay. How many it were."""
    erased = 0
    for number in numbers:
        blobs = conn.execute(
            "SELECT DISTINCT blob FROM memory_log WHERE record = ? AND blob IS NOT NULL", (number,)
        ).fetchall()
        erased += conn.execute(
            "UPDATE memory_log SET body = NULL, text = NULL, blob = NULL "
            "WHERE record = ? AND body IS NOT NULL",
            (number,),
        ).rowcount
        for (blob,) in blobs:
            _release(conn, blob)
    return erased


def chained(prev: bytes, row: Entry) -> bytes:
    """The hash of an entry that follows the one of hash `prev`; content counts by its digest."""
    header = _HEADER.pack(
        row.seq, row.batch, row.record, row.rev, row.at, len(row.actor), len(row.op)
    )
    return hashlib.sha256(b"".join((prev, header, row.actor, row.op, row.digest))).digest()


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


def _stored(row: Entry) -> tuple[object, ...]:
    """The row as SQLite takes it: texts as text."""
    return tuple(
        value.decode() if isinstance(value, bytes) and name in _TEXTS else value
        for name, value in zip(Entry._fields[:12], row, strict=False)
    )


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
