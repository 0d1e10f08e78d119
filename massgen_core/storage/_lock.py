"""Exclusive locks between processes that vanish with the process, however it ends."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class FileLock:
    """An exclusive lock on a file; it also excludes other holders in the same process.

    The operating system gives it back when the process ends, by ``kill -9`` too. On a file system
    without locks it holds nothing back; the journal's fencing token then decides.
    """

    __slots__ = ("_fd", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def acquire(self) -> bool:
        """Whether the lock is now held; never waits.

        Raises:
            OSError: The lock file cannot be created.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            if not _lock(fd):
                os.close(fd)
                return False
            if _is_at(fd, self.path):
                _write_owner(fd)
                self._fd = fd
                return True
            os.close(fd)  # its file was removed between open and lock

    def owner(self) -> str:
        """The process id that the holder wrote; empty if it cannot be told."""
        try:
            return self.path.read_text("ascii", "replace").strip()
        except OSError:
            return ""

    def release(self, *, remove: bool = False) -> None:
        """Give the lock back; harmless if it is not held.

        Args:
            remove: Whether to remove the file too, while the lock still is held.
        """
        fd, self._fd = self._fd, None
        if fd is None:
            return
        if remove and sys.platform != "win32":
            self.path.unlink(missing_ok=True)
        os.close(fd)
        if remove and sys.platform == "win32":
            self.path.unlink(missing_ok=True)


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    # Windows forbids reading a locked byte, so the byte locked lies behind the owner's number.
    _LOCKED_BYTE = 4096

    def _lock(fd: int) -> bool:
        try:
            os.lseek(fd, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _lock(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True  # no locks on this file system
        return True


def _write_owner(fd: int) -> None:
    with contextlib.suppress(OSError):  # a full disk: the lock is held all the same
        os.ftruncate(fd, 0)
        os.lseek(fd, 0, os.SEEK_SET)
        os.write(fd, str(os.getpid()).encode("ascii"))
