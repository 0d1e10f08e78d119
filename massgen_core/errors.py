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

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence


def _restore(cls: type[MassgenError], args: tuple[Any, ...], state: dict[str, Any]) -> MassgenError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class MassgenError(Exception):
    """The root of all errors of this package.

    Attributes:
        code: Stable identifier, the anchor of the error's page in the reference.
        hint: What the reader can do about it; may be empty.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    @property
    def message(self) -> str:
        """What happened, without the hint."""
        return str(self.args[0]) if self.args else ""

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__.copy())


class InvalidArgument(MassgenError, ValueError):
    """A value passed to a public function cannot be used."""

    code = "invalid-argument"


class InvalidMessages(InvalidArgument):
    """A list of messages breaks the rules of its format.

    Attributes:
        index: Position of the offending message, from 0; None if the list itself is wrong.
    """

    code = "invalid-messages"

    def __init__(self, message: str, *, index: int | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.index = index


class InvalidImport(InvalidArgument):
    """What another program wrote cannot be imported; nothing of it was.

    Attributes:
        file: The file, within the folder or archive it is in.
        place: Where in the file, e.g. ``line 3, column 7`` or ``results[4]``; empty if anywhere.
    """

    code = "invalid-import"

    def __init__(self, message: str, *, file: str = "", place: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.file = file
        self.place = place


class UnsafeArchive(InvalidImport):
    """An archive leads out of itself, has links, or would unpack to far too much."""

    code = "unsafe-archive"


class SettingsError(MassgenError):
    """The settings cannot be used as they are.

    Attributes:
        problems: One line for each thing that is wrong; the other attributes tell of the first.
    """

    code = "settings"

    def __init__(self, message: str, *, problems: Sequence[str] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems) or (message,)


class UnknownSetting(SettingsError):
    """A key that no selected part knows.

    Attributes:
        path: The full dotted path of the key.
        source: Where the key was found, e.g. ``massgen.yaml:12`` or ``environment MASSGEN_LGO``.
        suggestions: Known keys that look like it, best first.
    """

    code = "unknown-setting"

    def __init__(
        self,
        message: str,
        *,
        path: str,
        source: str = "",
        suggestions: Sequence[str] = (),
        problems: Sequence[str] = (),
        hint: str = "",
    ) -> None:
        super().__init__(message, problems=problems, hint=hint)
        self.path = path
        self.source = source
        self.suggestions = tuple(suggestions)


class InvalidSetting(SettingsError):
    """A known key with a value that cannot be used.

    Attributes:
        path: The full dotted path of the key.
        source: Where the value was found.
        expected: What the value should be.
        given: What it is; stars in place of a secret.
    """

    code = "invalid-setting"

    def __init__(
        self,
        message: str,
        *,
        path: str,
        source: str = "",
        expected: str = "",
        given: str = "",
        problems: Sequence[str] = (),
        hint: str = "",
    ) -> None:
        super().__init__(message, problems=problems, hint=hint)
        self.path = path
        self.source = source
        self.expected = expected
        self.given = given


class SettingsFileError(SettingsError):
    """A settings file that cannot be read or parsed.

    Attributes:
        file: Its path.
        line: The offending line, from 1; None if it is not about one line.
    """

    code = "settings-file"

    def __init__(self, message: str, *, file: str, line: int | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.file = file
        self.line = line


class PluginError(MassgenError):
    """A plugin cannot be used.

    Attributes:
        kind: The plugin kind asked for, e.g. ``strategy``; empty if not about one kind.
        name: The registered name asked for; empty if not about one name.
        dist: The distribution that provides it; empty if unknown.
    """

    code = "plugin"

    def __init__(
        self, message: str, *, kind: str = "", name: str = "", dist: str = "", hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.name = name
        self.dist = dist


class PluginNotFound(PluginError):
    """No installed plugin provides the name; the hint names near misses or the install command."""

    code = "plugin-not-found"


class PluginBroken(PluginError):
    """The plugin failed to load; the cause is chained."""

    code = "plugin-broken"


class PluginIncompatible(PluginError):
    """The plugin was written for another version of the plugin API."""

    code = "plugin-incompatible"


class PluginConflict(PluginError):
    """Two distributions provide the same name; neither wins until ``plugins.prefer`` says which."""

    code = "plugin-conflict"


class PluginDisabled(PluginError):
    """The plugin is installed but switched off by ``plugins.allow`` or ``plugins.deny``."""

    code = "plugin-disabled"


class PackageMissing(MassgenError):
    """What was asked for needs a package that is not installed.

    Attributes:
        package: Its name, as it is installed.
    """

    code = "package-missing"

    def __init__(self, message: str, *, package: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.package = package


class UnknownModel(MassgenError):
    """The model is in no catalogue; its window is never guessed.

    Attributes:
        model: The name asked for.
        suggestions: Known models that look like it, best first.
    """

    code = "unknown-model"

    def __init__(
        self, message: str, *, model: str, suggestions: Sequence[str] = (), hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.model = model
        self.suggestions = tuple(suggestions)


class TokenizerError(MassgenError):
    """A tokenizer cannot be loaded: its files are damaged or missing."""

    code = "tokenizer"


class ContextError(MassgenError):
    """The context could not be fitted or read."""

    code = "context"


class ContextOverflowError(ContextError):
    """What must be sent does not fit the window, and nothing more of it may be cut.

    Attributes:
        limit: Tokens that were available.
        used: Tokens that are needed at least.
        table: ``(what, tokens)`` of all that takes the room, largest first.
    """

    code = "context-overflow"

    def __init__(
        self,
        message: str,
        *,
        limit: int,
        used: int,
        table: Sequence[tuple[str, int]] = (),
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.limit = limit
        self.used = used
        self.table = tuple(table)


class HandleNotFound(ContextError):
    """A restore handle that nothing answers to.

    Attributes:
        handle: The handle asked for.
    """

    code = "handle-not-found"

    def __init__(self, message: str, *, handle: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.handle = handle


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


class SessionError(MassgenError):
    """A session could not be used.

    Attributes:
        session_id: The session.
    """

    code = "session"

    def __init__(self, message: str, *, session_id: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.session_id = session_id


class SessionNotFound(SessionError):
    """No session has this id."""

    code = "session-not-found"


class SessionExists(SessionError):
    """A session with this id exists already."""

    code = "session-exists"


class SessionLocked(SessionError):
    """Another writer has the session open."""

    code = "session-locked"


class SessionConflict(SessionError):
    """The session was changed by another writer since it was opened; nothing was written."""

    code = "session-conflict"


class JournalCorrupt(SessionError):
    """A journal entry does not match its checksum or its place in the chain.

    Attributes:
        seq: Sequence number of the first damaged entry.
        field: The damaged field.
    """

    code = "journal-corrupt"

    def __init__(
        self, message: str, *, session_id: str, seq: int, field: str, hint: str = ""
    ) -> None:
        super().__init__(message, session_id=session_id, hint=hint)
        self.seq = seq
        self.field = field


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


class BackendError(MassgenError):
    """A provider did not give a usable answer; the provider's own exception is chained.

    Attributes:
        backend: Registered name of the backend.
        status: HTTP status, if there was one.
    """

    code = "backend"

    def __init__(
        self, message: str, *, backend: str = "", status: int | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.backend = backend
        self.status = status


class ContextOverflow(BackendError):
    """The provider refused the request as too long.

    Attributes:
        limit: The window in tokens, if the provider named it.
        used: The prompt's size in tokens as the provider counted it, if named.
        answer: Tokens that the request asked for as an answer, if the provider named them as a part
            of what does not fit: then `used` alone may be below `limit`.
    """

    code = "provider-overflow"

    def __init__(
        self,
        message: str,
        *,
        limit: int | None = None,
        used: int | None = None,
        answer: int | None = None,
        backend: str = "",
        status: int | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, backend=backend, status=status, hint=hint)
        self.limit = limit
        self.used = used
        self.answer = answer


class RateLimited(BackendError):
    """Too many requests or tokens in a time window.

    Attributes:
        retry_after: Seconds to wait, if the provider named them.
    """

    code = "rate-limited"

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        backend: str = "",
        status: int | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, backend=backend, status=status, hint=hint)
        self.retry_after = retry_after


class QuotaExceeded(BackendError):
    """The account's budget is used up; waiting does not help."""

    code = "quota-exceeded"


