"""Errors about the database file."""

from __future__ import annotations

from massgen_core.errors._base import MassgenError


class StorageError(MassgenError):
    """The database could not be read or written.

    Attributes:
        path: The database file.
    """

    code = "storage"

    def __init__(self, message: str, *, path: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.path = path


class StorageBusy(StorageError):
    """Another process held the write lock for too long; trying again later is right."""

    code = "storage-busy"


class StorageReadOnly(StorageError):
    """The file or its folder cannot be written."""

    code = "storage-read-only"


class StorageFull(StorageError):
    """No room on the disk; nothing that was acknowledged is lost."""

    code = "storage-full"


class StorageCorrupt(StorageError):
    """The file is damaged or is no database of ours."""

    code = "storage-corrupt"


class SchemaTooNew(StorageError):
    """The file was written by a newer version of this package.

    Attributes:
        found: Schema version of the file.
        supported: Newest schema version this program knows.
    """

    code = "schema-too-new"

    def __init__(
        self, message: str, *, found: int, supported: int, path: str = "", hint: str = ""
    ) -> None:
        super().__init__(message, path=path, hint=hint)
        self.found = found
        self.supported = supported
