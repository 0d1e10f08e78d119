"""The root of the tree, and how an error crosses a process boundary whole."""

from __future__ import annotations

from typing import Any, ClassVar


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
