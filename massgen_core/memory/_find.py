"""Finding a record by its id, for who may see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_core.errors import RecordConflict
from massgen_core.memory import _access
from massgen_core.memory._ledger import not_found, records_of
from massgen_core.memory._scope import Scope, scope_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

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
        or not _access.may(conn, principal, record, right)
        or (right == "write" and record.state == "tombstone")
    ):
        raise not_found(record_id)
    return record


def within(
    conn: sqlite3.Connection, scope: ScopeLike | None, principal: str | None
) -> Callable[[MemoryRecord], bool]:
    """Tells whether who asks for a change in the scope may change a record.

    Sessions and runs of the scope's owner count as inside: memories of one take the place of
    memories of another.
    """
    whole = Scope() if scope is None else scope_of(scope).lasting
    return lambda record: (
        whole.covers(record.scope) and _access.may(conn, principal, record, "write")
    )


def expect(record: MemoryRecord, expected_rev: int | None) -> None:
    """Check that a record has the revision that is expected, if one is.

    Raises:
        RecordConflict: It has another one.
    """
    if expected_rev is not None and record.rev != expected_rev:
        raise RecordConflict(
            f"memory {record.id!r} has revision {record.rev}, expected {expected_rev}",
            record_id=record.id,
            expected=expected_rev,
            found=record.rev,
            hint="Get it again and decide anew.",
        )
