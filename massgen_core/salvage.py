"""Salvage: a new database of what is left of one that cannot be opened any more.

`salvage` reads the damaged file page by page, takes what is missing from the newest sound snapshot,
mends the ledger, and puts the new file in its place. The damaged one is kept beside it, and what
was lost is told. `restore` puts a whole snapshot in its place instead.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.errors import (
    InvalidArgument,
    MassgenError,
    StorageBusy,
    StorageCorrupt,
    StorageError,
)
from massgen_core.memory import (
    Mended,
    check_snapshot,
    erased_ids,
    mend,
    path_of,
    prepare,
    snapshots_of,
)
from massgen_core.memory import verify as verify_memory
from massgen_core.sessions import adopt, redact
from massgen_core.sessions import verify as verify_sessions
from massgen_core.storage import (
    SCHEMA,
    carve_into,
    create_database,
    damaged_logs,
    database_path,
    fill_from,
    put_in_place,
    refuse_newer,
    remove_database,
    stored_schema,
    translating,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from massgen_core.clock import Clock
    from massgen_core.memory import Snapshot

__all__ = ["Salvaged", "restore", "salvage"]

_AHEAD: Final = 1_000
"""Schema versions that a newer file may be ahead; what says more is damaged."""
_FORMATS: Final = (bytes((1, 1)), bytes((2, 2)))
"""Write and read version in the header of a file without and with a write-ahead log."""
_TOLD: Final = ("memory_log", "session", "entry", "blob")


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What was saved, and what was not.

    Attributes:
        kept: The damaged file, under its new name.
        snapshot: The snapshot that lost entries were taken from; None if there was none.
        rows: Rows that were read of the damaged file, by table.
        filled: Rows that were taken from the snapshot, by table.
        pages: Pages of the damaged file.
        unread: Those of them in which nothing could be read; free ones, which are zeros, are among
            them. What was written last may be among them without a trace.
        mended: What became of the ledger; see `Mended`. What it names as lost is lost.
        sessions: What is wrong with sessions, by id: entries that are missing, or a title.
    """

    kept: Path
    snapshot: Path | None
    rows: Mapping[str, int]
    filled: Mapping[str, int]
    pages: int
    unread: int
    mended: Mended
    sessions: Mapping[str, str] = field(default_factory=dict)


def salvage(path: str | os.PathLike[str], *, clock: Clock = SYSTEM_CLOCK) -> Salvaged:
    """Make a new file of what can be read of a damaged one; nobody may have it open.

    What was forgotten stays forgotten, as far as the file still says so. Vectors and indexes are
    made again when the memory is opened.

    Args:
        path: The database file, or its folder.
        clock: Dates the name of the damaged file.

    Raises:
        InvalidArgument: There is no file, or nothing in it is damaged.
        SchemaTooNew: A newer version of this package wrote it, and knows more of it.
        StorageBusy: Another connection keeps it locked.
        StorageCorrupt: Nothing in it can be read; it stays where it is.
        StorageFull: There is no room for the new file; the damaged one stays where it is.
    """
    file = _damaged(path)
    with _beside(file) as fresh:
        create_database(fresh, clock)
        with closing(sqlite3.connect(fresh, isolation_level=None)) as conn:
            conn.execute("BEGIN IMMEDIATE")
            done = _filled(conn, file, clock.now())
            conn.execute("COMMIT")
        kept = put_in_place(fresh, file, clock.now())
    snapshot, rows, filled, pages, unread, mended, sessions = done
    return Salvaged(kept, snapshot, rows, filled, pages, unread, mended, sessions)


def restore(
    path: str | os.PathLike[str],
    snapshot: str | os.PathLike[str],
    *,
    clock: Clock = SYSTEM_CLOCK,
) -> tuple[Path, bool]:
    """Put a snapshot in the place of a damaged file; nobody may have it open.

    `Memory.restore` does it for a file that can be opened.

    Args:
        path: The database file, or its folder.
        snapshot: The file of a snapshot.
        clock: Dates the name of the damaged file.

    Returns:
        Where the damaged file is now, and whether it said all that was forgotten since the
        snapshot: what it did not say is back.

    Raises:
        InvalidArgument: There is no file, it is another program's, nothing in it is damaged, or
            there is no snapshot.
        SchemaTooNew: A newer version of this package wrote one of them.
        StorageBusy: Another connection keeps the file locked.
        StorageCorrupt: The snapshot is damaged; the file stays where it is.
        StorageFull: There is no room for the copy; the file stays where it is.
    """
    file, source = _damaged(path), check_snapshot(snapshot).path
    empty = file.stat().st_size == 0  # with it, SQLite would delete the log
    if not empty:
        _refuse_foreign(file)
    with translating(file), _beside(file) as fresh:
        shutil.copyfile(source, fresh)
        create_database(fresh, clock)  # it may be of an older schema
        uri = "file::memory:" if empty else f"{file.absolute().as_uri()}?mode=ro"
        with (
            closing(sqlite3.connect(uri, uri=True)) as old,
            closing(sqlite3.connect(fresh, isolation_level=None)) as new,
        ):
            new.execute("BEGIN IMMEDIATE")
            whole = prepare(old, new, clock.now(), redact)
            new.execute("COMMIT")
            new.execute("VACUUM")
        return put_in_place(fresh, file, clock.now()), whole


