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

_LEDGER: Final = Migration(
    2,
    "ledger of long-term memory",
    (
        """
        CREATE TABLE memory_log (
            seq    INTEGER PRIMARY KEY,
            batch  INTEGER NOT NULL,
            at     REAL    NOT NULL,
            actor  TEXT    NOT NULL,
            op     TEXT    NOT NULL,
            record INTEGER NOT NULL,
            rev    INTEGER NOT NULL,
            body   TEXT,
            text   TEXT,
            blob   INTEGER,
            digest BLOB    NOT NULL,
            hash   BLOB    NOT NULL
        )
        """,
        "CREATE INDEX memory_log_record ON memory_log (record)",
        "CREATE INDEX memory_log_blob ON memory_log (blob) WHERE blob IS NOT NULL",
        """
        CREATE TABLE memory_scope (
            id      INTEGER PRIMARY KEY,
            tenant  TEXT NOT NULL,
            team    TEXT NOT NULL,
            user    TEXT NOT NULL,
            agent   TEXT NOT NULL,
            session TEXT NOT NULL,
            run     TEXT NOT NULL,
            UNIQUE (user, team, tenant, agent, session, run)
        )
        """,
        """
        CREATE TABLE memory_record (
            number  INTEGER PRIMARY KEY,
            id      TEXT    NOT NULL UNIQUE,
            log     INTEGER NOT NULL,
            rev     INTEGER NOT NULL,
            state   TEXT    NOT NULL,
            kind    TEXT    NOT NULL,
            scope   INTEGER NOT NULL,
            pinned  INTEGER NOT NULL,
            expires REAL,
            size    INTEGER NOT NULL,
            content BLOB    NOT NULL,
            sum     INTEGER NOT NULL
        )
        """,
        "CREATE INDEX memory_record_scope ON memory_record (scope, state)",
        "CREATE INDEX memory_record_content ON memory_record (content)",
        "CREATE INDEX memory_record_expires ON memory_record (expires) WHERE expires IS NOT NULL",
        """
        CREATE TABLE memory_usage (
            record INTEGER PRIMARY KEY,
            uses   INTEGER NOT NULL,
            used   REAL    NOT NULL
        )
        """,
        "CREATE TABLE memory_embedder (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
        """
        CREATE TABLE memory_vector (
            embedder INTEGER NOT NULL,
            record   INTEGER NOT NULL,
            content  BLOB    NOT NULL,
            data     BLOB    NOT NULL,
            sum      INTEGER NOT NULL,
            PRIMARY KEY (embedder, record)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE memory_outbox (
            id     INTEGER PRIMARY KEY,
            work   TEXT    NOT NULL,
            record INTEGER NOT NULL,
            tries  INTEGER NOT NULL,
            due    REAL    NOT NULL,
            error  TEXT    NOT NULL,
            UNIQUE (work, record)
        )
        """,
        """
        CREATE TABLE memory_grant (
            principal TEXT NOT NULL,
            tenant    TEXT NOT NULL,
            team      TEXT NOT NULL,
            user      TEXT NOT NULL,
            agent     TEXT NOT NULL,
            session   TEXT NOT NULL,
            run       TEXT NOT NULL,
            rights    TEXT NOT NULL,
            sum       INTEGER NOT NULL,
            PRIMARY KEY (principal, tenant, team, user, agent, session, run)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE memory_meta (
            key   TEXT NOT NULL PRIMARY KEY,
            value TEXT NOT NULL
        ) WITHOUT ROWID
        """,
    ),
)

# Each index of a table is one more page that a durable write has to put on disk.
_FEWER_INDEXES: Final = Migration(
    3,
    "fewer indexes of the ledger",
    (
        "DROP INDEX memory_record_content",  # nothing looks records up by their text
        "DROP INDEX memory_log_record",
        "CREATE INDEX memory_log_record ON memory_log (record) WHERE record <> seq",
    ),
)

SCHEMA: Final[tuple[Migration, ...]] = (_FIRST, _LEDGER, _FEWER_INDEXES)
"""Every migration of the file, oldest first."""
