"""Errors about settings: an unknown key, a value that cannot be used, a broken file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_core.errors._base import MassgenError

if TYPE_CHECKING:
    from collections.abc import Sequence


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
