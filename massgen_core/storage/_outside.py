"""Reading a file that SQLite has open, without taking its locks away.

A process that closes a file gives up all its POSIX locks on it, however often it has it open
(https://www.sqlite.org/howtocorrupt.html, 2.2): SQLite's would be gone, and the next process would
take itself for the only one. So another process reads it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def read_outside(path: Path) -> bytes | None:
    """The content of the file; None if it cannot be read from outside."""
    cat = None if sys.platform == "win32" else shutil.which("cat")
    if cat is None:
        return None
    done = subprocess.run([cat, "--", str(path)], capture_output=True, check=False)  # noqa: S603 - no shell
    return done.stdout if done.returncode == 0 else None


def copy_outside(path: Path, target: Path) -> None:
    """Copy the file; by ourselves where closing it takes no locks away.

    Raises:
        OSError: It cannot be copied.
    """
    cat = None if sys.platform == "win32" else shutil.which("cat")
    if cat is None:
        shutil.copyfile(path, target)
        return
    with target.open("wb") as file:
        done = subprocess.run(  # noqa: S603 - no shell
            [cat, "--", str(path)], stdout=file, stderr=subprocess.PIPE, check=False
        )
    if done.returncode != 0:
        target.unlink()
        raise OSError(done.stderr.decode(errors="replace").strip())
