"""What keeps a memory useful over months: letting go, learning, merging, making indexes again."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from massgen_core.errors import InvalidArgument, MassgenError, StorageBusy
from massgen_core.memory._bringing import Brought, Format, bring, pieces_of
from massgen_core.memory._consolidation import Consolidated, consolidate, planned
from massgen_core.memory._keeping import Keeping
from massgen_core.memory._lifecycle import Collected, Retention, carry_out, plan
from massgen_core.memory._outbox import Waiting, Worker, enqueue, retry, waiting
from massgen_core.memory._paths import path_of
from massgen_core.memory._record import moment_of
from massgen_core.memory._scope import Scope, scope_of
from massgen_core.memory._vectors import drop_other_vectors

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from massgen_core.clock import Clock
    from massgen_core.memory._erasure import Journals
    from massgen_core.memory._extraction import Extractor
    from massgen_core.memory._foreign import Piece
    from massgen_core.memory._ledger import Call
    from massgen_core.memory._paths import PathLike
    from massgen_core.memory._record import MemoryRecord, Moment
    from massgen_core.memory._scope import ScopeLike
    from massgen_core.memory._stores import Plugins
    from massgen_core.storage import Database

_LIMIT: Final = 200
"""Messages that one call of `Memory.work` works on, if nothing else is said."""
FINISH: Final = 30.0
"""Seconds that closing a memory waits for extraction that is under way."""
_MONTH: Final = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Reindexed:
    """What `reindex` did.

    Attributes:
        vectors: Vectors that were made.
        missing: Memories that still have none, as the embedder failed; they are tried again.
        dropped: Vectors of other embedders that were deleted.
        rebuilt: Names of indexes that were emptied and filled again.
        failed: Names of indexes for which that failed; the ``told`` callback has the reasons.
    """

    vectors: int = 0
    missing: int = 0
    dropped: int = 0
    rebuilt: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


class Tending(Keeping):
    """What keeps a `Memory` useful over months."""

    def __init__(
        self,
        database: Database,
        plugins: Plugins,
        clock: Clock,
        told: Callable[[str, str], None],
        journals: Journals | None = None,
    ) -> None:
        super().__init__(database, plugins, clock, told, journals)
        self._worker = Worker(database, plugins.extractor, clock, told)
        self._working: asyncio.Task[None] | None = None
        self._wanted = False

    async def gc(
        self,
        policy: Retention | None = None,
        *,
        dry_run: bool = False,
        scope: ScopeLike | None = None,
        now: Moment | None = None,
    ) -> Collected:
        """Lets go of what expired and of what a cap pushes out, in two steps.

        What goes is marked first: it is not recalled any more, and `undo` brings it back. What was
        marked for longer than the policy's grace is purged: erased as `forget` does, without what
        was derived from it. Pinned memories go only if they expire. Nothing runs by itself: call
        this as often as it suits.

        Args:
            policy: What to keep; without one only what expired goes.
            dry_run: Whether to say only what would go, and why.
            scope: Where; everywhere if omitted.
            now: When "now" is; the clock's time if omitted.

        Returns:
            What went. The ``told`` callback gets the alarms as well.
        """
        policy = Retention() if policy is None else policy
        if not isinstance(policy, Retention):
            raise InvalidArgument(
                f"policy is {policy!r}, expected a Retention", hint="Pass Retention(max_records=…)."
            )
        whole = Scope() if scope is None else scope_of(scope)
        call = self._call(None)
        if now is not None:
            call = replace(call, now=moment_of(now, "now"))
        await self._usage.flush()

        def collect(conn: sqlite3.Connection) -> Collected:
            planned = plan(conn, policy, whole, call.now)
            if not dry_run:
                carry_out(conn, planned, call)
            return replace(planned, dry_run=dry_run)

        collected = await (self._database.read if dry_run else self._database.write)(collect)
        for alarm in collected.alarms:
            self._told("ledger", alarm)
        if dry_run or not collected.purged:
            return collected
        freed = 0
        with contextlib.suppress(StorageBusy):  # what had to go is gone; room can wait
            freed = await self._database.vacuum()
        for feed in self._feeds:
            await feed.catch_up()
        return replace(collected, freed=freed)

    async def compact(self) -> int:
        """Writes the file anew, packed; the bytes it became smaller.

        `gc` by itself gives back only pages that became empty as a whole, which long texts leave
        and short ones hardly do, and in a file that an older version created it gives back none:
        it does from now on. Needs as much room as the file has meanwhile.

        Raises:
            StorageBusy: Another process held the file for too long.
            StorageFull: There is no room for the copy; nothing was changed.
        """
        return await self._database.vacuum(whole=True)

    async def reindex(
        self,
        progress: Callable[[str, int, int], None] = lambda what, done, of: None,  # noqa: ARG005
    ) -> Reindexed:
        """Makes all that can be made from the ledger: missing vectors, then every index anew.

        Vectors of other embedders are deleted once those of the current one are complete. A kill
        costs nothing: what was made stays, and the next call goes on. Recall works meanwhile.

        Args:
            progress: Told what is made, how many are done, and of how many: ``("vectors", 64,
                1000)``, ``("index chroma", 0, 1)``.
        """
        missing = await self._vectorizer.missing()
        complete = await self._vectorizer.fill(lambda done: progress("vectors", done, missing))
        left = await self._vectorizer.missing()
        dropped = 0
        embedder = self._plugins.embedder
        if complete and embedder is not None and not self._database.read_only:
            drop = partial(drop_other_vectors, keep=embedder.identity)
            dropped = await self._database.write(drop)
        outcomes: dict[str, bool] = {}
        for feed in self._feeds:
            progress(f"index {feed.name}", 0, 1)
            outcomes[feed.name] = await feed.rebuild()
            progress(f"index {feed.name}", 1, 1)
        return Reindexed(
            max(0, missing - left),
            left,
            dropped,
            tuple(name for name, ok in outcomes.items() if ok),
            tuple(name for name, ok in outcomes.items() if not ok),
        )

    async def work(self, *, limit: int = _LIMIT, again: bool = False) -> int:
        """Lets the extractor see messages that wait for it; how many it was shown.

        Messages wait in the ledger from the moment they are remembered, so that a kill loses none.
        What fails is told and tried again later, after 30 seconds at first, six times in all; this
        never raises because of an extractor. One process works at a time: in another one this
        returns 0 meanwhile.

        Args:
            limit: Messages at most.
            again: Whether to try now what failed, and what was given up.
        """
        if again and not self._database.read_only:
            await self._database.write(partial(retry, now=self._clock.now()))
        shown, written = await self._worker.work(limit)
        await self._vectorizer.embed(written)
        return shown

    async def waiting(self) -> Waiting:
        """How many messages the extractor has not seen, and why."""
        return await self._database.read(partial(waiting, now=self._clock.now()))

    def work_later(self) -> None:
        """Starts `work` in the background, until nothing is due; nothing if that is under way.

        What fails is told, and never raised. An agent with this memory calls it after each turn.
        """
        if self._plugins.extractor is None or self._database.read_only:
            return
        self._wanted = True  # also where a task is at its end, and has seen that nothing is due
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._keep_working())

    async def rest(self, seconds: float = FINISH) -> None:
        """Returns when `work_later` has nothing left to do, or else stops it after some seconds.

        What was not done waits in the file. `aclose` does this as well.
        """
        task, self._working = self._working, None
        if task is None:
            return
        try:
            _, late = await asyncio.wait([task], timeout=seconds)
            if late:
                self._told("extractor", f"not done within {seconds:g} seconds; what is left waits")
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def restore(self, snapshot: PathLike) -> Path:
        """As `Keeping.restore` says; extraction that is under way is stopped first."""
        await self.rest(0)
        return await super().restore(snapshot)

    async def aclose(self) -> None:
        """Finishes what was asked for and closes everything; more calls do nothing."""
        try:
            await self.rest()
        finally:
            await super().aclose()

    async def consolidate(
        self,
        scope: ScopeLike,
        *,
        summaries: Extractor | None = None,
        older_than: float = _MONTH,
        dry_run: bool = False,
    ) -> Consolidated:
        """Makes one memory of those that say the same, and summaries of old messages.

        What is replaced is superseded and keeps its history; messages stay. All of it is one
        change: `undo` of one of the new memories takes it back.

        Args:
            scope: What to consolidate.
            summaries: Proposes summaries of messages, e.g. `Summaries`; none are made without.
            older_than: Seconds that a message must be old to be summarised.
            dry_run: Whether only to say what would be merged and summarised.
        """
        call = self._call(None)
        before = call.now - older_than
        if dry_run:
            ask = summaries is not None
            look = partial(planned, scope=scope_of(scope), before=before, ask=ask)
            return await self._database.read(look)
        done, written = await consolidate(
            self._database, scope_of(scope), summaries, before=before, call=call
        )
        for reason in done.refused:
            self._told("summaries", reason)
        await self._vectorizer.embed(written)
        return done

    async def import_from(
        self,
        source: PathLike,
        *,
        format: Format | None = None,  # noqa: A002 - the user's word
        scope: ScopeLike | None = None,
        dry_run: bool = False,
        progress: Callable[[int, int], None] = lambda done, of: None,  # noqa: ARG005
    ) -> Brought:
        """Takes in what another program remembers; doing it again adds nothing.

        All of it is read and checked before anything is written. What the source says otherwise
        than at an earlier import supersedes what it said then. `import_` is for archives of
        another `Memory`.

        Args:
            source: A file, folder or zip archive.
            format: What it is from; told from its content if omitted.
            scope: Whose it shall be; fields of it go over those that the source names.
            dry_run: Whether only to say what would be written.
            progress: Told how many memories are written, and of how many.

        Raises:
            InvalidImport: It is malformed, or nobody can tell what it is; nothing was written.
            UnsafeArchive: It is an archive that must not be unpacked.
        """
        whole = Scope() if scope is None else scope_of(scope)
        found, portions = await asyncio.to_thread(
            pieces_of, path_of("source", source), format, whole
        )
        done = replace(found, dry_run=dry_run)
        for portion in portions:
            call = self._call(None)

            def take(
                conn: sqlite3.Connection, some: list[Piece] = portion, call: Call = call
            ) -> Brought:
                counts, written = bring(conn, some, call, dry_run=dry_run)
                self._enqueue(conn, written, call)
                return counts

            done = done.plus(await (self._database.read if dry_run else self._database.write)(take))
            progress(done.new + done.same, done.found)
        self._vectorizer.fill_later()
        return done

    async def settle(self) -> None:
        """Returns when nothing waits that can be done now: extraction, vectors, indexes."""
        while await self.work():
            pass
        await super().settle()

    async def _keep_working(self) -> None:
        try:
            while self._wanted:
                self._wanted = False
                while await self.work():
                    pass
        except (MassgenError, OSError) as exc:
            self._told("extractor", f"what waits has to wait: {exc}")

    def _enqueue(
        self, conn: sqlite3.Connection, records: Iterable[MemoryRecord], call: Call
    ) -> None:
        """Lets messages wait for the extractor, if there is one."""
        if self._plugins.extractor is not None:
            enqueue(conn, records, call.now)
