"""Rows out of a database file that SQLite cannot read any more: page by page, without its trees.

The format is that of https://www.sqlite.org/fileformat2.html. Nothing in the file is trusted: a
page or a cell that makes no sense is passed over.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

Value: TypeAlias = "int | float | str | bytes | None"

_MAGIC: Final = b"SQLite format 3\0"
_PAGE_SIZE: Final = 4096
"""Of every file of ours; SQLite's default since 3.12."""
_HEADER: Final = 100
_TABLE_LEAF: Final = 0x0D
_INDEX_LEAF: Final = 0x0A
_INDEX_INNER: Final = 0x02
_WAL_MAGICS: Final = (0x377F0682, 0x377F0683)
_WAL_HEADER: Final = 32
_FRAME_HEADER: Final = 24
_INTS: Final[Mapping[int, int]] = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_REAL: Final = 7
_ZERO: Final = 8
_ONE: Final = 9
_FIRST_BLOB: Final = 12


@dataclass(slots=True)
class Pages:
    """The pages of a file, with what its write-ahead log has of them.

    Attributes:
        size: Bytes of a page.
        count: Pages.
        unread: Pages that hold neither rows nor anything else that is known: zeros, as free pages
            have them, or garbage.
    """

    data: bytes
    newer: Mapping[int, bytes]
    size: int
    unread: int = 0
    count: int = field(init=False)

    def __post_init__(self) -> None:
        whole = -(-len(self.data) // self.size)
        self.count = max(whole, max(self.newer, default=0))

    def page(self, number: int) -> bytes:
        """A page, from 1; what is missing of it is zeros."""
        found = self.newer.get(number)
        if found is None:
            found = self.data[(number - 1) * self.size : number * self.size]
        return found.ljust(self.size, b"\0")


def pages_of(path: Path) -> Pages:
    """The pages of a database file and of the log beside it."""
    data = path.read_bytes()
    size = int.from_bytes(data[16:18], "big") if data.startswith(_MAGIC) else _PAGE_SIZE
    size = 65536 if size == 1 else size
    if size & (size - 1) or not 512 <= size <= 65536:  # noqa: PLR2004 - the format's own limits
        size = _PAGE_SIZE
    log = path.with_name(f"{path.name}-wal")
    newer = _logged(log.read_bytes(), size) if log.exists() else {}
    return Pages(data, newer, size)


def rows_in(pages: Pages) -> Iterator[tuple[int | None, list[Value]]]:
    """Every row that can be read: with its number, or None if its table has none."""
    for number in range(1, pages.count + 1):
        page = pages.page(number)
        start = _HEADER if number == 1 else 0
        kind = page[start]
        if kind not in (_TABLE_LEAF, _INDEX_LEAF, _INDEX_INNER):
            pages.unread += not any(page[: pages.size]) or kind > _TABLE_LEAF
            continue
        first = start + (12 if kind == _INDEX_INNER else 8)
        (cells,) = struct.unpack_from(">H", page, start + 3)
        for place in range(min(cells, (pages.size - first) // 2)):
            (offset,) = struct.unpack_from(">H", page, first + 2 * place)
            try:
                yield _cell(pages, page, offset + 4 * (kind == _INDEX_INNER), kind)
            except (IndexError, ValueError, struct.error):  # a damaged cell
                continue


def _cell(pages: Pages, page: bytes, at: int, kind: int) -> tuple[int | None, list[Value]]:
    length, at = _varint(page, at)
    number = None
    if kind == _TABLE_LEAF:
        number, at = _varint(page, at)
        number -= (number >> 63) << 64
    return number, _record(_payload(pages, page, at, length, table=kind == _TABLE_LEAF))


def _payload(pages: Pages, page: bytes, at: int, length: int, *, table: bool) -> bytes:
    """The whole payload, its overflow pages too."""
    if length > pages.count * pages.size:  # its overflow pages would be read more than once
        raise ValueError("the file has no room for it")
    usable = pages.size
    most = usable - 35 if table else (usable - 12) * 64 // 255 - 23
    if length <= most:
        return _exactly(page[at : at + length], length)
    least = (usable - 12) * 32 // 255 - 23
    local = least + (length - least) % (usable - 4)
    local = local if local <= most else least
    parts = [_exactly(page[at : at + local], local)]
    (after,) = struct.unpack_from(">I", page, at + local)
    left = length - local
    while left > 0:
        if not 0 < after <= pages.count:
            raise ValueError("an overflow page is missing")
        more = pages.page(after)
        parts.append(more[4 : 4 + min(left, usable - 4)])
        left -= usable - 4
        (after,) = struct.unpack_from(">I", more)
    return b"".join(parts)


def _record(payload: bytes) -> list[Value]:
    size, at = _varint(payload, 0)
    kinds = []
    while at < size:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    if at != size:
        raise ValueError("its header has another length")
    values: list[Value] = []
    for kind in kinds:
        value, at = _value(payload, at, kind)
        values.append(value)
    if at != len(payload):
        raise ValueError("it has another length")
    return values


def _value(payload: bytes, at: int, kind: int) -> tuple[Value, int]:
    if kind in _INTS:
        end = at + _INTS[kind]
        return int.from_bytes(_exactly(payload[at:end], end - at), "big", signed=True), end
    if kind == _REAL:
        return struct.unpack_from(">d", payload, at)[0], at + 8
    if kind in (0, _ZERO, _ONE):
        return (None if kind == 0 else kind - _ZERO), at
    if kind < _FIRST_BLOB:
        raise ValueError(f"there is no serial type {kind}")
    end = at + (kind - _FIRST_BLOB) // 2
    raw = _exactly(payload[at:end], end - at)
    return (raw.decode() if kind % 2 else raw), end


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for step in range(8):
        byte = data[at + step]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:  # noqa: PLR2004 - the bit that says that more follows
            return value, at + step + 1
    return value << 8 | data[at + 8], at + 9


def _exactly(data: bytes, length: int) -> bytes:
    if len(data) != length:
        raise ValueError("it is cut off")
    return data


def _logged(log: bytes, size: int) -> dict[int, bytes]:
    """The newest committed state of each page in a write-ahead log."""
    if len(log) < _WAL_HEADER:
        return {}
    magic, _, page_size, _, *salts = struct.unpack_from(">6I", log)
    if magic not in _WAL_MAGICS or page_size != size:
        return {}
    order = "<" if magic == _WAL_MAGICS[0] else ">"
    sums = _sums(log[:24], (0, 0), order)
    committed: dict[int, bytes] = {}
    pending: dict[int, bytes] = {}
    for at in range(_WAL_HEADER, len(log) - _FRAME_HEADER - size + 1, _FRAME_HEADER + size):
        number, commit, *found = struct.unpack_from(">6I", log, at)
        page = log[at + _FRAME_HEADER : at + _FRAME_HEADER + size]
        sums = _sums(page, _sums(log[at : at + 8], sums, order), order)
        if found != [*salts, *sums]:
            break  # left from before the log was begun anew, or torn
        pending[number] = page
        if commit:
            committed |= pending
            pending = {}
    return committed


def _sums(data: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    one, two = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two
