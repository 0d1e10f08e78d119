"""The database file as an object: durable writes, reads that do not wait for them."""

from __future__ import annotations

import asyncio
import warnings
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeVar

from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.errors import StorageBusy, StorageError, StorageFull, StorageReadOnly
from massgen_core.storage._connect import (
    check_read_only,
    connect_read_only,
    connect_reader,
    connect_writer,
)
from massgen_core.storage._copy import copy_database, free_name, swap_in, sync_file
from massgen_core.storage._errors import translating
from massgen_core.storage._files import sync_folder
from massgen_core.storage._migrate import schema_version
from massgen_core.storage._opening import Opening
from massgen_core.storage._outside import copy_outside
from massgen_core.storage._readers import Readers
from massgen_core.storage._writer import Writer

if TYPE_CHECKING:
    import os
    import sqlite3
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from massgen_core.clock import Clock
    from massgen_core.storage._migrate import Migration

T = TypeVar("T")
Synchronous = Literal["full", "normal"]

BUSY_TIMEOUT: Final = 30.0
"""Seconds to wait for another process's write lock before `StorageBusy`."""

# Seconds to wait for others to close a file that is to be replaced.
_SWAP_WAIT: Final = 2.0
# Milliseconds that a checkpoint waits for readers; other writes wait as long.
_CHECKPOINT_WAIT: Final = 500