def _damaged(path: str | os.PathLike[str]) -> Path:
    """The file that is meant, if something in it is damaged and no newer version wrote it."""
    file = database_path(path_of("path", path))
    if not file.is_file():
        raise InvalidArgument(f"there is no database at {str(file)!r}", hint="Check the path.")
    _refuse_newer(file)
    _check_damaged(file)
    return file


@contextmanager
def _beside(file: Path) -> Iterator[Path]:
    """The name of a new file beside another; nothing is left of it if it is not put in place."""
    fresh = file.with_name(f"{file.name}.salvaging")
    remove_database(fresh)
    try:
        yield fresh
    finally:
        remove_database(fresh)


def _refuse_newer(file: Path) -> None:
    """Raise if a newer version wrote the file: what it added would be left behind."""
    with file.open("rb") as data:
        header = data.read(100)
    version = int.from_bytes(header[60:64], "big")
    if header.startswith(b"SQLite format 3\0") and version < len(SCHEMA) + _AHEAD:
        refuse_newer(version, SCHEMA, file)


def _refuse_foreign(file: Path) -> None:
    """Raise if the file has tables, and none of ours."""
    uri = f"{file.absolute().as_uri()}?mode=ro"
    unreadable = (sqlite3.DatabaseError, UnicodeDecodeError)
    with suppress(*unreadable), closing(sqlite3.connect(uri, uri=True)) as conn:
        ours = "name IN ('memory_log', 'memory_record', 'blob_ref')"
        query = f"SELECT sum({ours}) FROM sqlite_schema WHERE type = 'table'"  # noqa: S608 - our own words
        if conn.execute(query).fetchone() == (0,):
            raise InvalidArgument(
                f"{str(file)!r} is a database of another program", hint="Choose another path."
            )


def _check_damaged(file: Path) -> None:
    """Raise if there is nothing to salvage, or somebody uses it.

    Raises:
        InvalidArgument: It can be opened, and nothing in it is damaged.
        StorageBusy: Another connection keeps it locked.
    """
    with file.open("rb") as data:
        formats = data.read(20)[18:]
    if formats not in _FORMATS:  # also of an empty file: SQLite would delete the log beside it
        return
    try:
        known = 0 < stored_schema(file) <= len(SCHEMA)
        uri = f"{file.absolute().as_uri()}?mode=ro"
        with translating(file), closing(sqlite3.connect(uri, uri=True)) as conn:
            sound = known and verify_memory(conn).ok and verify_sessions(conn, None).ok
    except StorageBusy:
        raise
    except StorageError:
        return
    if sound and not damaged_logs(file):
        raise InvalidArgument(
            f"nothing in {str(file)!r} is damaged; it stays as it is",
            hint="`mgc memory verify` checks the indexes as well.",
        )


def _filled(
    conn: sqlite3.Connection, file: Path, now: float
) -> tuple[Path | None, dict[str, int], dict[str, int], int, int, Mended, dict[str, str]]:
    carved = carve_into(conn, file)
    if not any(carved.rows[name] for name in _TOLD):
        raise StorageCorrupt(
            f"nothing in {str(file)!r} can be read",
            path=str(file),
            hint="Put a snapshot in its place: `mgc memory restore` takes the file of one.",
        )
    snapshot = _newest_sound(file)
    filled = {} if snapshot is None else fill_from(conn, snapshot.path)
    gone = erased_ids(conn)
    sessions = adopt(conn)
    mended = mend(conn, now)
    redact(conn, dict.fromkeys(gone, ""), now=now)
    where = None if snapshot is None else snapshot.path
    return where, carved.rows, filled, carved.pages, carved.unread, mended, sessions


def _newest_sound(file: Path) -> Snapshot | None:
    for one in reversed(snapshots_of(file)):
        try:
            return check_snapshot(one.path)
        except MassgenError:
            continue
    return None
