"""What makes damage visible: a hash chain over the entries, and a checksum per field to name it."""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

_GENESIS: Final = b"massgen journal 1\n"
# seq, schema, tokens; created_at as IEEE 754; lengths of id, kind, tokenizer and body. Big-endian.
_HEADER: Final = struct.Struct(">qqqdIIII")
_INTEGER: Final = struct.Struct(">q")
_REAL: Final = struct.Struct(">d")
_SUM: Final = struct.Struct(">I")
_INT64: Final = 1 << 63


class Row(NamedTuple):
    """The columns of an entry as SQLite gives them, texts as UTF-8 bytes.

    The types are what an undamaged row has; a damaged one may hold anything.
    """

    seq: int
    id: bytes
    kind: bytes
    schema: int
    created_at: float
    tokens: int
    tokenizer: bytes
    body: bytes
    sums: bytes
    prev: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong with one entry.

    Attributes:
        seq: The entry.
        field: The column or the place in the body.
        what: In words for a person.
    """

    seq: int
    field: str
    what: str


SUMMED: Final = (
    "seq",
    "id",
    "kind",
    "schema",
    "created_at",
    "tokens",
    "tokenizer",
    "body",
    "prev",
)
"""The fields with a checksum of their own, in the order of ``sums``."""


def genesis(origin: str) -> bytes:
    """What the first entry of a session is chained to; forks share it with their origin."""
    return hashlib.sha256(_GENESIS + origin.encode("utf-8")).digest()


def seal(  # noqa: PLR0913 - the columns of an entry
    *,
    seq: int,
    id: str,  # noqa: A002 - the name of the column
    kind: str,
    schema: int,
    created_at: float,
    tokens: int,
    tokenizer: str,
    body: bytes,
    prev: bytes,
) -> Row:
    """The row of a new entry, chained to `prev` and checksummed."""
    row = Row(
        seq,
        id.encode("utf-8"),
        kind.encode("utf-8"),
        schema,
        created_at,
        tokens,
        tokenizer.encode("utf-8"),
        body,
        b"",
        prev,
        b"",
    )
    return row._replace(sums=_sums(row), hash=_digest(row))


def examine(row: Row) -> Damage | None:
    """What is wrong with an entry by itself; None if it is what was written."""
    try:
        intact = _digest(row) == row.hash
    except (struct.error, TypeError):  # a column changed its type
        intact = False
    if intact:
        return None
    return Damage(whole(row.seq), _changed_field(row), "does not match its checksum")


def whole(value: object) -> int:
    """A number read from a damaged row; 0 if it is none."""
    return value if isinstance(value, int) else 0


def examine_sums(row: Row) -> Damage | None:
    """Whether the checksums themselves changed; the content is intact then."""
    if row.sums == _sums(row):
        return None
    return Damage(row.seq, "sums", "does not match the fields; the content is intact")


def field_sums(values: tuple[object, ...]) -> bytes:
    """A CRC-32 per value, 4 bytes each."""
    return b"".join([_SUM.pack(zlib.crc32(_plain(value))) for value in values])


def changed(values: tuple[object, ...], names: tuple[str, ...], sums: object) -> tuple[str, ...]:
    """The names of the values that do not match their checksum."""
    if not isinstance(sums, bytes) or len(sums) != len(names) * _SUM.size:
        return ("sums",)
    now = field_sums(values)
    size = _SUM.size
    return tuple(
        name
        for index, name in enumerate(names)
        if now[index * size : (index + 1) * size] != sums[index * size : (index + 1) * size]
    )


def _digest(row: Row) -> bytes:
    seq, id_, kind, schema, created_at, tokens, tokenizer, body, _, prev, _ = row
    header = _HEADER.pack(
        seq, schema, tokens, created_at, len(id_), len(kind), len(tokenizer), len(body)
    )
    return hashlib.sha256(b"".join((prev, header, id_, kind, tokenizer, body))).digest()


def _sums(row: Row) -> bytes:
    return field_sums((*row[:8], row.prev))


def _changed_field(row: Row) -> str:
    fields = changed((*row[:8], row.prev), SUMMED, row.sums)
    # All match, or none of the fields but their checksums: then it is the hash.
    return fields[0] if fields else "hash"


def _plain(value: Any) -> bytes:
    match value:
        case bytes():
            return value
        case str():
            return value.encode("utf-8", "surrogatepass")
        case int() if -_INT64 <= value < _INT64:
            return _INTEGER.pack(value)
        case float():
            return _REAL.pack(value)
        case _:
            return b"\0" + repr(value).encode()
