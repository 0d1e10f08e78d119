"""Looking into a memory: why recall gives what it gives, what there is, what happened when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from massgen_core.errors import InvalidArgument
from massgen_core.memory import _access
from massgen_core.memory._explain import Explanation, explain
from massgen_core.memory._hits import Wanted
from massgen_core.memory._outbox import GAVE_UP
from massgen_core.memory._recall import Recaller
from massgen_core.memory._record import State, moment_of, texts_of
from massgen_core.memory._report import page
from massgen_core.memory._scope import Scope, scope_of, scopes_of
from massgen_core.memory._stats import MemoryStats, stats
from massgen_core.memory._table import in_scopes
from massgen_core.memory._tending import Tending
from massgen_core.tokens import tiktoken_counter

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Sequence

    from massgen_core.clock import Clock
    from massgen_core.memory._erasure import Journals
    from massgen_core.memory._record import MemoryRecord, Moment
    from massgen_core.memory._scope import ScopeLike
    from massgen_core.memory._stores import Plugins
    from massgen_core.storage import Database

_ON_A_PAGE: Final = 100
"""Memories on the timeline of a report, the newest."""


class Inspecting(Tending):
    """What answers questions to a `Memory`, and about it."""

    def __init__(
        self,
        database: Database,
        plugins: Plugins,
        clock: Clock,
        told: Callable[[str, str], None],
        journals: Journals | None = None,
    ) -> None:
        super().__init__(database, plugins, clock, told, journals)
        self._recaller = Recaller(
            database,
            self._loaded,
            _count,
            told,
            vectorizer=self._vectorizer,
            reranker=plugins.reranker,
            expander=plugins.expander,
        )

    async def stats(
        self, scope: ScopeLike | None = None, *, principal: str | None = None
    ) -> MemoryStats:
        """What the memory, or a scope of it, is made of. Reads every active memory of it.

        Args:
            scope: What counts; everything if omitted.
            principal: Who asks; what is private to others counts, and its text is not shown.

        Raises:
            AccessDenied: The principal may not read the scope.
        """
        whole = Scope() if scope is None else scope_of(scope)
        await self._usage.flush()
        now = self._clock.now()

        def read(conn: sqlite3.Connection) -> MemoryStats:
            _access.check(conn, principal, [whole], "read")
            return stats(conn, whole, now, principal=principal, gave_up=GAVE_UP)

        return await self._database.read(read)

    async def explain(
        self,
        query: str,
        *,
        scope: ScopeLike | Sequence[ScopeLike],
        k: int = 5,
        near: int = 5,
        kinds: Iterable[str] = (),
        exclude: Iterable[str] = (),
        principal: str | None = None,
    ) -> Explanation:
        """Why `recall` gives what it gives for a query; nothing is counted as used.

        Args:
            query: What is asked, in words.
            scope: Where to look.
            k: Memories that recall would give.
            near: Near misses to show as well.
            kinds: Only of these kinds; all if omitted.
            exclude: Ids that are not wanted.
            principal: Who asks.

        Raises:
            InvalidArgument: An argument cannot be used.
            AccessDenied: The principal may not read one of the scopes.
        """
        for name, value, least in (("k", k, 1), ("near", near, 0)):
            if type(value) is not int or value < least:
                raise InvalidArgument(f"{name} is {value!r}, expected at least {least}")
        wanted = Wanted(
            query,
            scopes_of(scope),
            k,
            None,
            frozenset(texts_of("kinds", kinds)),
            frozenset(texts_of("exclude", exclude)),
            principal,
            self._clock.now(),
        )
        extra = await self._candidates(wanted)
        await self._usage.flush()
        return await explain(self._database, self._recaller, wanted, extra, near)

    async def timeline(
        self,
        scope: ScopeLike,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        kinds: Iterable[str] = (),
        states: Iterable[State] = ("active", "superseded"),
        principal: str | None = None,
    ) -> list[MemoryRecord]:
        """The memories of a scope by when they happened, or else were remembered; oldest first.

        Args:
            scope: Whose.
            since: From this moment on.
            until: Before this moment.
            kinds: Only of these kinds; all if omitted.
            states: Only in these states; what is superseded shows what was true before.
            principal: Who asks.

        Raises:
            InvalidArgument: An argument cannot be used.
            AccessDenied: The principal may not read the scope.
        """
        whole, wanted = scope_of(scope), frozenset(texts_of("kinds", kinds))
        standing = frozenset(texts_of("states", states))
        if unknown := standing - set(get_args(State)):
            raise InvalidArgument(
                f"there is no state {min(unknown)!r}", hint=f"States: {', '.join(get_args(State))}."
            )
        first = -float("inf") if since is None else moment_of(since, "since")
        end = float("inf") if until is None else moment_of(until, "until")

        def read(conn: sqlite3.Connection) -> list[MemoryRecord]:
            _access.check(conn, principal, [whole], "read")
            found = [
                one
                for one, _ in in_scopes(conn, [whole], "r.state <> 'tombstone'")
                if one is not None
                and one.state in standing
                and (not wanted or one.kind in wanted)
                and first <= one.happened_at < end
                and _access.sees(principal, one)
            ]
            return sorted(found, key=lambda one: (one.happened_at, one.seq))

        return await self._database.read(read)

    async def report_html(
        self, scope: ScopeLike | None = None, *, principal: str | None = None
    ) -> str:
        """One page about a scope to look at in a browser: charts, lists, the newest memories.

        It needs nothing beside itself, no script and no network; texts in it are escaped.

        Args:
            scope: What it is about; everything if omitted.
            principal: Who asks.

        Raises:
            AccessDenied: The principal may not read the scope.
        """
        whole = Scope() if scope is None else scope_of(scope)
        found = await self.stats(whole, principal=principal)
        records = await self.timeline(whole, principal=principal)
        return page(whole, found, records[-_ON_A_PAGE:])

    async def _candidates(self, wanted: Wanted) -> dict[str, dict[str, float]]:
        """What the indexes find, by their names."""
        if not self._feeds or not wanted.query.strip():
            return {}
        vector = await self._vectorizer.of_query(wanted.query)
        k = 4 * wanted.limit
        return {
            feed.name: await feed.search(wanted.query, vector, wanted.scopes, k)
            for feed in self._feeds
        }


def _count(text: str) -> int:
    return tiktoken_counter("o200k_base").count_text(text).tokens
