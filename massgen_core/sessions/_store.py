"""All sessions of one database file."""

from __future__ import annotations

import weakref
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Self

from massgen_core._closing import Closing
from massgen_core.clock import SYSTEM_CLOCK, uuid7
from massgen_core.errors import SessionExists, StorageReadOnly
from massgen_core.sessions import _export, _import
from massgen_core.sessions._fork import delete, fork
from massgen_core.sessions._ids import checked_id, lock_session, moment
from massgen_core.sessions._journal import read_entries
from massgen_core.sessions._resume import claim, closing_entries, load
from massgen_core.sessions._session import Session
from massgen_core.sessions._table import all_rows, find_row, get_row, insert_row, new_row
from massgen_core.sessions._verify import verify
from massgen_core.storage import SCHEMA, Database, Opening, database_path

if TYPE_CHECKING:
    import builtins
    import os
    import sqlite3
    from collections.abc import (
        AsyncIterable,
        AsyncIterator,
        Callable,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )
    from pathlib import Path

    from massgen_core.clock import Clock
    from massgen_core.messages import JSONValue, Message
    from massgen_core.sessions._model import Entry, SessionInfo, VerifyReport
    from massgen_core.sessions._resume import Journal
    from massgen_core.sessions._table import SessionRow
    from massgen_core.storage import FileLock, Synchronous


