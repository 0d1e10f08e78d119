"""The database file that holds everything: durable, checksummed, migrated, shared by processes.

A `Database` is one SQLite file; `SCHEMA` is its layout; blobs are payloads addressed by their hash,
stored once however many sessions and records refer to them.
"""

from massgen_core.storage._blobs import (
    BlobDamage,
    add_refs,
    blob_hash,
    blob_ids,
    drop_owner,
    drop_refs,
    get_blobs,
    get_refs,
    put_blobs,
    unpack,
)
from massgen_core.storage._copy import free_name, put_in_place, remove_database, sync_file
from massgen_core.storage._database import (
    BUSY_TIMEOUT,
    Database,
    Synchronous,
    stored_schema,
)
from massgen_core.storage._errors import translate, translating
from massgen_core.storage._files import (
    FILE_NAME,
    database_path,
    indexes_beside,
    make_folder,
    snapshots_beside,
    sync_folder,
)
from massgen_core.storage._lock import FileLock
from massgen_core.storage._migrate import APPLICATION_ID, Migration, refuse_newer
from massgen_core.storage._opening import Opening
from massgen_core.storage._rescue import Carved, carve_into, create_database, fill_from
from massgen_core.storage._schema import SCHEMA
from massgen_core.storage._wal import damaged_logs, noted

__all__ = [
    "APPLICATION_ID",
    "BUSY_TIMEOUT",
    "FILE_NAME",
    "SCHEMA",
    "BlobDamage",
    "Carved",
    "Database",
    "FileLock",
    "Migration",
    "Opening",
    "Synchronous",
    "add_refs",
    "blob_hash",
    "blob_ids",
    "carve_into",
    "create_database",
    "damaged_logs",
    "database_path",
    "drop_owner",
    "drop_refs",
    "fill_from",
    "free_name",
    "get_blobs",
    "get_refs",
    "indexes_beside",
    "make_folder",
    "noted",
    "put_blobs",
    "put_in_place",
    "refuse_newer",
    "remove_database",
    "snapshots_beside",
    "stored_schema",
    "sync_file",
    "sync_folder",
    "translate",
    "translating",
    "unpack",
]
