"""Sessions: append-only journals on disk, from which every view of a conversation is rebuilt.

`SessionStore` opens the file, `Session` is the one writer of a session, `Entry` is what it holds.
"""

from massgen_core.sessions._model import (
    KINDS,
    Entry,
    Kind,
    NewEntry,
    Problem,
    SessionInfo,
    VerifyReport,
)
from massgen_core.sessions._resume import INTERRUPTED_BEFORE, INTERRUPTED_RUNNING
from massgen_core.sessions._session import Session
from massgen_core.sessions._store import SessionStore

__all__ = [
    "INTERRUPTED_BEFORE",
    "INTERRUPTED_RUNNING",
    "KINDS",
    "Entry",
    "Kind",
    "NewEntry",
    "Problem",
    "Session",
    "SessionInfo",
    "SessionStore",
    "VerifyReport",
]
