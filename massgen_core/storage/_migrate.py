"""Numbered schema migrations: each in one transaction, a backup first, safe to be killed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from massgen_core.errors import SchemaTooNew, StorageCorrupt, StorageError
from massgen_core.storage._copy import copy_database, free_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from massgen_core.clock import Clock

APPLICATION_ID: Final = 0x4D474442
"""``PRAGMA application_id`` of our files: "MGDB"."""


# One statement sees one state of a file that another process may be creating.
_VERSION: Final = """
    SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master)
    FROM pragma_application_id, pragma_user_version
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step from schema ``version - 1`` to ``version``.

    Attributes:
        version: From 1, without gaps.
        name: What it does, for a person.
        steps: SQL statements, one each, or functions that change data; all in one transaction.
    """

    version: int
    name: str
    steps: tuple[str | Callable[[sqlite3.Connection], None], ...]


def schema_version(conn: sqlite3.Connection, path: Path) -> int:
    """The file's schema version, 0 for a new file.

    Raises:
        StorageCorrupt: The file is a database of another program, or its header is damaged.
    """
    application, version, tables = conn.execute(_VERSION).fetchone()
    if application == 0 and version == 0 and tables == 0:
        return 0
    if application != APPLICATION_ID:
        raise StorageCorrupt(
            f"{str(path)!r} is a database of another program (application id {application:#x})",
            path=str(path),
            hint="Choose another path.",
        )
    if version <= 0 or tables == 0:
        raise StorageCorrupt(
            f"the header of {str(path)!r} is damaged: schema version {version}, {tables} tables",
            path=str(path),
            hint="Put a backup in its place.",
        )
    return int(version)


def refuse_newer(found: int, migrations: Sequence[Migration], path: Path) -> None:
    """Raise `SchemaTooNew` if the file is newer than the migrations."""
    if found > len(migrations):
        raise SchemaTooNew(
            f"{str(path)!r} has schema {found}, this program writes up to {len(migrations)}",
            found=found,
            supported=len(migrations),
            path=str(path),
            hint="Upgrade massgen-core. Reading works with read_only=True: `mgc session export`, "
            "`mgc memory export`.",
        )


def refuse_older(found: int, migrations: Sequence[Migration], path: Path) -> None:
    """Raise if a file that must not be changed would have to be migrated first."""
    if found < len(migrations):
        raise StorageError(
            f"{str(path)!r} has schema {found}; reading it needs {len(migrations)}",
            path=str(path),
            hint="`mgc memory migrate` does it, after a backup; so does opening it for writing.",
        )


def migrate(
    conn: sqlite3.Connection, path: Path, migrations: Sequence[Migration], clock: Clock
) -> None:
    """Bring the file to the newest schema; nothing happens if it has it.

    Raises:
        SchemaTooNew: The file is newer than the migrations.
        StorageCorrupt: The file is no database of ours.
    """
    found = schema_version(conn, path)
    backed_up = found == 0
    while found < len(migrations):
        conn.execute("BEGIN IMMEDIATE")
        try:
            found = schema_version(conn, path)  # another process may have been faster
            if not backed_up and found < len(migrations):
                back_up(path, found, clock)
                backed_up = True
            if found < len(migrations):
                _apply(conn, migrations[found])
            conn.execute("COMMIT")
        finally:
            if conn.in_transaction:
                conn.execute("ROLLBACK")
        found = schema_version(conn, path)
    refuse_newer(found, migrations, path)


def _apply(conn: sqlite3.Connection, migration: Migration) -> None:
    for step in migration.steps:
        if isinstance(step, str):
            conn.execute(step)
        else:
            step(conn)
    conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    conn.execute(f"PRAGMA user_version = {migration.version}")


def back_up(path: Path, version: int, clock: Clock) -> Path:
    """A complete copy of the file beside it, on disk before this returns; never replaces another.

    The name tells schema and time: ``massgen.db.v1-20260131T120000Z.bak``.

    Raises:
        StorageCorrupt: The file is damaged.
    """
    target = free_name(path, f"v{version}", clock.now(), end=".bak")
    copy_database(path, target)
    return target
