"""Errors about fitting a context, and getting back what left it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_core.errors._base import MassgenError

if TYPE_CHECKING:
    from collections.abc import Sequence


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
