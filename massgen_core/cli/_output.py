"""Writing files: all of it or nothing."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from massgen_core.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


async def write_lines(file: Path, lines: AsyncIterator[str]) -> int:
    """Puts the lines in the file, in place of what it held; returns how many.

    The file changes only once all of them are on disk.

    Raises:
        InvalidArgument: It cannot be written.
    """
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    number = 0
    try:
        with draft.open("w", encoding="utf-8", newline="\n") as stream:
            async for line in lines:
                stream.write(f"{line}\n")
                number += 1
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
    except OSError as exc:
        raise InvalidArgument(f"{str(file)!r} cannot be written: {exc.strerror}") from exc
    finally:
        with suppress(OSError):
            draft.unlink()
    return number
