"""Whole database files: copying one that is written to, and putting one in the place of another."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from glob import escape
from typing import TYPE_CHECKING, TypeVar

from massgen_core.errors import StorageBusy, StorageCorrupt
from massgen_core.storage._files import sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")


def copy_database(path: Path, target: Path) -> None:
    """A complete copy of the file as it is now, on disk before this returns; writers go on.

    Made under another name first, so that `target` is whole or not there.

    Raises:
        StorageCorrupt: The file is damaged.
    """
    temporary = target.with_name(f"{target.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        _copy(path, temporary)
        sync_file(temporary)
        temporary.rename(target)
    finally:
        temporary.unlink(missing_ok=True)  # a disk that is full needs the room
    sync_folder(target.parent)


def _copy(path: Path, target: Path) -> None:
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as source,
        closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        copy.execute("PRAGMA journal_mode = OFF")  # a killed copy is begun anew, never repaired
        source.backup(copy)
        (state,) = copy.execute("PRAGMA quick_check(1)").fetchone()
    if state != "ok":
        raise StorageCorrupt(
            f"{str(path)!r} is damaged and was not copied: {state}",
            path=str(path),
            hint="`mgc session export --salvage` writes what is intact.",
        )


def swap_in(
    replacement: Path,
    path: Path,
    kept: Path,
    prepare: Callable[[sqlite3.Connection, sqlite3.Connection], T],
    *,
    connect: Callable[[Path], sqlite3.Connection],
    busy_timeout: float,
) -> T:
    """Put a copy of `replacement` in the place of `path`; the file that was there becomes `kept`.

    A kill leaves the old file or the new one, each whole. Nobody else may have the file open: its
    write-ahead log must be gone, or SQLite would apply it to the new file.

    Args:
        replacement: The other file; it stays as it is.
        path: What its copy takes the place of.
        kept: A name beside it that nobody has.
        prepare: Is given the old file, which nobody changes any more, and changes the copy.
        connect: Opens the copy for writing, as any database of ours.
        busy_timeout: Seconds to wait for others to close the file.

    Returns:
        What `prepare` returns.

    Raises:
        StorageBusy: Another connection has it open.
        StorageCorrupt: The replacement is damaged.
    """
    incoming = path.with_name(f"{path.name}.incoming")
    try:
        with closing(sqlite3.connect(path, timeout=busy_timeout, isolation_level=None)) as old:
            _lock(old, path)
            remove_database(incoming)  # a log that a kill left would be applied to the new copy
            copy_database(replacement, incoming)
            with closing(connect(incoming)) as new:
                prepared = _prepared(old, new, prepare)
            sync_file(incoming)
            os.link(path, kept)
            incoming.replace(path)
            sync_folder(path.parent)
    finally:
        remove_database(incoming)
    return prepared


def remove_database(path: Path) -> None:
    """Delete a file that nobody has open, with its logs, and with what its migration backed up."""
    for end in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + end).unlink(missing_ok=True)
    for backup in path.parent.glob(f"{escape(path.name)}.v*.bak"):
        backup.unlink()


def _lock(conn: sqlite3.Connection, path: Path) -> None:
    """Make the file complete by itself, and keep everybody else out of it."""
    try:
        conn.execute("PRAGMA journal_mode = DELETE").fetchone()
        conn.execute("BEGIN EXCLUSIVE")
        (mode,) = conn.execute("PRAGMA journal_mode").fetchone()  # another may have been faster
    except sqlite3.OperationalError as exc:
        raise _in_use(path) from exc
    if mode != "delete":
        raise _in_use(path)


def _prepared(
    old: sqlite3.Connection,
    new: sqlite3.Connection,
    prepare: Callable[[sqlite3.Connection, sqlite3.Connection], T],
) -> T:
    new.execute("BEGIN IMMEDIATE")
    done = prepare(old, new)
    new.execute("COMMIT")
    new.execute("PRAGMA journal_mode = DELETE")  # complete by itself as well
    return done


def put_in_place(fresh: Path, path: Path, now: float) -> Path:
    """Put a new file in the place of one that cannot be opened; where that one is kept.

    Its log goes with it: it is not the new file's. A kill leaves both files, under one name or
    another.
    """
    sync_file(fresh)
    kept = free_name(path, "damaged", now)
    os.link(path, kept)
    log = path.with_name(f"{path.name}-wal")
    if log.exists():
        log.rename(kept.with_name(f"{kept.name}-wal"))
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    fresh.replace(path)
    sync_folder(path.parent)
    return kept


def free_name(path: Path, suffix: str, now: float, *, end: str = "") -> Path:
    """A name beside `path` that nobody has: ``massgen.db.<suffix>-20260131T120000Z``."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(max(0.0, now)))
    target = path.with_name(f"{path.name}.{suffix}-{stamp}{end}")
    number = 1
    while target.exists():
        number += 1
        target = path.with_name(f"{path.name}.{suffix}-{stamp}-{number}{end}")
    return target


def sync_file(path: Path) -> None:
    """Make the content of a file durable."""
    fd = os.open(path, os.O_RDWR)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _in_use(path: Path) -> StorageBusy:
    return StorageBusy(
        f"{str(path)!r} is open elsewhere and cannot be replaced",
        path=str(path),
        hint="Close every program, session and memory that uses it.",
    )
