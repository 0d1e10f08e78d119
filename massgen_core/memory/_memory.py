"""Long-term memory as an object: everything goes to the ledger first, and is found from there."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.errors import InvalidArgument
from massgen_core.memory import _access, _ledger
from massgen_core.memory._find import expect, find, within
from massgen_core.memory._hits import Hit, Wanted
from massgen_core.memory._inspecting import Inspecting
from massgen_core.memory._paths import path_of
from massgen_core.memory._record import MemoryRecord, NewMemory, news_of, texts_of
from massgen_core.memory._reversal import undo
from massgen_core.memory._scope import scope_of, scopes_of
from massgen_core.memory._stores import Plugins
from massgen_core.storage import SCHEMA, Database, Opening, database_path

if TYPE_CHECKING:
    import os
    import sqlite3
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from massgen_core.clock import Clock
    from massgen_core.memory._erasure import Journals
    from massgen_core.memory._ledger import Revision
    from massgen_core.memory._scope import ScopeLike
    from massgen_core.storage import Synchronous

LIMIT: Final = 5
"""Memories that recall gives, if nothing else is said; MassGen's default."""
_LIMIT_WITH_TOKENS: Final = 50
"""Memories that recall gives at most, where a token budget is what limits them."""


class Memory(Inspecting):
    """Long-term memory in a database file; several processes may have it open.

    What `remember` acknowledged is on disk. Indexes and vectors are made from it, and can be lost.

    Every call that names a memory or a scope takes a ``principal``: who asks. Without one it is the
    program itself, which may do everything; a principal may use the scopes whose user or agent it
    is, and those it was granted.

    Examples:
        >>> import asyncio, tempfile
        >>> from massgen_core.memory import Memory
        >>> async def main(folder):
        ...     async with Memory.open(folder) as memory:
        ...         await memory.remember("I am allergic to nuts.", scope={"user": "ada"})
        ...         hits = await memory.recall("Are there nuts in it?", scope={"user": "ada"})
        ...         return [hit.record.text for hit in hits]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(folder))
        ['I am allergic to nuts.']
    """

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        plugins: Plugins | None = None,
        synchronous: Synchronous = "full",
        read_only: bool = False,
        clock: Clock = SYSTEM_CLOCK,
        told: Callable[[str, str], None] = lambda name, reason: None,  # noqa: ARG005
        journals: Journals | None = None,
    ) -> Opening[Self]:
        """The memory at `path`: await it or enter it.

        Args:
            path: A database file, or the folder it lies in as ``massgen.db``; created if missing.
                Sessions may be in the same file.
            plugins: What helps to find things; closed with the memory.
            synchronous: ``full``: what is acknowledged survives a power cut; ``normal``: the end of
                the process.
            read_only: Whether nothing may change on disk; indexes are left out then.
            clock: Dates what is remembered.
            told: Is told when a plugin could not help, by its name, and why.
            journals: Takes what is forgotten out of the sessions in the file, e.g.
                `massgen_core.sessions.redact`; they stay as they are without.

        Raises:
            StorageError: As `Database.open` says.
        """
        options: dict[str, Any] = {"synchronous": synchronous, "read_only": read_only}
        given = (plugins or Plugins(), clock, told, journals)
        return Opening(cls._build(database_path(path_of("path", path)), options, given))

    @classmethod
    async def _build(
        cls,
        path: Path,
        options: dict[str, Any],
        given: tuple[Plugins, Clock, Callable[[str, str], None], Journals | None],
    ) -> Self:
        database = await Database.open(path, migrations=SCHEMA, clock=given[1], **options)
        memory = cls(database, *given)
        memory._vectorizer.fill_later()  # all of them, if the embedder is another one
        return memory

    @property
    def path(self) -> Path:
        """The database file."""
        return self._database.path

    async def remember(
        self, /, text: str, *, scope: ScopeLike, principal: str | None = None, **fields: Any
    ) -> str:
        """The id of a new memory, once it is on disk.

        Args:
            text: What is remembered, word by word.
            scope: Whose it is.
            principal: Who asks; what it remembers as private is its own.
            **fields: The fields of `NewMemory`; dates in any form, None for the default.

        Raises:
            InvalidArgument: A field cannot be used.
            AccessDenied: The principal may not write to the scope.
            RecordConflict: There is another memory under the given id, or it was forgotten.
            RecordNotFound: A memory that it supersedes does not exist.
            StorageFull: No room on the disk; nothing was written.
        """
        new = NewMemory.of(text, scope=scope, **fields)
        return (await self.remember_many([new], principal=principal))[0]

    async def remember_many(
        self, news: Iterable[NewMemory], *, principal: str | None = None
    ) -> list[str]:
        """The ids of new memories, in order; all are on disk, or none. See `remember`."""
        wanted = [_access.owned(new, principal) for new in news_of(news)]
        call = self._call(principal)

        def write(conn: sqlite3.Connection) -> tuple[list[MemoryRecord], list[MemoryRecord]]:
            _access.check(conn, principal, {new.scope for new in wanted}, "write")
            may = within(conn, None, principal)
            records, written = _ledger.create(conn, wanted, call, may)
            self._enqueue(conn, written, call)
            return records, written

        records, written = await self._database.write(write)
        await self._vectorizer.embed(written)
        return [record.id for record in records]

    async def recall(
        self,
        query: str,
        *,
        scope: ScopeLike | Sequence[ScopeLike],
        k: int | None = None,
        tokens: int | None = None,
        kinds: Iterable[str] = (),
        exclude: Iterable[str] = (),
        principal: str | None = None,
        counts: bool = True,
    ) -> list[Hit]:
        """The memories that match best, best first; pinned preferences and instructions before.

        Of memories with the same text only the best comes in its place, the others come last.

        Args:
            query: What is asked, in words.
            scope: Where to look; several are searched as one.
            k: Memories at most, pinned ones not counted; 5 if neither `k` nor `tokens` is given.
            tokens: Tokens that all of them may have together. Pinned ones have half of them at
                most, the newest first; what is too large is passed over.
            kinds: Only of these kinds; all if omitted.
            exclude: Ids that are not wanted, e.g. of what is in view anyway.
            principal: Who asks.
            counts: Whether this counts as a use of what is found.

        Raises:
            InvalidArgument: An argument cannot be used.
            AccessDenied: The principal may not read one of the scopes.
        """
        wanted = Wanted(
            query,
            scopes_of(scope),
            _limit(k, tokens),
            _positive("tokens", tokens),
            frozenset(texts_of("kinds", kinds)),
            frozenset(texts_of("exclude", exclude)),
            principal,
            self._clock.now(),
        )
        hits = await self._recaller.recall(wanted, await self._candidates(wanted))
        if counts:
            await self._usage.count(hits, wanted.now)
        return hits

    async def get(
        self, record_id: str, *, scope: ScopeLike | None = None, principal: str | None = None
    ) -> MemoryRecord:
        """One memory, in whatever state it is.

        Args:
            record_id: Its id.
            scope: Where it must be; anywhere if omitted.
            principal: Who asks.

        Raises:
            RecordNotFound: There is none in the scope, or the principal may not see it.
            LedgerCorrupt: It is damaged on disk.
        """
        look = partial(find, record_id=record_id, scope=scope, principal=principal)
        return await self._database.read(look)

    async def update(
        self,
        /,
        record_id: str,
        *,
        expected_rev: int | None = None,
        scope: ScopeLike | None = None,
        move_to: ScopeLike | None = None,
        principal: str | None = None,
        **changes: Any,
    ) -> MemoryRecord:
        """The memory with fields changed: `text` and the fields of `NewMemory` but the id.

        Args:
            record_id: Its id.
            expected_rev: The revision that is to be changed: if it was changed since, nothing is.
            scope: Where it must be; anywhere if omitted.
            move_to: Another scope for it.
            principal: Who asks.
            **changes: New values by field; None sets a field back to its default.

        Raises:
            InvalidArgument: A field cannot be changed, or not to this value.
            AccessDenied: The principal may not change whose it is, or who sees it.
            RecordConflict: It has another revision than expected.
            RecordNotFound: There is none in the scope, or it was forgotten.
        """
        call = self._call(principal)
        if move_to is not None:
            changes["scope"] = scope_of(move_to)

        def write(conn: sqlite3.Connection) -> tuple[MemoryRecord, list[MemoryRecord]]:
            record = find(conn, record_id, scope, principal, right="write")
            expect(record, expected_rev)
            wanted = _access.owned_after(record, changes, principal)
            if move_to is not None:
                _access.check(conn, principal, [scope_of(move_to)], "write")
            written = _ledger.update(conn, record, wanted, call)
            if "text" in changes:
                self._enqueue(conn, written, call)
            return (written or [record])[0], written

        record, written = await self._database.write(write)
        await self._vectorizer.embed(written)
        return record

    async def invalidate(
        self, record_id: str, *, scope: ScopeLike | None = None, principal: str | None = None
    ) -> MemoryRecord:
        """The memory, from now on held no longer true: not recalled, and still there.

        Raises:
            RecordNotFound: There is none in the scope.
        """
        call = self._call(principal)

        def write(conn: sqlite3.Connection) -> MemoryRecord:
            record = find(conn, record_id, scope, principal, right="write")
            return (_ledger.invalidate(conn, [record], "invalidate", call) or [record])[0]

        return await self._database.write(write)

    async def history(
        self, record_id: str, *, scope: ScopeLike | None = None, principal: str | None = None
    ) -> list[Revision]:
        """What happened to a memory, oldest first.

        What it was while the principal could not see it is left out of its revisions.

        Raises:
            RecordNotFound: There is none in the scope.
        """

        def read(conn: sqlite3.Connection) -> list[Revision]:
            record = find(conn, record_id, scope, principal)
            may = partial(_access.may, conn, principal, right="read")
            return _ledger.history(conn, record, may)

        return await self._database.read(read)

    async def undo(
        self, record_id: str, *, scope: ScopeLike | None = None, principal: str | None = None
    ) -> list[MemoryRecord]:
        """Takes back the last change of a memory, with all that the same call changed.

        Returns:
            The records as they are now.

        Raises:
            RecordNotFound: There is none in the scope.
            RecordConflict: One of the records was changed since.
            AccessDenied: The call changed memories outside the scope, or of others, as well.
            InvalidArgument: It was forgotten.
        """
        call = self._call(principal)

        def write(conn: sqlite3.Connection) -> list[MemoryRecord]:
            record = find(conn, record_id, scope, principal, right="write")
            batch = _ledger.history(conn, record)[-1].batch
            return undo(conn, batch, call, within(conn, scope, principal))

        records = await self._database.write(write)
        await self._vectorizer.embed(records)
        return records


def _limit(k: int | None, tokens: int | None) -> int:
    return _positive("k", k) or (LIMIT if tokens is None else _LIMIT_WITH_TOKENS)


def _positive(name: str, value: int | None) -> int | None:
    if value is not None and (type(value) is not int or value <= 0):
        raise InvalidArgument(f"{name} is {value!r}, expected a positive whole number")
    return value
