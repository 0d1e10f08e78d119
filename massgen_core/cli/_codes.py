"""Exit codes: the one table that says which error ends the program how."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from massgen_core import errors


class Code(IntEnum):
    """What the exit code of ``mgc`` says."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    CONFIG = 3
    OVERFLOW = 4
    INTEGRITY = 5
    DENIED = 6
    TEMPORARY = 75  # EX_TEMPFAIL of sysexits.h
    INTERRUPTED = 130  # 128 + SIGINT
    PIPE = 141  # 128 + SIGPIPE


MEANINGS: Final[dict[Code, str]] = {
    Code.OK: "done",
    Code.FAILURE: "failed",
    Code.USAGE: "the command line or its input cannot be used",
    Code.CONFIG: "the settings, or a plugin or model they choose, cannot be used",
    Code.OVERFLOW: "what must be sent does not fit the window, whatever is cut",
    Code.INTEGRITY: "the data on disk is damaged, or of a newer version",
    Code.DENIED: "not allowed: read-only, switched off, or a key that was refused",
    Code.TEMPORARY: "busy; try again later",
    Code.INTERRUPTED: "interrupted by Ctrl-C; nothing that was acknowledged is lost",
    Code.PIPE: "the reader of the output went away",
}

ERRORS: Final[dict[type[BaseException], Code]] = {
    errors.MassgenError: Code.FAILURE,
    errors.InvalidArgument: Code.USAGE,
    errors.SettingsError: Code.CONFIG,
    errors.PluginError: Code.CONFIG,
    errors.UnknownModel: Code.CONFIG,
    errors.ContextOverflowError: Code.OVERFLOW,
    errors.ContextOverflow: Code.OVERFLOW,
    errors.StorageCorrupt: Code.INTEGRITY,
    errors.JournalCorrupt: Code.INTEGRITY,
    errors.SchemaTooNew: Code.INTEGRITY,
    errors.LedgerCorrupt: Code.INTEGRITY,
    errors.AccessDenied: Code.DENIED,
    errors.RecordConflict: Code.USAGE,
    errors.PluginDisabled: Code.DENIED,
    errors.StorageReadOnly: Code.DENIED,
    errors.AuthFailed: Code.DENIED,
    errors.StorageBusy: Code.TEMPORARY,
    errors.SessionLocked: Code.TEMPORARY,
    errors.SessionConflict: Code.TEMPORARY,
    errors.RateLimited: Code.TEMPORARY,
    errors.Transient: Code.TEMPORARY,
}
"""Errors of this package; an error that is not here ends as its nearest base does."""


def code_of(error: BaseException) -> Code:
    """The exit code of an error."""
    return next((ERRORS[cls] for cls in type(error).__mro__ if cls in ERRORS), Code.FAILURE)
