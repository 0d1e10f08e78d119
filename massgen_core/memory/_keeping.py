"""The upkeep of a memory: forgetting, checking, mending, rights, closing."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from massgen_core._closing import Closing
from massgen_core.errors import InvalidArgument, StorageError
from massgen_core.memory import _access
from massgen_core.memory._archive import Imported, export_lines, import_lines, write_lines
from massgen_core.memory._embedding import Vectorizer
from massgen_core.memory._erasure import Receipt, copies_of, erasure
from massgen_core.memory._feed import Feed
from massgen_core.memory._find import find
from massgen_core.memory._guard import close
from massgen_core.memory._ledger import Call
from massgen_core.memory._loaded import LoadedScopes
from massgen_core.memory._log import head
from massgen_core.memory._meta import get_meta, put_meta
from massgen_core.memory._paths import file_of, lines_of, path_of, written
from massgen_core.memory._record import moment_of, texts_of
from massgen_core.memory._repair import Mended, repair
from massgen_core.memory._reversal import rewind
from massgen_core.memory._scope import Scope, is_text, scope_of
from massgen_core.memory._snapshots import (
    Snapshot,
    alone_in,
    check_snapshot,
    describe,
    holds,
    new_name,
    prepare,
    prune,
    snapshots_of,
)
from massgen_core.memory._usage import Usage
from massgen_core.memory._verify import MemoryReport, Problem, verify
from massgen_core.storage import damaged_logs, noted, snapshots_beside, translating

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

    from massgen_core.clock import Clock
    from massgen_core.memory._access import Grant, Right
    from massgen_core.memory._erasure import Journals
    from massgen_core.memory._paths import PathLike
    from massgen_core.memory._record import MemoryRecord, Moment
    from massgen_core.memory._scope import ScopeLike
    from massgen_core.memory._stores import Plugins
    from massgen_core.storage import Database

_CLOSE_SECONDS: Final = 30.0


class Keeping(Closing):
    """What a `Memory` is made of, and what keeps it in order."""

    def __init__(
        self,
        database: Database,
        plugins: Plugins,
        clock: Clock,
        told: Callable[[str, str], None],
        journals: Journals | None = None,
    ) -> None:
        self._database = database
        self._journals = journals
        self._plugins = plugins
        self._clock = clock
        self._told = told
        identity = None if plugins.embedder is None else plugins.embedder.identity
        self._loaded = LoadedScopes(database, identity)
        self._usage = Usage(database)
        self._vectorizer = Vectorizer(database, plugins.embedder, self._loaded, told)
        stores = {} if database.read_only else plugins.stores
        self._feeds = [
            Feed(name, store, database, identity, told) for name, store in stores.items()
        ]

    async def forget(
        self,
        record_ids: str | Iterable[str],
        *,
        scope: ScopeLike | None = None,
        principal: str | None = None,
        dry_run: bool = False,
    ) -> Receipt:
        """Erases memories, and what was derived from them, from everything this memory writes to.

        Ledger, vectors and journals in this file, and the indexes: their bytes are overwritten, and
        the file is written anew, so that no copy is left in it or its log. A tombstone says that
        there was something. A session that said it has to be opened again, if it is open.

        Args:
            record_ids: One id, or several.
            scope: Where they must be; anywhere if omitted.
            principal: Who asks.
            dry_run: Whether only to say what would be erased.

        Returns:
            What was erased, and where it still is.

        Raises:
            RecordNotFound: One is not in the scope; nothing was erased.
        """
        ids = [record_ids] if isinstance(record_ids, str) else texts_of("record_ids", record_ids)
        wanted = list(dict.fromkeys(ids))
        call = self._call(principal)

        def write(conn: sqlite3.Connection) -> tuple[Receipt, list[MemoryRecord]]:
            records = [find(conn, one, scope, principal, right="write") for one in wanted]
            may = partial(_access.may, conn, principal, right="read")
            return erasure(conn, records, call, self._journals, dry_run=dry_run, may=may), records

        if dry_run:
            return (await self._database.read(write))[0]
        receipt, records = await self._database.write(write)
        scrubbed = await self._database.scrub()
        for feed in self._feeds:
            await feed.catch_up()
        names = [feed.name for feed in self._feeds]
        return replace(
            receipt,
            behind=tuple(feed.name for feed in self._feeds if feed.broken),
            snapshots=tuple(str(one.path) for one in await self.snapshots() if holds(one, records)),
            copies=tuple(await asyncio.to_thread(copies_of, self._database.path, names)),
            scrubbed=scrubbed,
        )

    async def verify(self) -> MemoryReport:
        """What is wrong on disk, and with the indexes; damage is reported, never raised.

        Indexes catch up with the log first; they are not looked at if it was opened read-only, or
        another process has them open.
        """
        report = await self._database.read(verify)
        newest, _ = await self._database.read(head)
        problems = [*_of_logs(self._database.path), *report.problems]
        for feed in self._feeds:
            problems += await feed.problems(newest)
        unchecked = tuple(feed.name for feed in self._feeds if feed.busy)
        return replace(report, problems=tuple(problems), unchecked=unchecked)

    async def repair(self) -> Mended:
        """Mends what `verify` found, after the file was copied aside; rebuilds broken indexes.

        Commits that a damaged write-ahead log lost stay lost; a copy of the log is kept.

        Raises:
            StorageError: The copy cannot be written.
        """
        for log in damaged_logs(self._database.path):
            noted(log)
        if (await self._database.read(verify)).ok:
            mended = Mended()
        else:
            await self._database.copy_aside(self._clock)
            mended = await self._database.write(partial(repair, call=self._call(None)))
            self._loaded.clear()
            if not (await self._database.read(verify)).ok:  # pages that SQLite finds untidy
                await self._database.vacuum(whole=True)
        for feed in self._feeds:
            if not await feed.catch_up() and not feed.busy:
                await feed.rebuild()
        self._vectorizer.fill_later()
        return mended

    async def snapshot(
        self, folder: PathLike | None = None, *, keep: int | None = None
    ) -> Snapshot:
        """A complete, checked copy of the database file, sessions included; writes go on meanwhile.

        Args:
            folder: Where to put it; ``massgen.db.snapshots`` beside the file if omitted. Files of
                the same name need folders of their own, for their snapshots are named alike.
            keep: How many of its snapshots to keep there, this one among them; all if omitted.

        Raises:
            InvalidArgument: `keep` is less than 1.
            StorageCorrupt: The file is damaged.
            StorageFull: There is no room for it; nothing of it is left.
        """
        if keep is not None and (type(keep) is not int or keep < 1):
            raise InvalidArgument(f"keep is {keep!r}, expected at least 1")
        await self._usage.flush()
        place = self._snapshots_at(folder)
        with translating(place):
            return await self._snapshot(place, keep)

    async def _snapshot(self, place: Path, keep: int | None) -> Snapshot:
        async with alone_in(place):
            now = self._clock.now()
            file = await asyncio.to_thread(new_name, self._database.path, place, now)
            await self._database.snapshot(file)
            made = await asyncio.to_thread(describe, file, now)
            if keep is not None:
                await asyncio.to_thread(prune, self._database.path, keep, made)
        return made

    async def snapshots(self, folder: PathLike | None = None) -> list[Snapshot]:
        """This file's snapshots in a folder, oldest first; in the one beside it if omitted."""
        where = self._snapshots_at(folder)
        return await asyncio.to_thread(snapshots_of, self._database.path, where)

    def _snapshots_at(self, folder: PathLike | None) -> Path:
        return (
            snapshots_beside(self._database.path) if folder is None else path_of("folder", folder)
        )

    async def restore(self, snapshot: PathLike) -> Path:
        """Puts a snapshot in the place of the database file, in one step, after checking it.

        Sessions go back with it; what was forgotten since stays forgotten. Nobody else may have the
        file open.

        Returns:
            Where the file that was there is now.

        Raises:
            InvalidArgument: There is no snapshot.
            StorageCorrupt: It is damaged; nothing was changed.
            StorageBusy: Somebody has the file open; nothing was changed.
        """
        file = file_of("snapshot", snapshot)
        await asyncio.to_thread(check_snapshot, file)
        await self._vectorizer.aclose()
        adapt = partial(prepare, now=self._clock.now(), journals=self._journals)
        try:
            kept, whole = await self._database.replace_with(file, adapt, self._clock)
        finally:  # it is done, too, where the caller was cancelled meanwhile
            self._loaded.clear()
            for feed in self._feeds:
                feed.mistrust()
            self._vectorizer.fill_later()
        if not whole:
            self._told("ledger", "the damaged file did not say all that was forgotten since")
        await self._database.scrub()
        return kept

    async def rewind(self, until: int | Moment, *, dry_run: bool = False) -> list[MemoryRecord]:
        """The memories that changed, after all are what they were at a point of the log; undoable.

        Args:
            until: The last log entry that counts if it is a whole number, 0 for none; else a
                moment.
            dry_run: Whether only to say what would change.

        Raises:
            InvalidArgument: The log has no such entry.
        """
        point = until if type(until) is int else moment_of(until)
        work = partial(rewind, until=point, call=self._call(None), dry_run=dry_run)
        if dry_run:
            return await self._database.read(work)
        records = await self._database.write(work)
        await self._vectorizer.embed(records)
        return records

    async def export(
        self,
        target: PathLike,
        *,
        scope: ScopeLike | None = None,
        principal: str | None = None,
    ) -> int:
        """Writes an archive that any memory can `import_`, whole or not at all; its lines.

        History is in it, and what was forgotten is not, nor what a memory was while it was outside
        the scope or the principal could not see it. Vectors are made again where it goes.

        Args:
            target: The file of JSON lines; replaced if it exists.
            scope: What to export; everything, grants among it, if omitted.
            principal: Who asks.

        Raises:
            AccessDenied: The principal may not read the scope.
            InvalidArgument: No file can be written there.
            LedgerCorrupt: An entry is damaged.
            StorageFull: There is no room for it; nothing of it is left.
        """
        file = file_of("target", target)
        whole = Scope() if scope is None else scope_of(scope)
        now = self._clock.now()

        def lines(conn: sqlite3.Connection) -> int:
            _access.check(conn, principal, [whole], "read")
            may = partial(_access.may, conn, principal, right="read")
            return write_lines(file, export_lines(conn, [whole], now, may))

        with written(file):
            return await self._database.read(lines)

    async def import_(self, source: PathLike | Iterable[str]) -> Imported:
        """Takes an archive in; taking it in again changes nothing.

        Args:
            source: A file that `export` wrote, or its lines; text is the name of a file.

        Raises:
            InvalidArgument: It is no archive, or unreadable; nothing was imported.
            LedgerCorrupt: It is torn or altered; nothing was imported.
        """
        file: Path | None = None
        kept: tuple[str, ...] = ()
        if isinstance(source, Iterable) and not isinstance(source, (str, os.PathLike)):
            kept = texts_of("source", source)  # a write may have to run again
        else:
            file = file_of("source", source)

        def take(conn: sqlite3.Connection) -> Imported:
            return import_lines(conn, kept if file is None else lines_of(file))

        done = await self._database.write(take)
        self._vectorizer.fill_later()
        return done

    async def marker(self, key: str) -> str | None:
        """Where somebody who feeds this memory stopped; None if nothing was marked."""
        return await self._database.read(partial(get_meta, key=f"mark:{key}"))

    async def set_marker(self, key: str, value: str) -> None:
        """Marks where somebody who feeds this memory stopped.

        Raises:
            InvalidArgument: Key or value is no text.
        """
        if not is_text(key) or not is_text(value):
            raise InvalidArgument(f"marker {key!r} is {value!r}, expected text for both")
        await self._database.write(partial(put_meta, key=f"mark:{key}", value=value))

    async def grant(
        self, principal: str, scope: ScopeLike, rights: Iterable[Right] = ("read",)
    ) -> Grant:
        """Gives a principal rights to a scope and all narrower ones, in the place of earlier ones.

        Raises:
            InvalidArgument: There is no such right.
        """
        given = texts_of("rights", rights)
        give = partial(_access.grant, principal=principal, scope=scope_of(scope), rights=given)
        return await self._database.write(give)

    async def revoke(self, principal: str, scope: ScopeLike | None = None) -> int:
        """Takes a principal's rights to exactly this scope back, or all; how many it were."""
        whole = None if scope is None else scope_of(scope)
        take = partial(_access.revoke, principal=principal, scope=whole)
        return await self._database.write(take)

    async def grants(self, principal: str | None = None) -> list[Grant]:
        """The grants of one principal, or all of them."""
        return await self._database.read(partial(_access.grants, principal=principal))

    async def settle(self) -> None:
        """Returns when all vectors are made and all indexes have all that the log has."""
        await self._vectorizer.fill()
        for feed in self._feeds:
            await feed.catch_up()

    async def aclose(self) -> None:
        """Finishes what was asked for and closes everything; more calls do nothing."""
        await self._vectorizer.aclose()
        with contextlib.suppress(StorageError):  # uses are statistics; closing must not fail
            await self._usage.flush()
        for feed in self._feeds:
            await feed.close()
        plugins = self._plugins
        await close("embedder", plugins.embedder, self._told, _CLOSE_SECONDS)
        await close("reranker", plugins.reranker, self._told, _CLOSE_SECONDS)
        await close("query expander", plugins.expander, self._told, _CLOSE_SECONDS)
        for name, store in () if self._feeds else plugins.stores.items():
            await close(name, store, self._told, _CLOSE_SECONDS)
        await self._database.aclose()

    def _call(self, principal: str | None) -> Call:
        return Call(principal or "", self._clock.now())


def _of_logs(path: Path) -> list[Problem]:
    what = "the write-ahead log was damaged: what was written last is lost; a copy of it is {}"
    return [Problem("file", what.format(log.name), lost=True) for log in damaged_logs(path)]
