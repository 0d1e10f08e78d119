"""Files that a caller names: taken as text or as paths, and what is wrong with them told."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from massgen_core.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterator

PathLike: TypeAlias = str | os.PathLike[str]
"""A file or a folder, as text or as a path."""


def path_of(name: str, value: PathLike) -> Path:
    """The path that is meant.

    Raises:
        InvalidArgument: It is none.
    """
    if _is_name(value):
        return Path(value)
    raise InvalidArgument(f"{name} is {value!r}, expected a path", hint="Pass text or a Path.")


def file_of(name: str, value: PathLike) -> Path:
    """The file that is meant.

    Raises:
        InvalidArgument: It is no path, or one of a folder: ``.``, ``..`` or ``/``.
    """
    path = path_of(name, value)
    if path.name in ("", ".."):
        raise InvalidArgument(f"{name} is {str(value)!r}, expected a file", hint="Name a file.")
    return path


def _is_name(value: object) -> bool:
    """Whether the system can have such a file: with a name, and without what no name can hold."""
    name = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    try:
        return isinstance(name, str) and bool(name) and b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:
        return False


@contextmanager
def written(file: Path) -> Iterator[None]:
    """The block writes the file; that it cannot is told.

    Raises:
        InvalidArgument: There is no such folder, or no file can be there.
    """
    try:
        yield
    except OSError as exc:
        raise InvalidArgument(
            f"{str(file)!r} cannot be written: {exc.strerror or exc}",
            hint="Name a file in a folder that there is.",
        ) from exc


def lines_of(file: Path) -> Iterator[str]:
    """The lines of a text file, read as they are asked for.

    Raises:
        InvalidArgument: It cannot be read, or is no UTF-8 text.
    """
    try:
        with file.open(encoding="utf-8") as lines:
            yield from lines
    except UnicodeDecodeError as exc:
        raise InvalidArgument(f"{str(file)!r} is no UTF-8 text") from exc
    except OSError as exc:
        raise InvalidArgument(
            f"{str(file)!r} cannot be read: {exc.strerror or exc}",
            hint="Name a file that there is.",
        ) from exc
