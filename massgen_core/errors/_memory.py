"""Errors about long-term memory."""

from __future__ import annotations

from massgen_core.errors._base import MassgenError


class LedgerError(MassgenError):
    """Long-term memory cannot do what was asked."""

    code = "ledger-error"


class RecordNotFound(LedgerError):
    """There is no such memory, or not where it was looked for.

    Attributes:
        record_id: The id that was asked for.
    """

    code = "record-not-found"

    def __init__(self, message: str, *, record_id: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.record_id = record_id


class RecordConflict(LedgerError):
    """A memory was changed by somebody else, or its id is taken.

    Attributes:
        record_id: The memory.
        expected: The revision that was expected; None if none was.
        found: The revision there is.
    """

    code = "record-conflict"

    def __init__(
        self, message: str, *, record_id: str, expected: int | None, found: int, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.record_id = record_id
        self.expected = expected
        self.found = found


class AccessDenied(LedgerError):
    """A principal has no right to a scope.

    Attributes:
        principal: Who asked.
        right: ``read`` or ``write``.
    """

    code = "access-denied"

    def __init__(self, message: str, *, principal: str, right: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.principal = principal
        self.right = right


class ExtractionFailed(LedgerError):
    """A model was asked for memories, and its answer cannot be used."""

    code = "extraction-failed"


class LedgerCorrupt(LedgerError):
    """A memory on disk is not what was written.

    Attributes:
        record_id: The memory; empty if it is not known which.
    """

    code = "ledger-corrupt"

    def __init__(self, message: str, *, record_id: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.record_id = record_id
