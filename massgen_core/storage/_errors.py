"""SQLite's errors, said in the terms of this package."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from massgen_core.errors import (
    SchemaTooNew,
    StorageBusy,
    StorageCorrupt,
    StorageError,
    StorageFull,
    StorageReadOnly,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# https://www.sqlite.org/rescode.html; a failed write is SQLITE_FULL only for ENOSPC. A file size
# limit (EFBIG) and a quota (EDQUOT) come back as one of the I/O errors below.
_NO_ROOM: Final = frozenset(
    {
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_SHMSIZE,
        sqlite3.SQLITE_IOERR_TRUNCATE,
    }
)
_DISK: Final = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), sqlite3.SQLITE_FULL),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), sqlite3.SQLITE_READONLY),
}
_DAMAGED: Final = frozenset({sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS})
_SALVAGE: Final = (
    "`mgc session verify` says what is damaged, "
    "`mgc session export --salvage` writes what is intact. Where the file cannot be opened at all, "
    "`mgc memory repair --salvage` makes a new one of what can be read."
)


@contextmanager
def translating(path: Path, *, newer: tuple[int, int] | None = None) -> Iterator[None]:
    """Raise errors of SQLite and of the disk as `StorageError`, the original chained."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError, OSError) as exc:
        ours = translate(exc, path, newer=newer)
        if ours is exc:
            raise
        raise ours from exc


def translate(
    exc: BaseException, path: Path, *, newer: tuple[int, int] | None = None
) -> BaseException:
    """The error of this package that `exc` means; `exc` itself if that is none of the disk.

    Args:
        exc: What was raised.
        path: The database file.
        newer: (found, supported) schema versions, if the file is newer than this program.
    """
    if isinstance(exc, OSError):
        return _of_disk(exc, path)
    code = sqlite3.SQLITE_CORRUPT if _is_no_text(exc) else getattr(exc, "sqlite_errorcode", None)
    if code is None:  # not SQLite's, or a wrong use of the module
        return exc
    ours = _too_new(exc, path, newer) if newer else _by_code(exc, code, str(path))
    ours.__cause__ = exc
    return ours


def _of_disk(exc: OSError, path: Path) -> BaseException:
    """The error for what the operating system says of a disk; `exc` itself if it is another."""
    code = _DISK.get(exc.errno or 0)
    if code is None:
        return exc
    ours = _by_code(exc, code, str(exc.filename or path))
    ours.__cause__ = exc
    return ours


def _is_no_text(exc: BaseException) -> bool:
    """Whether sqlite3 found bytes where text should be: in a column, or in a message of SQLite."""
    if isinstance(exc, UnicodeDecodeError):
        return True
    return isinstance(exc, sqlite3.Error) and str(exc).startswith("Could not decode")


def _too_new(exc: BaseException, path: Path, newer: tuple[int, int]) -> StorageError:
    found, supported = newer
    return SchemaTooNew(
        f"{str(path)!r} has schema {found}, this program reads up to {supported}: {exc}",
        found=found,
        supported=supported,
        path=str(path),
        hint="Upgrade massgen-core.",
    )


def _by_code(exc: BaseException, code: int, path: str) -> StorageError:
    primary = code & 0xFF
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StorageBusy(
            f"{path!r} stayed locked by another process: {exc}",
            path=path,
            hint="Try again; if it persists, look for a process that holds the file open.",
        )
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN):
        return StorageReadOnly(
            f"{path!r} cannot be written: {exc}",
            path=path,
            hint="Check the permissions of the file and its folder, or open it read-only.",
        )
    if primary == sqlite3.SQLITE_FULL or code in _NO_ROOM:
        return StorageFull(
            f"no room to write {path!r}: {exc}",
            path=path,
            hint="Free disk space (or raise the quota or file size limit) and go on: nothing that "
            "was acknowledged is lost.",
        )
    damaged = primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CONSTRAINT)
    if damaged or code in _DAMAGED or str(exc).startswith("no such"):
        return StorageCorrupt(f"{path!r} is damaged: {exc}", path=path, hint=_SALVAGE)
    return StorageError(f"{path!r}: {exc}", path=path)