class AuthFailed(BackendError):
    """The key is missing, wrong or not allowed to do this."""

    code = "auth-failed"


class InvalidRequest(BackendError):
    """The provider refused the request for a reason that sending it again will not change."""

    code = "invalid-request"


class ContentFiltered(BackendError):
    """The provider's safety filter refused the request or the answer."""

    code = "content-filtered"


class MalformedHistory(BackendError):
    """The provider refused the order or pairing of the messages."""

    code = "malformed-history"


class Transient(BackendError):
    """A fault that is likely to pass: overload, a dropped connection, a stall."""

    code = "transient"


class CircuitOpen(Transient):
    """The backend failed too often in a row and is not asked for a while.

    Attributes:
        retry_after: Seconds until it is tried again.
    """

    code = "circuit-open"

    def __init__(
        self,
        message: str,
        *,
        retry_after: float,
        backend: str = "",
        status: int | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, backend=backend, status=status, hint=hint)
        self.retry_after = retry_after


class Fatal(BackendError):
    """A fault of the provider that is not expected to pass."""

    code = "fatal"


class AgentError(MassgenError):
    """An agent could not go on."""

    code = "agent"


class TooManySteps(AgentError):
    """The tool loop reached its limit of model calls in one turn.

    Attributes:
        steps: The limit.
    """

    code = "too-many-steps"

    def __init__(self, message: str, *, steps: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.steps = steps


class ToolSourceError(AgentError):
    """What runs an agent's tools (a server, say) cannot be reached, or went away.

    Attributes:
        source: Its name in the settings.
    """

    code = "tool-source"

    def __init__(self, message: str, *, source: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.source = source