class Database:
    """One SQLite file in WAL mode; several processes may have it open.

    All writes go through one thread per object. Writes that are asked for while the disk is busy
    are committed together, each in its own savepoint: one that raises takes nothing else with it.

    Example:
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

    __slots__ = (
        *("__weakref__", "_connect", "_newer", "_readers", "_reopen", "_writer"),
        *("path", "schema"),
    )

    def __init__(
        self,
        path: Path,
        writer: Writer | None,
        readers: Readers,
        *,
        schema: int,
        supported: int,
        connect: Callable[[Path], sqlite3.Connection],
        reopen: Callable[[], Database],
    ) -> None:
        self.path = path
        self.schema = schema
        self._writer = writer
        self._readers: Readers | None = readers
        self._connect = connect
        self._reopen = reopen
        self._newer = (schema, supported) if schema > supported else None

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
    ) -> Opening[Database]:
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
            StorageReadOnly: The file or its folder cannot be written.
            StorageCorrupt: The file is damaged, or no database of ours.
            SchemaTooNew: A newer version of this package wrote it.
            StorageBusy: Another process held it for too long.
        """
        build = partial(
            cls._build,
            Path(path),
            tuple(migrations),
            synchronous=synchronous,
            clock=clock,
            read_only=read_only,
            busy_timeout=busy_timeout,
        )
        return Opening(_built(build))

    @classmethod
    def _build(
        cls,
        path: Path,
        migrations: tuple[Migration, ...],
        *,
        synchronous: Synchronous,
        clock: Clock,
        read_only: bool,
        busy_timeout: float,
    ) -> Database:
        connect = partial(
            connect_writer,
            migrations=migrations,
            synchronous=synchronous,
            clock=clock,
            busy_timeout=busy_timeout,
        )
        reopen = partial(
            cls._build,
            path,
            migrations,
            synchronous=synchronous,
            clock=clock,
            read_only=read_only,
            busy_timeout=busy_timeout,
        )
        made: dict[str, Any] = {"connect": connect, "reopen": reopen, "supported": len(migrations)}
        if read_only:
            found = check_read_only(path, migrations, busy_timeout=busy_timeout)
            reader = partial(connect_read_only, path, busy_timeout=busy_timeout)
            return cls(path, None, Readers(reader, path.name), schema=found, **made)
        conn = connect(path)
        reader = partial(connect_reader, path, busy_timeout=busy_timeout)
        readers = Readers(reader, path.name)
        return cls(path, Writer(conn, path), readers, schema=len(migrations), **made)

    @property
    def read_only(self) -> bool:
        """Whether it was opened for reading only."""
        return self._writer is None

    @property
    def commits(self) -> int:
        """Transactions committed through this object so far."""
        return 0 if self._writer is None else self._writer.commits

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
        return await asyncio.wrap_future(self._open_writer().submit(fn))

    async def read(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """What `fn` returns; it sees one state of the file, and waits for no write."""
        if self._readers is None:
            raise self._closed()
        with translating(self.path, newer=self._newer):
            return await asyncio.wrap_future(self._readers.submit(fn))

    async def settle(self) -> None:
        """Return when every write asked for before has ended, cancelled callers' too."""
        await asyncio.wrap_future(self._open_writer().submit(lambda _: None, alone=True))

    async def checkpoint(self) -> bool:
        """Move the write-ahead log into the file and empty it: no deleted text is left in it.

        Returns:
            Whether it is empty; not if somebody still reads an older state.
        """
        return await asyncio.wrap_future(self._open_writer().submit(_checkpoint, alone=True))

    async def vacuum(self, *, whole: bool = False) -> int:
        """Gives pages that hold nothing any more back to the file system; the bytes it were.

        Args:
            whole: Whether to write the whole file anew, which needs as much room again meanwhile;
                a file that an older version created gives nothing back otherwise, and does from
                then on.

        Raises:
            StorageBusy: Another process held it for too long.
        """
        work = partial(_vacuum, whole=whole, path=self.path)
        return await asyncio.wrap_future(self._open_writer().submit(work, alone=True))

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
        copy = partial(_copy_aside, path=self.path, now=clock.now())
        return await asyncio.wrap_future(self._open_writer().submit(copy, alone=True))

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
        swap = partial(work, connect=self._connect, busy_timeout=_SWAP_WAIT)
        await self.settle()
        await self.aclose()
        try:
            done = await asyncio.to_thread(_translated, self.path, swap)
        finally:
            again = await _built(self._reopen)
            self._readers, again._readers = again._readers, None  # noqa: SLF001 - its own kind
            self._writer, again._writer = again._writer, None  # noqa: SLF001
        return kept, done

    async def aclose(self) -> None:
        """Finish what was asked for and close; more calls do nothing."""
        readers, self._readers = self._readers, None
        writer, self._writer = self._writer, None
        if readers is not None:
            await asyncio.to_thread(_close, readers, writer)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        readers = getattr(self, "_readers", None)
        if readers is None:
            return
        warnings.warn(f"{self.path} was never closed", ResourceWarning, stacklevel=2, source=self)
        readers.drop()
        if self._writer is not None:
            self._writer.stop()

    def _open_writer(self) -> Writer:
        if self._readers is None:
            raise self._closed()
        if self._writer is None:
            raise StorageReadOnly(
                f"{str(self.path)!r} was opened for reading only",
                path=str(self.path),
                hint="Open it with read_only=False.",
            )
        return self._writer

    def _closed(self) -> StorageError:
        return StorageError(
            f"{str(self.path)!r} is closed",
            path=str(self.path),
            hint="Use it inside the `async with` block that opened it.",
        )


def stored_schema(path: Path) -> int:
    """The schema version of a database file; nothing is changed.

    Raises:
        StorageError: There is none, or it is no database of ours.
    """
    with translating(path), closing(connect_read_only(path, busy_timeout=BUSY_TIMEOUT)) as conn:
        return schema_version(conn, path)


async def _built(build: Callable[[], Database]) -> Database:
    """Build in a thread; a caller cancelled meanwhile leaves nothing open."""
    work = asyncio.ensure_future(asyncio.to_thread(build))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await (await work).aclose()
        raise


def _close(readers: Readers, writer: Writer | None) -> None:
    readers.close()
    if writer is not None:
        writer.join()


def _translated(path: Path, work: Callable[[], T]) -> T:
    with translating(path):
        return work()


def _checkpoint(conn: sqlite3.Connection) -> bool:
    (patience,) = conn.execute("PRAGMA busy_timeout").fetchone()
    conn.execute(f"PRAGMA busy_timeout = {_CHECKPOINT_WAIT}")
    (blocked, _, _) = conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    conn.execute(f"PRAGMA busy_timeout = {patience}")
    return not blocked


def _vacuum(conn: sqlite3.Connection, path: Path, *, whole: bool) -> int:
    """See `Database.vacuum`. ``VACUUM`` changes ``auto_vacuum`` of a file in WAL mode as well."""
    _checkpoint(conn)
    before = path.stat().st_size
    if whole:
        conn.execute("PRAGMA auto_vacuum = INCREMENTAL")
        conn.execute("PRAGMA temp_store = FILE")  # else memory would have to hold the whole file
        try:
            conn.execute("VACUUM")
        finally:
            conn.execute("PRAGMA temp_store = MEMORY")
    else:
        conn.executescript("PRAGMA incremental_vacuum")  # execute() stops after its first page
    _checkpoint(conn)
    return max(0, before - path.stat().st_size)


def _copy_aside(conn: sqlite3.Connection, path: Path, now: float) -> Path:
    _checkpoint(conn)
    target = free_name(path, "damaged", now)
    copy_outside(path, target)
    sync_file(target)
    sync_folder(path.parent)
    return target
