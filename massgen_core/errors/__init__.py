"""Every error the engine raises, in one tree.

::

    MassgenError
    ├── InvalidArgument (also ValueError)
    │   ├── InvalidMessages
    │   └── InvalidImport
    │       └── UnsafeArchive
    ├── SettingsError
    │   ├── UnknownSetting
    │   ├── InvalidSetting
    │   └── SettingsFileError
    ├── PluginError
    │   ├── PluginNotFound
    │   ├── PluginBroken
    │   ├── PluginIncompatible
    │   ├── PluginConflict
    │   └── PluginDisabled
    ├── PackageMissing
    ├── UnknownModel
    ├── TokenizerError
    ├── ContextError
    │   ├── ContextOverflowError
    │   └── HandleNotFound
    ├── StorageError
    │   ├── StorageBusy
    │   ├── StorageReadOnly
    │   ├── StorageFull
    │   ├── StorageCorrupt
    │   └── SchemaTooNew
    ├── SessionError
    │   ├── SessionNotFound
    │   ├── SessionExists
    │   ├── SessionLocked
    │   ├── SessionConflict
    │   └── JournalCorrupt
    ├── LedgerError
    │   ├── RecordNotFound
    │   ├── RecordConflict
    │   ├── AccessDenied
    │   ├── ExtractionFailed
    │   └── LedgerCorrupt
    ├── BackendError
    │   ├── ContextOverflow
    │   ├── RateLimited
    │   ├── QuotaExceeded
    │   ├── AuthFailed
    │   ├── InvalidRequest
    │   ├── ContentFiltered
    │   ├── MalformedHistory
    │   ├── Transient
    │   │   └── CircuitOpen
    │   └── Fatal
    └── AgentError
        ├── TooManySteps
        └── ToolSourceError

Each error has a stable ``code`` (its page is ``docs/reference/errors.md#<code>``), a ``hint`` that
says what to do, and typed attributes. All of them pickle.
"""

from __future__ import annotations

from massgen_core.errors._agents import AgentError, ToolSourceError, TooManySteps
from massgen_core.errors._arguments import (
    InvalidArgument,
    InvalidImport,
    InvalidMessages,
    UnsafeArchive,
)
from massgen_core.errors._backends import (
    AuthFailed,
    BackendError,
    CircuitOpen,
    ContentFiltered,
    ContextOverflow,
    Fatal,
    InvalidRequest,
    MalformedHistory,
    QuotaExceeded,
    RateLimited,
    Transient,
)
from massgen_core.errors._base import MassgenError
from massgen_core.errors._context import ContextError, ContextOverflowError, HandleNotFound
from massgen_core.errors._memory import (
    AccessDenied,
    ExtractionFailed,
    LedgerCorrupt,
    LedgerError,
    RecordConflict,
    RecordNotFound,
)
from massgen_core.errors._models import TokenizerError, UnknownModel
from massgen_core.errors._plugins import (
    PackageMissing,
    PluginBroken,
    PluginConflict,
    PluginDisabled,
    PluginError,
    PluginIncompatible,
    PluginNotFound,
)
from massgen_core.errors._sessions import (
    JournalCorrupt,
    SessionConflict,
    SessionError,
    SessionExists,
    SessionLocked,
    SessionNotFound,
)
from massgen_core.errors._settings import (
    InvalidSetting,
    SettingsError,
    SettingsFileError,
    UnknownSetting,
)
from massgen_core.errors._storage import (
    SchemaTooNew,
    StorageBusy,
    StorageCorrupt,
    StorageError,
    StorageFull,
    StorageReadOnly,
)

__all__ = [
    "AccessDenied",
    "AgentError",
    "AuthFailed",
    "BackendError",
    "CircuitOpen",
    "ContentFiltered",
    "ContextError",
    "ContextOverflow",
    "ContextOverflowError",
    "ExtractionFailed",
    "Fatal",
    "HandleNotFound",
    "InvalidArgument",
    "InvalidImport",
    "InvalidMessages",
    "InvalidRequest",
    "InvalidSetting",
    "JournalCorrupt",
    "LedgerCorrupt",
    "LedgerError",
    "MalformedHistory",
    "MassgenError",
    "PackageMissing",
    "PluginBroken",
    "PluginConflict",
    "PluginDisabled",
    "PluginError",
    "PluginIncompatible",
    "PluginNotFound",
    "QuotaExceeded",
    "RateLimited",
    "RecordConflict",
    "RecordNotFound",
    "SchemaTooNew",
    "SessionConflict",
    "SessionError",
    "SessionExists",
    "SessionLocked",
    "SessionNotFound",
    "SettingsError",
    "SettingsFileError",
    "StorageBusy",
    "StorageCorrupt",
    "StorageError",
    "StorageFull",
    "StorageReadOnly",
    "TokenizerError",
    "TooManySteps",
    "ToolSourceError",
    "Transient",
    "UnknownModel",
    "UnknownSetting",
    "UnsafeArchive",
]

for _name in __all__:  # a traceback and a pickle name the public module
    globals()[_name].__module__ = __name__
del _name
