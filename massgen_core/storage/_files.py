"""Where the database file lies and what lies beside it, and making its folder durable."""

from __future__ import annotations

import errno
import os
import sys
from glob import escape
from pathlib import Path
from typing import Final

from massgen_core.errors import StorageCorrupt, StorageError, StorageReadOnly

FILE_NAME: Final = "massgen.db"


def database_path(path: str | os.PathLike[str]) -> Path:
    """The database file that `path` means: itself, or ``massgen.db`` in it if it is a folder.

    A path that does not exist is a folder if it has no suffix: ``.massgen``, not ``team.db``.
    """
    given = Path(path).expanduser()
    if given.is_dir() or (not given.exists() and not given.suffix):
        return given / FILE_NAME
    return given


def snapshots_beside(path: Path) -> Path:
    """The folder of a database's snapshots: ``massgen.db.snapshots``."""
    return path.with_name(f"{path.name}.snapshots")


def indexes_beside(path: Path) -> Path:
    """The folder of a database's indexes: ``massgen.indexes``."""
    return path.with_name(f"{path.stem}.indexes")


def refuse_emptied(path: Path) -> None:
    """Raise `StorageCorrupt` if the file is empty, and what lies beside it says that it was not.

    SQLite takes an empty file for a new database, and deletes the log beside it.
    """
    if not path.is_file() or path.stat().st_size:
        return
    log = path.with_name(f"{path.name}-wal")
    indexes = indexes_beside(path)
    copies = snapshots_beside(path).glob(f"{escape(path.name)}.snapshot-*")
    newest = max((one for one in copies if one.suffix != ".json"), default=None)
    if newest is not None:
        left, hint = newest, f"`mgc memory restore {newest}` puts the newest snapshot there."
    elif log.exists() and log.stat().st_size:
        left, hint = log, "`mgc memory repair --salvage` makes a new file of what its log has."
    elif indexes.is_dir() and any(indexes.iterdir()):
        left, hint = indexes, "Put a backup in its place; without the indexes it begins anew."
    else:
        return
    raise StorageCorrupt(
        f"{str(path)!r} is empty, and was not: {str(left)!r} lies beside it",
        path=str(path),
        hint=hint,
    )


def make_folder(folder: Path) -> None:
    """Create the folder and its parents, on disk before this returns.

    Raises:
        StorageReadOnly: It cannot be created there.
        StorageError: Something else is in the way.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as exc:
        raise StorageError(
            f"{str(folder)!r} cannot be the folder of a database: a file is in the way",
            path=str(folder),
            hint="Choose another path.",
        ) from exc
    except OSError as exc:
        if exc.errno == errno.ENOSPC:
            raise
        raise StorageReadOnly(
            f"the folder {str(folder)!r} cannot be created: {exc.strerror}",
            path=str(folder),
            hint="Choose a path in a folder that can be written.",
        ) from exc
    for path in missing:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable; a no-op where folders cannot be opened."""
    if sys.platform == "win32":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
