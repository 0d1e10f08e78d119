"""Content-addressed payloads: each is on disk once, however many owners refer to it."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

# One query per this many hashes; SQLite 3.40 allows 32,766 parameters.
_BATCH: Final = 500
_PUT: Final = """
    INSERT INTO blob (hash, codec, size, data) VALUES (?, ?, ?, ?)
    ON CONFLICT (hash) DO UPDATE
    SET codec = excluded.codec, size = excluded.size, data = excluded.data
    WHERE data IS NOT excluded.data OR codec IS NOT excluded.codec OR size IS NOT excluded.size
"""  # the update heals a blob that was damaged on disk
_OWNER: Final = "SELECT id FROM owner WHERE name = ?"
_REFS: Final = """
    SELECT hash FROM blob JOIN blob_ref ON blob.id = blob_ref.blob
    WHERE blob_ref.owner = (SELECT id FROM owner WHERE name = ?)
"""


@dataclass(frozen=True, slots=True)
class BlobDamage:
    """Why a blob cannot be given back.

    Attributes:
        what: In words for a person.
    """

    what: str


def blob_hash(raw: bytes) -> bytes:
    """The address of a payload: its SHA-256, 32 bytes."""
    return hashlib.sha256(raw).digest()


def put_blobs(conn: sqlite3.Connection, owner: str, raws: Iterable[bytes]) -> None:
    """Store the payloads and note that `owner` refers to them."""
    rows = [_row(raw) for raw in raws]
    if rows:
        conn.executemany(_PUT, rows)
        add_refs(conn, owner, [row[0] for row in rows])


def add_refs(conn: sqlite3.Connection, owner: str, hashes: Iterable[bytes]) -> None:
    """Note that `owner` refers to these blobs."""
    conn.execute("INSERT OR IGNORE INTO owner (name) VALUES (?)", (owner,))
    (number,) = conn.execute(_OWNER, (owner,)).fetchone()
    conn.executemany(
        "INSERT OR IGNORE INTO blob_ref (owner, blob) SELECT ?, id FROM blob WHERE hash = ?",
        [(number, digest) for digest in hashes],
    )


def blob_ids(conn: sqlite3.Connection, raws: Iterable[bytes]) -> dict[bytes, int]:
    """The row numbers of payloads that are stored, by payload."""
    hashes = {blob_hash(raw): raw for raw in raws}
    out: dict[bytes, int] = {}
    for batch in _batches(list(hashes)):
        marks = ",".join("?" * len(batch))
        rows = conn.execute(f"SELECT hash, id FROM blob WHERE hash IN ({marks})", batch)  # noqa: S608 - only marks
        out.update((hashes[digest], number) for digest, number in rows)
    return out


def get_refs(conn: sqlite3.Connection, owner: str) -> set[bytes]:
    """The hashes of the blobs that `owner` refers to."""
    return {digest for (digest,) in conn.execute(_REFS, (owner,))}


def get_blobs(conn: sqlite3.Connection, hashes: Iterable[bytes]) -> dict[bytes, bytes | BlobDamage]:
    """The payloads, each checked against its address; a `BlobDamage` for one that is not intact."""
    wanted = list(dict.fromkeys(hashes))
    out: dict[bytes, bytes | BlobDamage] = {}
    for batch in _batches(wanted):
        marks = ",".join("?" * len(batch))
        rows = conn.execute(
            f"SELECT hash, CAST(codec AS BLOB), size, data FROM blob WHERE hash IN ({marks})",  # noqa: S608 - only marks
            batch,
        )
        for digest, codec, size, data in rows:
            out[digest] = unpack(digest, codec, size, data)
    for digest in wanted:
        if digest not in out:
            out[digest] = BlobDamage("its text is missing from the blobs")
    return out


def unpack(digest: object, codec: object, size: object, data: object) -> bytes | BlobDamage:
    """The payload of one row of ``blob``, or what is wrong with it."""
    if not isinstance(data, bytes):
        return BlobDamage("its blob holds no bytes")
    raw = data
    if codec == b"zlib" and isinstance(size, int):
        inflater = zlib.decompressobj()
        try:
            raw = inflater.decompress(data, max(0, size) + 1)
        except zlib.error as exc:
            return BlobDamage(f"its blob cannot be decompressed: {exc}")
    elif codec != b"raw":
        return BlobDamage(f"its blob has the unknown codec {codec!r}")
    if len(raw) != size or blob_hash(raw) != digest:
        return BlobDamage("its blob does not match its hash")
    return raw


def drop_owner(conn: sqlite3.Connection, owner: str) -> int:
    """Forget the owner's references, and the blobs nobody else refers to; returns how many went."""
    found = conn.execute(_OWNER, (owner,)).fetchone()
    if found is None:
        return 0
    blobs = conn.execute("SELECT blob FROM blob_ref WHERE owner = ?", found).fetchall()
    conn.execute("DELETE FROM blob_ref WHERE owner = ?", found)
    conn.execute("DELETE FROM owner WHERE id = ?", found)
    return conn.executemany(
        "DELETE FROM blob WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM blob_ref WHERE blob = ?1)",
        blobs,
    ).rowcount


def drop_refs(conn: sqlite3.Connection, owner: str, hashes: Iterable[bytes]) -> None:
    """Forget some of the owner's references, and the blobs among these nobody else refers to."""
    rows = [(digest, owner) for digest in hashes]
    conn.executemany(
        "DELETE FROM blob_ref WHERE blob = (SELECT id FROM blob WHERE hash = ?) "
        "AND owner = (SELECT id FROM owner WHERE name = ?)",
        rows,
    )
    conn.executemany(
        "DELETE FROM blob WHERE hash = ?1 "
        "AND NOT EXISTS (SELECT 1 FROM blob_ref WHERE blob = blob.id)",
        [(digest,) for digest, _ in rows],
    )


def _row(raw: bytes) -> tuple[bytes, str, int, bytes]:
    packed = zlib.compress(raw)
    if len(packed) < len(raw):
        return blob_hash(raw), "zlib", len(raw), packed
    return blob_hash(raw), "raw", len(raw), raw


def _batches(items: list[bytes]) -> Iterator[list[bytes]]:
    source = iter(items)
    while batch := list(islice(source, _BATCH)):
        yield batch
