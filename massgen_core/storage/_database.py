"""The database file as an object: durable writes, reads that do not wait for them."""

from __future__ import annotations

import asyncio
import warnings
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self, TypeVar, get_args

from massgen_core._closing import Closing
from massgen_core._whole import whole
from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.errors import (
    InvalidArgument,
    StorageBusy,
    StorageError,
    StorageFull,
    StorageReadOnly,
)
from massgen_core.storage._connect import connect_read_only
from massgen_core.storage._copy import copy_database, free_name, swap_in
from massgen_core.storage._errors import translating
from massgen_core.storage._migrate import schema_version
from massgen_core.storage._opener import Opener, Threads
from massgen_core.storage._opening import Opening
from massgen_core.storage._upkeep import checkpoint, copy_aside, vacuum

if TYPE_CHECKING:
    import os
    import sqlite3
    from collections.abc import Callable, Sequence

    from massgen_core.clock import Clock
    from massgen_core.storage._migrate import Migration
    from massgen_core.storage._writer import Writer

T = TypeVar("T")
Synchronous = Literal["full", "normal"]

BUSY_TIMEOUT: Final = 30.0
"""Seconds to wait for another process's write lock before `StorageBusy`."""

# Seconds to wait for others to close a file that is to be replaced.
_SWAP_WAIT: Final = 2.0


