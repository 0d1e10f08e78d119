"""Vectors on disk: one per record and embedder, checked, never compared across embedders."""

from __future__ import annotations

import math
import sys
import zlib
from array import array
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from massgen_core.memory._record import MemoryRecord


def packed(vector: Sequence[float], dimensions: int) -> bytes:
    """The vector as little-endian 32-bit floats.

    Raises:
        ValueError: It has another length, or holds what is no finite number.
    """
    numbers = array("f", vector)
    if len(numbers) != dimensions:
        raise ValueError(f"a vector of {len(numbers)} numbers, expected {dimensions}")
    if not all(map(math.isfinite, numbers)):
        raise ValueError("a vector with a number that is not finite")
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def unpacked(data: bytes) -> array[float]:
    """The exact inverse of `packed`."""
    numbers = array("f")
    numbers.frombytes(data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def put_vectors(
    conn: sqlite3.Connection, embedder: str, pairs: Iterable[tuple[MemoryRecord, bytes]]
) -> set[int]:
    """Store vectors of records whose text is still the same; the numbers of those records."""
    number = embedder_number(conn, embedder)
    query = """
        INSERT OR REPLACE INTO memory_vector
        SELECT ?, number, content, ?, ? FROM memory_record WHERE number = ? AND content = ?
    """
    return {
        one.seq
        for one, data in pairs
        if conn.execute(
            query, (number, data, zlib.crc32(data), one.seq, bytes.fromhex(one.content_hash))
        ).rowcount
    }


def get_vectors(
    conn: sqlite3.Connection, embedder: str, numbers: Iterable[int] | None = None
) -> dict[int, array[float]]:
    """The intact vectors of one embedder, by record number; of these records, or of all.

    A vector of an older text, or a damaged one, is left out: it is made again.
    """
    query = """
        SELECT v.record, v.data, v.sum FROM memory_vector AS v
        JOIN memory_record AS r ON r.number = v.record
        WHERE v.embedder = (SELECT id FROM memory_embedder WHERE name = ?)
        AND v.content = r.content
    """
    if numbers is None:
        rows = conn.execute(query, (embedder,)).fetchall()
    else:
        one = f"{query} AND v.record = ?"
        rows = [row for number in numbers for row in conn.execute(one, (embedder, number))]
    return {number: unpacked(data) for number, data, sum_ in rows if zlib.crc32(data) == sum_}


_MISSING: Final = """
    FROM memory_record AS r
    WHERE r.state = 'active' AND r.number > ?2 AND NOT EXISTS (
        SELECT 1 FROM memory_vector AS v
        WHERE v.embedder = (SELECT id FROM memory_embedder WHERE name = ?1)
        AND v.record = r.number AND v.content = r.content
    )
"""


def missing_vectors(
    conn: sqlite3.Connection, embedder: str, limit: int, after: int = 0
) -> list[int]:
    """Numbers of active records that have no vector of this embedder, oldest first.

    Args:
        conn: The database.
        embedder: Its identity.
        limit: How many at most.
        after: Only numbers above this one.
    """
    query = f"SELECT r.number {_MISSING} ORDER BY r.number LIMIT ?3"
    return [number for (number,) in conn.execute(query, (embedder, after, limit))]


def count_missing(conn: sqlite3.Connection, embedder: str) -> int:
    """How many active records have no vector of this embedder."""
    return int(conn.execute(f"SELECT count(*) {_MISSING}", (embedder, 0)).fetchone()[0])


def drop_other_vectors(conn: sqlite3.Connection, keep: str) -> int:
    """Delete the vectors of every other embedder; returns how many."""
    return conn.execute(
        "DELETE FROM memory_vector "
        "WHERE embedder NOT IN (SELECT id FROM memory_embedder WHERE name = ?)",
        (keep,),
    ).rowcount


def embedder_number(conn: sqlite3.Connection, name: str) -> int:
    """The number an embedder's identity has here, given when it is first needed."""
    conn.execute("INSERT OR IGNORE INTO memory_embedder (name) VALUES (?)", (name,))
    (number,) = conn.execute("SELECT id FROM memory_embedder WHERE name = ?", (name,)).fetchone()
    return int(number)
