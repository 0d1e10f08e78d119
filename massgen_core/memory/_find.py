"""Finding a record by its id, for who may see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_core.errors import RecordConflict
from massgen_core.memory import _access
from massgen_core.memory._ledger import not_found, records_of
from massgen_core.memory._scope import scope_of

if TYPE_CHECKING:
    import sqlite3

    from massgen_core.memory._access import Right
    from massgen_core.memory._record import MemoryRecord
    from massgen_core.memory._scope import ScopeLike


def find(
    conn: sqlite3.Connection,
    record_id: str,
    scope: ScopeLike | None,
    principal: str | None,
    right: Right = "read",
) -> MemoryRecord:
    """The record, if it is in the scope and the principal has the right to it.

    Raises:
        RecordNotFound: It is not; whether it exists elsewhere is not told.
    """
    record = records_of(conn, [record_id]).get(record_id)
    if (
        record is None
        or not (scope is None or scope_of(scope).covers(record.scope))
        or not _access.allowed(conn, principal, record.scope, right)
        or not _access.sees(principal, record)
        or (right == "write" and record.state == "tombstone")
    ):
        raise not_found(record_id)
    return record


def expect(record: MemoryRecord, expected_rev: int | None) -> None:
    if expected_rev is not None and record.rev != expected_rev:
        raise RecordConflict(
            f"memory {record.id!r} has revision {record.rev}, expected {expected_rev}",
            record_id=record.id,
            expected=expected_rev,
            found=record.rev,
            hint="Get it again and decide anew.",
        )
