"""The one place where whatever a plugin raises is caught."""

from __future__ import annotations

import traceback
from typing import Self


class Fence:
    """A block whose failure is recorded instead of raised.

    Ctrl-C, task cancellation and other control flow pass. ``SystemExit`` does not: a plugin that
    calls ``sys.exit`` when it is imported must not end the program.

    Attributes:
        error: What the block raised; None if nothing.

    Examples:
        >>> with Fence() as fence:
        ...     raise SystemExit("no")
        >>> fence.error
        SystemExit('no')
    """

    __slots__ = ("error",)

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> bool:
        if error is None or not _is_fault(error):
            return False
        self.error = error
        return True


def _is_fault(error: BaseException) -> bool:
    """Whether the exception is a fault of the plugin, not a signal to the program.

    A panic in a Rust extension is a ``BaseException`` of a class that cannot be imported.
    """
    return isinstance(error, Exception | SystemExit) or type(error).__name__ == "PanicException"


def describe(error: BaseException) -> str:
    """The error in one line, with the place in the plugin where it arose."""
    text = " ".join(str(error).split())
    line = f"{type(error).__name__}: {text}" if text else type(error).__name__
    place = _place(error)
    return f"{line} ({place})" if place else line


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not f.filename.startswith("<frozen ")]
    if not own or _is_ours(own[-1].filename):
        return ""
    return f"{own[-1].filename}:{own[-1].lineno}"


def _is_ours(filename: str) -> bool:
    return filename.startswith(__file__.removesuffix("_fence.py"))
