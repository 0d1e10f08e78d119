"""Where the database file lies, and making its folder durable."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Final

from massgen_core.errors import StorageError, StorageReadOnly

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
