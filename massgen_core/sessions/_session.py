"""A session that is open for writing."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING

from massgen_core._closing import Closing
from massgen_core.errors import SessionError
from massgen_core.events import SessionResumed
from massgen_core.sessions._ids import moment
from massgen_core.sessions._journal import append, read_entries

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from massgen_core.clock import Clock
    from massgen_core.events import JournalQuarantined
    from massgen_core.sessions._model import Entry, NewEntry
    from massgen_core.storage import Database, FileLock


class Session(Closing):
    """The one writer of a session; made by `SessionStore.create` and `SessionStore.open_session`.

    Attributes:
        id: The session.
        entries: All that was in the journal when it was opened, closing results included.
        resumed: What going on meant; None for a new session.
        quarantined: What was set aside as damaged; None if nothing.
    """

    __slots__ = (
        "__weakref__",
        "_clock",
        "_closing",
        "_database",
        "_lock",
        "_seq",
        "_writer",
        "entries",
        "id",
        "quarantined",
        "resumed",
    )

    def __init__(
        self, session_id: str, *, database: Database, clock: Clock, lock: FileLock, writer: bytes
    ) -> None:
        self.id = session_id
        self.entries: tuple[Entry, ...] = ()
        self.resumed: SessionResumed | None = None
        self.quarantined: JournalQuarantined | None = None
        self._database = database
        self._clock = clock
        self._lock: FileLock | None = lock
        self._writer = writer
        self._seq = 0
        self._closing: list[Callable[[], Awaitable[None]]] = []

    @property
    def seq(self) -> int:
        """Sequence number of the newest entry; 0 if there is none."""
        return self._seq

    def at_close(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Has `callback` awaited when the session is closed, before another writer may open it."""
        self._closing.append(callback)

    async def since(self, seq: int) -> tuple[Entry, ...]:
        """The entries after entry `seq`, those appended to this object among them.

        Raises:
            JournalCorrupt: One of them is damaged.
        """
        if seq >= self._seq:
            return ()
        read = partial(
            read_entries, session_id=self.id, start=seq + 1, stop=self._seq + 1, kinds=None
        )
        return tuple(await self._database.read(read))

    def resume(
        self,
        entries: tuple[Entry, ...],
        closed_calls: tuple[str, ...],
        quarantined: JournalQuarantined | None,
    ) -> None:
        """Take over an earlier journal; the store calls it once."""
        self.entries = entries
        self.resumed = SessionResumed(self.id, len(entries), closed_calls)
        self.quarantined = quarantined
        self._seq = entries[-1].seq if entries else 0

    async def append(self, *entries: NewEntry) -> tuple[Entry, ...]:
        """The entries with their sequence numbers, once all of them are on disk.

        They are atomic together: after a crash all are there or none. Concurrent calls are written
        in the order they were made, and are flushed to disk together.

        Raises:
            SessionConflict: Another writer changed the session; nothing was written.
            StorageFull: No room; nothing was written, and trying again later is right.
            InvalidArgument: An entry cannot be stored.
        """
        if self._lock is None:
            raise SessionError(
                f"session {self.id!r} is closed",
                session_id=self.id,
                hint="Append inside the `async with` block that opened it.",
            )
        if not entries:
            return ()
        write = partial(
            append,
            session_id=self.id,
            entries=entries,
            writer=self._writer,
            at_least=self._seq,
            now=moment(self._clock),
        )
        written = await self._database.write(write)
        self._seq = max(self._seq, written[-1].seq)
        return written

    async def aclose(self) -> None:
        """Let another writer open the session; more calls do nothing."""
        lock, self._lock = self._lock, None
        if lock is None:
            return
        try:
            for callback in self._closing:
                await callback()
            await self._database.settle()
        finally:
            lock.release(remove=True)

    def __del__(self) -> None:
        lock = getattr(self, "_lock", None)
        if lock is not None:
            lock.release(remove=True)
            warnings.warn(
                f"session {self.id!r} was never closed", ResourceWarning, stacklevel=2, source=self
            )