class SessionStore(Closing):
    """The sessions in one database file; several processes may have it open.

    Examples:
        >>> import asyncio, tempfile
        >>> from massgen_core.messages import user
        >>> from massgen_core.sessions import NewEntry, SessionStore
        >>> async def main(folder):
        ...     async with SessionStore.open(folder) as store:
        ...         async with store.create("first") as session:
        ...             await session.append(NewEntry.message(user("hello")))
        ...         return [entry.message.text for entry in await store.read("first")]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        ['hello']
    """

    __slots__ = ("_clock", "_database", "_open")

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._open: weakref.WeakSet[Session] = weakref.WeakSet()

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        synchronous: Synchronous = "full",
        read_only: bool = False,
        clock: Clock = SYSTEM_CLOCK,
    ) -> Opening[Self]:
        """The sessions at `path`: await it or enter it.

        Args:
            path: A database file, or the folder it lies in as ``massgen.db``; created if missing.
            synchronous: ``full``: what is acknowledged survives a power cut; ``normal``: the end of
                the process.
            read_only: Whether nothing may change on disk.
            clock: Dates the entries.

        Raises:
            StorageError: As `Database.open` says.
        """
        return Opening(cls._build(database_path(path), synchronous, clock, read_only=read_only))

    @classmethod
    async def _build(
        cls, path: Path, synchronous: Synchronous, clock: Clock, *, read_only: bool
    ) -> Self:
        database = await Database.open(
            path, migrations=SCHEMA, synchronous=synchronous, clock=clock, read_only=read_only
        )
        return cls(database, clock)

    @property
    def path(self) -> Path:
        """The database file."""
        return self._database.path

    def create(
        self,
        session_id: str | None = None,
        *,
        title: str = "",
        meta: Mapping[str, JSONValue] | None = None,
    ) -> Opening[Session]:
        """A new, empty session, open for writing: await it or enter it.

        Args:
            session_id: Up to 128 letters, digits, ``.``, ``_`` and ``-``; a UUIDv7 if omitted.
            title: For a person.
            meta: JSON values to keep with it.

        Raises:
            SessionExists: There is one of this id.
            InvalidArgument: The id, title or meta cannot be used.
        """
        return Opening(self._create(session_id or self._new_id(), title, meta))

    def open_session(
        self,
        session_id: str,
        *,
        create: bool = False,
        count: Callable[[Message], tuple[int, str]] | None = None,
    ) -> Opening[Session]:
        """An existing session, open for writing: await it or enter it.

        Every entry is checked. A damaged tail is set aside and reported in `Session.quarantined`;
        tool calls that a crash left open get an explicit result, reported in `Session.resumed`.

        Args:
            session_id: The session.
            create: Whether to create it if there is none.
            count: Counts a closing result: tokens and the counter's name.

        Raises:
            SessionNotFound: There is no such session.
            SessionLocked: Another writer has it open, in this process or another.
            JournalCorrupt: Damage in the middle of the journal.
        """
        return Opening(self._open_session(session_id, create=create, count=count))

    async def list(self) -> list[SessionInfo]:
        """All sessions, the most recently active first."""
        return [row.info() for row in await self._database.read(all_rows)]

    async def info(self, session_id: str) -> SessionInfo:
        """What is known about one session.

        Raises:
            SessionNotFound: There is no such session.
        """
        return (await self._row(session_id)).info()

    async def read(
        self,
        session_id: str,
        *,
        start: int = 1,
        stop: int | None = None,
        kinds: Sequence[str] | None = None,
    ) -> builtins.list[Entry]:
        """The entries with ``start <= seq < stop``, checked; takes no lock, changes nothing.

        Raises:
            SessionNotFound: There is no such session.
            JournalCorrupt: One of them is damaged.
        """
        checked_id(session_id)
        return await self._database.read(
            partial(read_entries, session_id=session_id, start=start, stop=stop, kinds=kinds)
        )

    async def fork(
        self, session_id: str, *, at: int | None = None, new_id: str | None = None
    ) -> SessionInfo:
        """A copy of the session up to entry `at`; texts are shared on disk, not copied.

        Args:
            session_id: What to copy; it may be open.
            at: The last entry to share, 0 for none; the newest if omitted.
            new_id: The copy's id; a UUIDv7 if omitted.

        Raises:
            SessionNotFound: There is no such session.
            SessionExists: There is one of the new id.
            InvalidArgument: There is no entry `at`.
        """
        checked_id(session_id)
        new_id = checked_id(new_id or self._new_id())
        row = await self._database.write(
            partial(fork, session_id=session_id, at=at, new_id=new_id, now=moment(self._clock))
        )
        return row.info()

    async def delete(self, session_id: str) -> None:
        """Remove a session and every text nobody else refers to; forks keep theirs.

        Raises:
            SessionNotFound: There is no such session.
            SessionLocked: A writer has it open.
        """
        await self._row(session_id)
        lock = self._lock(session_id)
        try:
            await self._database.write(partial(delete, session_id=session_id))
            await self._database.scrub()
        finally:
            lock.release(remove=True)

    async def export(self, session_id: str, *, salvage: bool = False) -> AsyncIterator[str]:
        """The session as JSON lines without line ends: a manifest, the entries, a checksum.

        Args:
            session_id: The session; it may be open.
            salvage: Whether to leave out damaged entries instead of raising.

        Raises:
            SessionNotFound: There is no such session.
            JournalCorrupt: An entry is damaged.
        """
        checked_id(session_id)
        async for line in _export.export(self._database, session_id, salvage=salvage):
            yield line

    async def import_(
        self, lines: AsyncIterable[str] | Iterable[str], *, new_id: str | None = None
    ) -> SessionInfo:
        """The session that `export` wrote; importing the same twice changes nothing.

        Args:
            lines: With or without line ends.
            new_id: Another id than the exported one.

        Raises:
            InvalidArgument: The lines are no export.
            JournalCorrupt: They are torn or were altered; the message names the line.
            SessionExists: There is another session of this id.
        """
        new_id = None if new_id is None else checked_id(new_id)
        parcel = await _import.parse(lines, new_id=new_id)
        checked_id(parcel.row.id.decode())
        return (await self._database.write(partial(_import.store, parcel=parcel))).info()

    async def verify(self, session_id: str | None = None) -> VerifyReport:
        """What is wrong on disk: of one session, or of the whole file; damage never raises.

        Raises:
            SessionNotFound: There is no such session.
        """
        if session_id is not None:
            checked_id(session_id)
        return await self._database.read(partial(verify, session_id=session_id))

    async def aclose(self) -> None:
        """Close the file and every session that is open; more calls do nothing."""
        for session in list(self._open):
            await session.aclose()
        await self._database.aclose()

    async def _create(
        self, session_id: str, title: str, meta: Mapping[str, JSONValue] | None
    ) -> Session:
        with self._locked(session_id) as lock:
            return await self._begin(session_id, lock, title, meta)

    async def _open_session(
        self,
        session_id: str,
        *,
        create: bool,
        count: Callable[[Message], tuple[int, str]] | None,
    ) -> Session:
        if not create:
            await self._row(session_id)
        with self._locked(session_id) as lock:
            row = await self._database.read(partial(find_row, session_id=session_id))
            if row is None and create:
                return await self._begin(session_id, lock, "", None)
            journal = await self._database.read(partial(load, session_id=session_id))
            return await self._resume(session_id, lock, journal, count)

    async def _begin(
        self, session_id: str, lock: FileLock, title: str, meta: Mapping[str, JSONValue] | None
    ) -> Session:
        writer = uuid7().encode()
        row = new_row(
            session_id, created_at=moment(self._clock), title=title, meta=meta, writer=writer
        )
        await self._database.write(partial(_insert_new, row=row))
        return self._session(session_id, lock, writer)

    async def _resume(
        self,
        session_id: str,
        lock: FileLock,
        journal: Journal,
        count: Callable[[Message], tuple[int, str]] | None,
    ) -> Session:
        closings, closed = closing_entries(journal.entries, count)
        writer = uuid7().encode()
        added = await self._database.write(
            partial(
                claim,
                session_id=session_id,
                journal=journal,
                writer=writer,
                closings=closings,
                now=moment(self._clock),
            )
        )
        session = self._session(session_id, lock, writer)
        session.resume((*journal.entries, *added), closed, journal.quarantined)
        return session

    def _session(self, session_id: str, lock: FileLock, writer: bytes) -> Session:
        session = Session(
            session_id, database=self._database, clock=self._clock, lock=lock, writer=writer
        )
        self._open.add(session)
        return session

    @contextmanager
    def _locked(self, session_id: str) -> Iterator[FileLock]:
        """The lock of a session, which stays locked unless the block fails."""
        lock = self._lock(session_id)
        with ExitStack() as undo:
            undo.callback(lock.release, remove=True)
            yield lock
            undo.pop_all()

    def _lock(self, session_id: str) -> FileLock:
        if self._database.read_only:
            raise StorageReadOnly(
                f"{str(self.path)!r} was opened for reading only",
                path=str(self.path),
                hint="Open it with read_only=False.",
            )
        return lock_session(self.path, checked_id(session_id))

    def _new_id(self) -> str:
        return uuid7(moment(self._clock))

    async def _row(self, session_id: str) -> SessionRow:
        return await self._database.read(partial(get_row, session_id=checked_id(session_id)))


def _insert_new(conn: sqlite3.Connection, row: SessionRow) -> None:
    session_id = row.id.decode()
    if find_row(conn, session_id) is not None:
        raise SessionExists(
            f"there is a session {session_id!r} already",
            session_id=session_id,
            hint="Open it, or choose another id.",
        )
    insert_row(conn, row)
