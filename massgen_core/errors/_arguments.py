"""Errors about values that a caller passed in, which are `ValueError` as well."""

from __future__ import annotations

from massgen_core.errors._base import MassgenError


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
