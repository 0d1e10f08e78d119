"""Errors about sessions and their journals."""

from __future__ import annotations

from massgen_core.errors._base import MassgenError


class SessionError(MassgenError):
    """A session could not be used.

    Attributes:
        session_id: The session.
    """

    code = "session"

    def __init__(self, message: str, *, session_id: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.session_id = session_id


class SessionNotFound(SessionError):
    """No session has this id."""

    code = "session-not-found"


class SessionExists(SessionError):
    """A session with this id exists already."""

    code = "session-exists"


class SessionLocked(SessionError):
    """Another writer has the session open."""

    code = "session-locked"


class SessionConflict(SessionError):
    """The session was changed by another writer since it was opened; nothing was written."""

    code = "session-conflict"


class JournalCorrupt(SessionError):
    """A journal entry does not match its checksum or its place in the chain.

    Attributes:
        seq: Sequence number of the first damaged entry.
        field: The damaged field.
    """

    code = "journal-corrupt"

    def __init__(
        self, message: str, *, session_id: str, seq: int, field: str, hint: str = ""
    ) -> None:
        super().__init__(message, session_id=session_id, hint=hint)
        self.seq = seq
        self.field = field
