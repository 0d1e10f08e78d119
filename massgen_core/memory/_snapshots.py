"""Snapshots: complete copies of the database file, each with a manifest that says what is in it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import sqlite3
from contextlib import asynccontextmanager, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from massgen_core.errors import InvalidArgument, StorageCorrupt
from massgen_core.memory._erasure import erase_again
from massgen_core.memory._feed import forget_indexes
from massgen_core.memory._ledger import Call
from massgen_core.memory._log import head
from massgen_core.memory._paths import file_of
from massgen_core.memory._verify import verify
from massgen_core.storage import (
    FileLock,
    free_name,
    make_folder,
    snapshots_beside,
    sync_file,
    sync_folder,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from massgen_core.memory._erasure import Journals
    from massgen_core.memory._paths import PathLike
    from massgen_core.memory._record import MemoryRecord

_FORMAT: Final = 1
_CHUNK: Final = 1 << 20
_LOCK: Final = ".lock"
_PAUSE: Final = 0.02
"""Seconds between two looks at the lock."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot, as its manifest has it.

    Attributes:
        path: The copy of the database file; the manifest lies beside it as ``<path>.json``.
        created_at: When, in seconds since the Unix epoch.
        schema: Schema version of the file.
        size: Bytes.
        sha256: Of the file, in hexadecimal.
        entry: The last entry of the log in it.
        records: Records in it.
        sessions: Sessions in it.
    """

    path: Path
    created_at: float
    schema: int
    size: int
    sha256: str
    entry: int
    records: int
    sessions: int


def new_name(path: Path, folder: Path, now: float) -> Path:
    """The file of a new snapshot."""
    return free_name(folder / path.name, "snapshot", now)


@asynccontextmanager
async def alone_in(folder: Path) -> AsyncIterator[None]:
    """Wait until nobody else makes or deletes snapshots in the folder, which is created."""
    await asyncio.to_thread(make_folder, folder)
    lock = FileLock(folder / _LOCK)
    while not lock.acquire():  # noqa: ASYNC110 - another process has it
        await asyncio.sleep(_PAUSE)
    try:
        yield
    finally:
        lock.release()


def describe(file: Path, now: float) -> Snapshot:
    """Writes the manifest of a copy; from then on it is a snapshot.

    Raises:
        StorageCorrupt: `restore` would refuse it; it is deleted.
    """
    with closing(_opened(file)) as conn:
        report = verify(conn)
        if not report.ok:
            file.unlink()
            raise StorageCorrupt(
                f"the database is damaged, and a snapshot of it would be of no use: "
                f"{report.problems[0].place}: {report.problems[0].what}",
                path=str(file),
                hint="`mgc memory repair` mends it. The snapshots that there are stay.",
            )
        one: Callable[[str], int] = lambda query: conn.execute(query).fetchone()[0]  # noqa: E731
        snapshot = Snapshot(
            file,
            now,
            one("PRAGMA user_version"),
            file.stat().st_size,
            _sha256(file),
            head(conn)[0],
            one("SELECT count(*) FROM memory_record"),
            one("SELECT count(*) FROM session"),
        )
    plain = {**asdict(snapshot), "path": file.name, "format": _FORMAT}
    try:
        _write_manifest(_manifest_of(file), json.dumps(plain, indent=2) + "\n")
    except OSError:  # a disk that is full needs the room
        file.unlink()
        raise
    return snapshot


def _write_manifest(manifest: Path, text: str) -> None:
    temporary = manifest.with_name(f"{manifest.name}.tmp")
    try:
        temporary.write_text(text, "utf-8")
        sync_file(temporary)
        temporary.replace(manifest)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(manifest.parent)


def snapshots_of(path: Path, folder: Path | None = None) -> list[Snapshot]:
    """The snapshots of a database file, oldest first; copies without a manifest are none.

    Args:
        path: The database file; what has another name is not its.
        folder: Where they are; beside it if omitted.
    """
    folder = folder or snapshots_beside(path)
    found = [_read(_manifest_of(copy)) for copy in _copies(path, folder)]
    return sorted((one for one in found if one), key=lambda one: (one.created_at, one.path.name))


def _copies(path: Path, folder: Path) -> list[Path]:
    """Files of the folder that are named as a snapshot of the database is."""
    ours = re.compile(rf"{re.escape(path.name)}\.snapshot-\d{{8}}T\d{{6}}Z(-\d+)?")
    if not folder.is_dir():
        return []
    return [each for each in folder.iterdir() if ours.fullmatch(each.name) and each.is_file()]


def holds(snapshot: Snapshot, records: Iterable[MemoryRecord]) -> bool:
    """Whether one of the records is in a snapshot; a session has a message before its memory."""
    return any(
        snapshot.entry >= one.seq
        or (one.scope.session != "" and snapshot.created_at >= one.happened_at)
        for one in records
    )


def prune(path: Path, keep: int, made: Snapshot) -> list[Snapshot]:
    """Deletes the oldest snapshots beyond `keep`, and copies a kill left without a manifest.

    Args:
        path: The database file; what is not named after it stays.
        keep: How many to keep.
        made: The one that was just made: it stays, whatever the clock said.
    """
    folder = made.path.parent
    all_ = snapshots_of(path, folder)
    known = {one.path for one in all_}
    for copy in _copies(path, folder):
        if copy not in known:
            copy.unlink()
    old = [one for one in all_ if one.path != made.path][: max(0, len(all_) - keep)]
    for one in old:
        _manifest_of(one.path).unlink()  # first: without it the copy is no snapshot
        one.path.unlink(missing_ok=True)
    return old


def check_snapshot(path: PathLike) -> Snapshot:
    """The snapshot, if it is whole: file, hash, and every entry of the ledger in it.

    Raises:
        InvalidArgument: There is no snapshot at `path`.
        StorageCorrupt: It is damaged.
    """
    path = file_of("snapshot", path)
    snapshot = _read(_manifest_of(path))
    if snapshot is None or not path.is_file():
        raise InvalidArgument(
            f"there is no snapshot at {str(path)!r}", hint="`mgc memory snapshot --list` has them."
        )
    if (path.stat().st_size, _sha256(path)) != (snapshot.size, snapshot.sha256):
        raise _damaged(path, "its content does not match its manifest")
    try:
        with closing(_opened(path)) as conn:
            report = verify(conn)
    except sqlite3.DatabaseError as exc:
        raise _damaged(path, str(exc)) from exc
    if not report.ok:
        raise _damaged(path, f"{report.problems[0].place}: {report.problems[0].what}")
    return snapshot


def prepare(
    old: sqlite3.Connection, new: sqlite3.Connection, now: float, journals: Journals | None
) -> bool:
    """Make a copy of a snapshot fit to take the place of a file; whether that said all.

    Indexes are made again, and what was forgotten since the snapshot stays forgotten, as far as the
    file says so.

    Args:
        old: The file; may be damaged.
        new: The copy, inside a transaction.
        now: Seconds since the Unix epoch.
        journals: As in `erase_again`.
    """
    forget_indexes(new)
    return erase_again(old, new, Call("", now), journals)


def _opened(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)


def _damaged(path: Path, what: str) -> StorageCorrupt:
    return StorageCorrupt(
        f"the snapshot {str(path)!r} is damaged: {what}",
        path=str(path),
        hint="Nothing was changed. Take an older one.",
    )


def _read(manifest: Path) -> Snapshot | None:
    """The snapshot of a manifest; None if it cannot be read or is of another format."""
    try:
        plain: dict[str, Any] = json.loads(manifest.read_text("utf-8"))
        if plain.pop("format") != _FORMAT or Path(plain["path"]).name != plain["path"]:
            return None
        return Snapshot(**{**plain, "path": manifest.parent / plain["path"]})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _manifest_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.json")


def _sha256(file: Path) -> str:
    hashed = hashlib.sha256()
    with file.open("rb") as source:
        while chunk := source.read(_CHUNK):
            hashed.update(chunk)
    return hashed.hexdigest()
