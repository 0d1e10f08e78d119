"""The layout of the database file: one numbered sequence for all that lives in it."""

from __future__ import annotations

from typing import Final

from massgen_core.storage._migrate import Migration

_ENTRY_COLUMNS: Final = """
    seq        INTEGER NOT NULL,
    id         TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    schema     INTEGER NOT NULL,
    created_at REAL    NOT NULL,
    tokens     INTEGER NOT NULL,
    tokenizer  TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    sums       BLOB    NOT NULL,
    prev       BLOB    NOT NULL,
    hash       BLOB    NOT NULL
"""

_FIRST: Final = Migration(
    1,
    "blobs and sessions",
    (
        """
        CREATE TABLE blob (
            id    INTEGER PRIMARY KEY,
            hash  BLOB    NOT NULL UNIQUE,
            codec TEXT    NOT NULL,
            size  INTEGER NOT NULL,
            data  BLOB    NOT NULL
        )
        """,
        "CREATE TABLE owner (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
        """
        CREATE TABLE blob_ref (
            owner INTEGER NOT NULL,
            blob  INTEGER NOT NULL,
            PRIMARY KEY (owner, blob)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX blob_ref_blob ON blob_ref (blob)",
        """
        CREATE TABLE session (
            id         TEXT    NOT NULL PRIMARY KEY,
            origin     TEXT    NOT NULL,
            parent_id  TEXT,
            parent_seq INTEGER,
            title      TEXT    NOT NULL,
            meta       TEXT    NOT NULL,
            created_at REAL    NOT NULL,
            sums       BLOB    NOT NULL,
            head_seq   INTEGER NOT NULL,
            head_hash  BLOB    NOT NULL,
            messages   INTEGER NOT NULL,
            tokens     INTEGER NOT NULL,
            active_at  REAL    NOT NULL,
            writer     TEXT    NOT NULL,
            head_sum   INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
        f"""
        CREATE TABLE entry (
            session_id TEXT NOT NULL,
            {_ENTRY_COLUMNS},
            PRIMARY KEY (session_id, seq)
        ) WITHOUT ROWID
        """,
        f"""
        CREATE TABLE quarantine (
            number     INTEGER PRIMARY KEY,
            session_id TEXT NOT NULL,
            moved_at   REAL NOT NULL,
            reason     TEXT NOT NULL,
            {_ENTRY_COLUMNS.replace(" NOT NULL", "")}
        )
        """,
        "CREATE INDEX quarantine_session ON quarantine (session_id)",
    ),
)

SCHEMA: Final[tuple[Migration, ...]] = (_FIRST,)
"""Every migration of the file, oldest first."""