class Database(Closing):
    """One SQLite file in WAL mode; several processes may have it open.

    All writes go through one thread per object. Writes that are asked for while the disk is busy
    are committed together, each in its own savepoint: one that raises takes nothing else with it.

    Examples:
        >>> import asyncio, tempfile
        >>> from massgen_core.storage import Database, SCHEMA
        >>> async def main(folder):
        ...     async with Database.open(folder + "/x.db", migrations=SCHEMA) as db:
        ...         query = "SELECT count(*) FROM blob"
        ...         return await db.read(lambda conn: conn.execute(query).fetchone())
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        (0,)
    """

    __slots__ = ("__weakref__", "_ending", "_opener", "_replacing", "_threads", "path", "schema")

    def __init__(self, opener: Opener, threads: Threads) -> None:
        self.path = opener.path
        self.schema = threads.schema
        self._opener = opener
        self._threads: Threads | None = threads
        self._replacing = False
        self._ending = asyncio.Lock()

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        migrations: Sequence[Migration],
        synchronous: Synchronous = "full",
        clock: Clock = SYSTEM_CLOCK,
        read_only: bool = False,
        busy_timeout: float = BUSY_TIMEOUT,
    ) -> Opening[Self]:
        """The database at `path`, created and migrated if need be; await it or enter it.

        Args:
            path: The file. Missing folders are created.
            migrations: The whole schema, oldest first.
            synchronous: ``full``: what is acknowledged survives a power cut. ``normal``: it
                survives any end of the process, but a power cut may take the last moments.
            clock: Dates the backups.
            read_only: Whether nothing may change on disk; a newer schema is let through then.
            busy_timeout: Seconds to wait for another process before `StorageBusy`.

        Raises:
            InvalidArgument: `synchronous` is something else.
            StorageReadOnly: The file or its folder cannot be written.
            StorageCorrupt: The file is damaged, or no database of ours.
            SchemaTooNew: A newer version of this package wrote it.
            StorageBusy: Another process held it for too long.
        """
        if synchronous not in get_args(Synchronous):
            raise InvalidArgument(f"synchronous is {synchronous!r}, expected full or normal")
        opener = Opener(
            path=Path(path),
            migrations=tuple(migrations),
            synchronous=synchronous,
            clock=clock,
            read_only=read_only,
            busy_timeout=busy_timeout,
        )
        return Opening(cls._opened(opener))

    @classmethod
    async def _opened(cls, opener: Opener) -> Self:
        return cls(opener, await opener.open())

    @property
    def read_only(self) -> bool:
        """Whether it was opened for reading only."""
        return self._opener.read_only

    @property
    def commits(self) -> int:
        """Transactions committed through this object so far."""
        writer = None if self._threads is None else self._threads.writer
        return 0 if writer is None else writer.commits

    async def write(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """What `fn` returns, once all it wrote is on disk.

        Cancelling the caller either prevents the write or lets it finish; it never tears it.

        Args:
            fn: Runs in the writer's thread, inside a transaction and a savepoint. It must not begin
                or end transactions, and may be called again if its transaction was lost.

        Raises:
            StorageFull: No room; nothing of it was written.
            StorageBusy: Another process held the write lock for too long.
            StorageReadOnly: The database was opened for reading only.
        """
        return await self._open_writer().submit(fn)

    async def read(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """What `fn` returns; it sees one state of the file, and waits for no write."""
        readers = self._open_threads().readers
        found, supported = self.schema, self._opener.supported
        with translating(self.path, newer=(found, supported) if found > supported else None):
            return await asyncio.wrap_future(readers.submit(fn))

    async def settle(self) -> None:
        """Return when every write asked for before has ended, cancelled callers' too."""
        await self._open_writer().submit(lambda _: None, alone=True)

    async def checkpoint(self) -> bool:
        """Move the write-ahead log into the file and empty it: no deleted text is left in it.

        Returns:
            Whether it is empty; not if somebody still reads an older state.
        """
        return await self._open_writer().submit(checkpoint, alone=True)

    async def vacuum(self, *, whole: bool = False) -> int:
        """Gives pages that hold nothing any more back to the file system; the bytes it were.

        Args:
            whole: Whether to write the whole file anew, which needs as much room again meanwhile;
                a file that an older version created gives nothing back otherwise, and does from
                then on.

        Raises:
            StorageBusy: Another process held it for too long.
        """
        work = partial(vacuum, whole=whole, path=self.path)
        return await self._open_writer().submit(work, alone=True)

    async def scrub(self) -> bool:
        """Writes the file anew, so that no deleted text is left in it or in the log.

        SQLite overwrites what it deletes, but where it moved rows from page to page before, copies
        of them stay in the unused parts of pages.

        Returns:
            Whether that was possible; not while another process holds the file or reads an older
            state.
        """
        try:
            await self.vacuum(whole=True)
        except (StorageBusy, StorageFull):
            return False
        return await self.checkpoint()

    async def copy_aside(self, clock: Clock = SYSTEM_CLOCK) -> Path:
        """A copy of the file as it is, damage and all, beside it: ``massgen.db.damaged-<time>``.

        Raises:
            OSError: It cannot be written.
        """
        copy = partial(copy_aside, path=self.path, now=clock.now())
        return await self._open_writer().submit(copy, alone=True)

    async def snapshot(self, target: Path) -> None:
        """A complete copy of the file as it is now, at `target`; writes go on meanwhile.

        Raises:
            StorageCorrupt: The file is damaged.
        """
        await self.read(lambda _: None)  # says if it is closed
        await asyncio.to_thread(_translated, self.path, partial(copy_database, self.path, target))

    async def replace_with(
        self,
        replacement: Path,
        prepare: Callable[[sqlite3.Connection, sqlite3.Connection], T],
        clock: Clock = SYSTEM_CLOCK,
    ) -> tuple[Path, T]:
        """Puts a copy of another database file in the place of this one, in one step.

        Nobody else may have the file open.

        Args:
            replacement: The other file; it stays as it is.
            prepare: Is given this file and the copy, and changes the copy before it is in place.
            clock: Dates the file that was there.

        Returns:
            Where the file that was there is now, and what `prepare` returned.

        Raises:
            StorageBusy: Somebody has; nothing was changed.
            StorageCorrupt: The replacement is damaged; nothing was changed.
        """
        kept = free_name(self.path, "before-restore", clock.now())
        work = partial(swap_in, replacement, self.path, kept, prepare)
        swap = partial(work, connect=self._opener.connect, busy_timeout=_SWAP_WAIT)
        await self.settle()
        return kept, await whole(self._closed_for(partial(_translated, self.path, swap)))

    async def _closed_for(self, work: Callable[[], T]) -> T:
        """What `work` returns, which runs in a thread while nothing here has the file open."""
        async with self._ending:
            self._replacing = True
            try:
                await self._close()
                return await asyncio.to_thread(work)
            finally:
                try:
                    self._threads = await self._opener.open()
                finally:
                    self._replacing = False

    async def aclose(self) -> None:
        """Finish what was asked for, a replacement too, and close; more calls do nothing."""
        async with self._ending:
            await self._close()

    async def _close(self) -> None:
        threads, self._threads = self._threads, None
        if threads is not None:
            await asyncio.to_thread(threads.close)

    def __del__(self) -> None:
        threads: Threads | None = getattr(self, "_threads", None)
        if threads is not None:
            text = f"{self.path} was never closed"
            warnings.warn(text, ResourceWarning, stacklevel=2, source=self)
            threads.drop()

    def _open_threads(self) -> Threads:
        if self._threads is None and self._replacing:
            raise StorageBusy(
                f"{str(self.path)!r} is being replaced",
                path=str(self.path),
                hint="Try again when that is done.",
            )
        if self._threads is None:
            raise StorageError(
                f"{str(self.path)!r} is closed",
                path=str(self.path),
                hint="Use it inside the `async with` block that opened it.",
            )
        return self._threads

    def _open_writer(self) -> Writer:
        writer = self._open_threads().writer
        if writer is None:
            raise StorageReadOnly(
                f"{str(self.path)!r} was opened for reading only",
                path=str(self.path),
                hint="Open it with read_only=False.",
            )
        return writer


def stored_schema(path: Path) -> int:
    """The schema version of a database file; nothing is changed.

    Raises:
        StorageError: There is none, or it is no database of ours.
    """
    with translating(path), closing(connect_read_only(path, busy_timeout=BUSY_TIMEOUT)) as conn:
        return schema_version(conn, path)


def _translated(path: Path, work: Callable[[], T]) -> T:
    with translating(path):
        return work()
