"""How a database file is opened, and the threads that work on it while it is open."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from massgen_core.clock import Clock
from massgen_core.storage._connect import (
    check_read_only,
    connect_read_only,
    connect_reader,
    connect_writer,
)
from massgen_core.storage._migrate import Migration
from massgen_core.storage._readers import Readers
from massgen_core.storage._writer import Writer

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class Threads:
    """What works on an open file: some threads that read, and one that writes if any may.

    Attributes:
        schema: The schema version the file has.
    """

    readers: Readers
    writer: Writer | None
    schema: int

    def close(self) -> None:
        """Finish what was asked for, and close the file."""
        self.readers.close()
        if self.writer is not None:
            self.writer.join()

    def drop(self) -> None:
        """The same without waiting for it."""
        self.readers.drop()
        if self.writer is not None:
            self.writer.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class Opener:
    """How one file is opened, as often as it must be; see `Database.open` for the attributes."""

    path: Path
    migrations: tuple[Migration, ...]
    synchronous: str
    clock: Clock
    read_only: bool
    busy_timeout: float

    @property
    def supported(self) -> int:
        """The newest schema version that is known."""
        return len(self.migrations)

    async def open(self) -> Threads:
        """Open the file in a thread; a caller cancelled meanwhile leaves nothing open."""
        work = asyncio.get_running_loop().run_in_executor(None, self._open)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            work.add_done_callback(_drop)  # also where the caller is cancelled again
            await asyncio.wait([work])
            if work.exception() is None:
                await asyncio.to_thread(work.result().close)
            raise

    def connect(self, path: Path) -> sqlite3.Connection:
        """A connection that writes `path`, the file itself or one that is to be in its place."""
        return connect_writer(
            path,
            self.migrations,
            synchronous=self.synchronous,
            clock=self.clock,
            busy_timeout=self.busy_timeout,
        )

    def _open(self) -> Threads:
        path, patience = self.path, self.busy_timeout
        if self.read_only:
            found = check_read_only(path, self.migrations, busy_timeout=patience)
            read = partial(connect_read_only, path, busy_timeout=patience)
            return Threads(Readers(read, path.name), None, found)
        writer = Writer(self.connect(path), path)
        read = partial(connect_reader, path, busy_timeout=patience)
        return Threads(Readers(read, path.name), writer, self.supported)


def _drop(opened: asyncio.Future[Threads]) -> None:
    if not opened.cancelled() and opened.exception() is None:
        opened.result().drop()
