"""Sessions: append-only journals on disk, from which every view of a conversation is rebuilt.

`SessionStore` opens the file, `Session` is the one writer of a session, `Entry` is what it holds.
"""

from massgen_core.sessions._adopt import adopt
from massgen_core.sessions._erased import ERASED
from massgen_core.sessions._model import (
    KINDS,
    Entry,
    Kind,
    NewEntry,
    Problem,
    SessionInfo,
    VerifyReport,
)
from massgen_core.sessions._redact import Redacted, redact
from massgen_core.sessions._resume import INTERRUPTED_BEFORE, INTERRUPTED_RUNNING
from massgen_core.sessions._session import Session
from massgen_core.sessions._store import SessionStore
from massgen_core.sessions._verify import verify

__all__ = [
    "ERASED",
    "INTERRUPTED_BEFORE",
    "INTERRUPTED_RUNNING",
    "KINDS",
    "Entry",
    "Kind",
    "NewEntry",
    "Problem",
    "Redacted",
    "Session",
    "SessionInfo",
    "SessionStore",
    "VerifyReport",
    "adopt",
    "redact",
    "verify",
]
