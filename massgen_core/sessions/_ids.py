"""What can be the id of a session, and the lock that goes with it."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from massgen_core.errors import InvalidArgument, SessionLocked, StorageReadOnly
from massgen_core.storage import FileLock

if TYPE_CHECKING:
    from pathlib import Path

    from massgen_core.clock import Clock

# Also the name of a file (the lock), on every system; the length leaves room for a suffix.
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)


def moment(clock: Clock) -> float:
    """What the clock says, as a number that can be stored; 0.0 if it says none."""
    now = clock.now()
    return now + 0.0 if math.isfinite(now) else 0.0  # SQLite does not keep the sign of -0.0


def checked_id(session_id: str) -> str:
    """The id, if it can be one.

    Raises:
        InvalidArgument: It cannot.
    """
    if _ID.fullmatch(session_id):
        return session_id
    raise InvalidArgument(
        f"{session_id!r:.200} cannot be a session id",
        hint="Use 1 to 128 letters, digits, '.', '_' and '-', beginning with a letter or digit.",
    )


def lock_session(path: Path, session_id: str) -> FileLock:
    """The lock of a session of the database at `path`, held.

    Raises:
        SessionLocked: Another writer holds it.
        StorageReadOnly: The lock file cannot be created.
    """
    lock = FileLock(path.with_name(f"{path.name}.locks") / f"{session_id}.lock")
    try:
        held = lock.acquire()
    except OSError as exc:
        raise StorageReadOnly(
            f"the lock {str(lock.path)!r} cannot be created: {exc.strerror}",
            path=str(path),
            hint="Check the permissions of the folder.",
        ) from exc
    if held:
        return lock
    who = lock.owner()
    raise SessionLocked(
        f"session {session_id!r} is open for writing{f' in process {who}' if who else ''}",
        session_id=session_id,
        hint="Close it there, or fork it and write to the fork. Reading needs no lock.",
    )
