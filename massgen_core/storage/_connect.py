"""SQLite connections as this package wants them."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from massgen_core.errors import StorageError, StorageReadOnly
from massgen_core.storage._errors import translating
from massgen_core.storage._files import make_folder, refuse_emptied, sync_folder
from massgen_core.storage._migrate import migrate, refuse_newer, refuse_older, schema_version
from massgen_core.storage._wal import keep_log, lost_commits, wal_state

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from massgen_core.clock import Clock
    from massgen_core.storage._migrate import Migration

_COMMON: Final = (
    "PRAGMA cell_size_check = ON",  # damage is an error early, not a wrong answer late
    "PRAGMA trusted_schema = OFF",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA mmap_size = 0",  # an I/O error is an error then, not a SIGBUS
    "PRAGMA cache_size = -16384",  # KiB
)
_WRITER: Final = (
    "PRAGMA secure_delete = ON",  # what is deleted is gone from the file
    "PRAGMA fullfsync = ON",  # macOS: fsync alone does not reach the disk
    "PRAGMA checkpoint_fullfsync = ON",
    "PRAGMA journal_size_limit = 67108864",
)
_NOT_WRITABLE: Final = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})


def connect_writer(
    path: Path,
    migrations: Sequence[Migration],
    *,
    synchronous: str,
    clock: Clock,
    busy_timeout: float,
) -> sqlite3.Connection:
    """The one connection that writes: the file is ours, in WAL mode and of the newest schema."""
    if path.is_dir():
        raise StorageError(f"{str(path)!r} is a folder, expected a file", path=str(path))
    if path.exists() and not os.access(path, os.W_OK):
        raise StorageReadOnly(
            f"{str(path)!r} cannot be written",
            path=str(path),
            hint="Check its permissions, or open it with read_only=True.",
        )
    refuse_emptied(path)
    is_new = not path.exists()
    if is_new:
        make_folder(path.parent)
    with translating(path), ExitStack() as undo:
        before = wal_state(path)
        conn = _connect(str(path), busy_timeout)
        undo.callback(conn.close)
        if before is not None and lost_commits(before, wal_state(path)):
            keep_log(path, clock.now())
        refuse_newer(schema_version(conn, path), migrations, path)
        if is_new:  # free pages can be given back later only if the file began with this
            conn.execute("PRAGMA auto_vacuum = INCREMENTAL")
        _enter_wal(conn, path, busy_timeout)
        for pragma in (*_WRITER, f"PRAGMA synchronous = {synchronous}"):
            conn.execute(pragma)
        migrate(conn, path, migrations, clock)
        undo.pop_all()
    if is_new:
        sync_folder(path.parent)
    return conn


def connect_reader(path: Path, *, busy_timeout: float) -> sqlite3.Connection:
    """A connection for reading beside the writer."""
    conn = _connect(str(path), busy_timeout)
    conn.execute("PRAGMA query_only = ON")
    return conn


def connect_read_only(path: Path, *, busy_timeout: float) -> sqlite3.Connection:
    """A connection that never changes the file, and needs no right to write it or its folder.

    Without permission to write, SQLite cannot create the shared-memory file that WAL mode wants. If
    no write-ahead log is left, the file is complete by itself and is read as immutable.
    """
    refuse_emptied(path)
    uri = path.resolve().as_uri()
    try:
        conn = _connect(f"{uri}?mode=ro", busy_timeout)
    except sqlite3.OperationalError as exc:
        if exc.sqlite_errorcode & 0xFF not in _NOT_WRITABLE or _has_log(path):
            raise
        conn = _connect(f"{uri}?immutable=1", busy_timeout)
    conn.execute("PRAGMA query_only = ON")
    return conn


def check_read_only(path: Path, migrations: Sequence[Migration], *, busy_timeout: float) -> int:
    """The schema version of a file that is to be read only; a newer one is let through.

    Raises:
        StorageError: There is no file, or it has an older schema.
        StorageCorrupt: It is no database of ours.
    """
    if not path.is_file():
        raise StorageError(
            f"there is no database at {str(path)!r}",
            path=str(path),
            hint="Check the path; opening it for writing creates it.",
        )
    with translating(path):
        conn = connect_read_only(path, busy_timeout=busy_timeout)
        try:
            found = schema_version(conn, path)
        finally:
            conn.close()
    refuse_older(found, migrations, path)
    return found


def _connect(target: str, busy_timeout: float) -> sqlite3.Connection:
    conn = sqlite3.connect(
        target,
        timeout=busy_timeout,
        isolation_level=None,
        check_same_thread=False,
        uri=target.startswith("file:"),
    )
    with ExitStack() as undo:
        undo.callback(conn.close)
        for pragma in _COMMON:
            conn.execute(pragma)
        conn.execute("SELECT count(*) FROM sqlite_master").fetchone()  # opens the file for real
        undo.pop_all()
    return conn


def _has_log(path: Path) -> bool:
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0


def _enter_wal(conn: sqlite3.Connection, path: Path, busy_timeout: float) -> None:
    """Switch to WAL mode; SQLite does not wait by itself when two processes create a file."""
    deadline = time.monotonic() + busy_timeout
    while True:
        try:
            (mode,) = conn.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as exc:
            busy = exc.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() >= deadline:
                raise
            time.sleep(0.02)
            continue
        if mode == "wal":
            return
        raise StorageError(
            f"the file system of {str(path)!r} does not support SQLite's WAL mode (got {mode!r})",
            path=str(path),
            hint="Put the database on a local disk.",
        )
