"""Noticing that a write-ahead log lost commits: SQLite takes a damaged one for a shorter one.

Beside the log lies its index, ``-shm``, whose header says how many frames are committed. SQLite
writes it after each commit and makes it anew when the first process opens the file. So a header
from before the opening and one from after it tell what the log had and what was left of it.
Layout: https://www.sqlite.org/walformat.html, "The WAL-Index Header".
"""

from __future__ import annotations

import contextlib
import shutil
import struct
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from massgen_core.storage._copy import free_name, sync_file
from massgen_core.storage._files import sync_folder
from massgen_core.storage._outside import read_outside

if TYPE_CHECKING:
    from pathlib import Path

# Version, unused, change counter; flags, page size; frames, pages, checksum of the last frame (2),
# salt (2), checksum of this (2). In the byte order of the machine.
_HEADER: Final = struct.Struct("=3IBBH8I")
_LOG_HEADER: Final = struct.Struct(">8I")
_BACKFILLED: Final = struct.Struct("=I")
_SIZE: Final = 2 * _HEADER.size + _BACKFILLED.size
_MARK: Final = "damaged"


class WalState(NamedTuple):
    """What a log's index says.

    Attributes:
        salt: Tells one use of the log from the next.
        frames: Committed pages in the log.
        moved: Those of them that are in the database file already.
        intact: Whether the log begins as one does, or is empty.
    """

    salt: tuple[int, int]
    frames: int
    moved: int
    intact: bool


def wal_state(path: Path) -> WalState | None:
    """What the index of the database's log says; None if there is none that can be relied on.

    After a power cut it is older than the log: it is not made durable.
    """
    index = path.with_name(f"{path.name}-shm")
    try:
        if index.stat().st_mtime < _started():
            return None
    except OSError:
        return None
    data = read_outside(index) or b""
    if len(data) < _SIZE or data[: _HEADER.size] != data[_HEADER.size : 2 * _HEADER.size]:
        return None
    header = _HEADER.unpack_from(data)
    (moved,) = _BACKFILLED.unpack_from(data, 2 * _HEADER.size)
    if not header[3]:
        return None
    return WalState((header[10], header[11]), header[6], moved, _is_intact(path))


def lost_commits(before: WalState | None, after: WalState | None) -> bool:
    """Whether the log lost commits that were in no other place.

    Args:
        before: Its state before the database was opened.
        after: Its state now.
    """
    if before is None or before.frames <= before.moved or after is None:
        return False
    if after.salt == before.salt:
        return after.frames < before.frames
    # No log, or none that can be read; in any other case it was used up and begun again.
    return after.frames == 0 and (after.salt == (0, 0) or not after.intact)


def keep_log(path: Path, now: float) -> Path:
    """A copy of a damaged log, for a person to look at; `damaged_logs` names it from now on."""
    log = path.with_name(f"{path.name}-wal")
    target = free_name(log, _MARK, now)
    target.touch()
    with contextlib.suppress(FileNotFoundError):
        shutil.copy2(log, target)
    sync_file(target)
    sync_folder(path.parent)
    return target


def damaged_logs(path: Path) -> list[Path]:
    """Logs of this database that were damaged, and of which nobody has taken note."""
    return sorted(path.parent.glob(f"{path.name}-wal.{_MARK}-*"))


def noted(log: Path) -> Path:
    """Take note of a damaged log: it is kept under another name."""
    return log.rename(log.with_name(log.name.replace(f"-wal.{_MARK}-", f".{_MARK}-wal-")))


def _is_intact(path: Path) -> bool:
    """Whether the log's own header matches its checksum, or there is none."""
    try:
        with path.with_name(f"{path.name}-wal").open("rb") as file:
            head = file.read(_LOG_HEADER.size)
    except OSError:
        return True
    if len(head) < _LOG_HEADER.size:
        return True
    magic, *_, one, two = _LOG_HEADER.unpack(head)
    order = ">" if magic & 1 else "<"
    first = second = 0
    for left, right in struct.iter_unpack(f"{order}2I", head[:24]):
        first = (first + left + second) & 0xFFFF_FFFF
        second = (second + right + first) & 0xFFFF_FFFF
    return (first, second) == (one, two)


def _started() -> float:
    """When the machine was started, in seconds since the Unix epoch; 0 if that is not known."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return 0.0 if clock is None else time.time() - time.clock_gettime(clock)
