"""Recall: candidates are ranked in memory, then each is checked against the ledger."""

from __future__ import annotations

import math
from functools import cache, partial
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from massgen_core.memory._access import check, sees
from massgen_core.memory._guard import guarded
from massgen_core.memory._hits import Hit
from massgen_core.memory._table import by_numbers

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from massgen_core.memory._embedding import Vectorizer
    from massgen_core.memory._hits import Wanted
    from massgen_core.memory._loaded import Loaded, LoadedScopes
    from massgen_core.memory._ranking import Ranked
    from massgen_core.memory._record import MemoryRecord
    from massgen_core.memory._scope import Scope
    from massgen_core.memory._stores import QueryExpander, Reranker
    from massgen_core.storage import Database

Wording: TypeAlias = "tuple[str, Sequence[float] | None]"
"""A way to ask, and its vector if vectors count."""
Misfit: TypeAlias = Literal[
    "elsewhere", "private", "not active", "expired", "not valid now", "other kind", "excluded"
]
"""Why a memory is no answer."""

_PLUGIN_SECONDS: Final = 30.0
_COMPLETE: Final = 0.9
"""Share of a scope's records with a vector from which on vectors count: with fewer, those that
have one would always win."""
_IN_VAIN: Final = 64
"""With so many texts among the candidates that repeat others or are too large, no more are sought;
for long answers, with eight times the answer's size."""
_RERANKED: Final = 4
"""Times as many candidates are given to a reranker as are wanted."""
_ROOM: Final = 16
"""Candidates looked at beyond those wanted: some will be private, expired, or excluded."""
_FEW: Final = 4
"""The same, at first: to check a candidate against the ledger takes longer than to rank it."""
_WORDINGS: Final = 3
"""Other wordings of a query that are tried."""


class Recaller:
    """Answers questions to memory.

    Args:
        database: Where the ledger is.
        loaded: The indexes in memory.
        count: Tokens of a text.
        told: Is told why a plugin could not help: its name and the reason.
        vectorizer: Makes the query's vector.
        reranker: Judges the best candidates once more.
        expander: Words the query in other ways.
    """

    def __init__(
        self,
        database: Database,
        loaded: LoadedScopes,
        count: Callable[[str], int],
        told: Callable[[str, str], None],
        *,
        vectorizer: Vectorizer,
        reranker: Reranker | None = None,
        expander: QueryExpander | None = None,
    ) -> None:
        self._database = database
        self._loaded = loaded
        self._count = count
        self._told = told
        self._vectorizer = vectorizer
        self._reranker = reranker
        self._expander = expander
        self._left_out: dict[tuple[Scope, ...], int] = {}

    async def recall(
        self, wanted: Wanted, extra: Mapping[str, Mapping[str, float]] | None = None
    ) -> list[Hit]:
        """The memories that match best, pinned standing ones first.

        Pinned ones have half of the tokens at most, and what is too large is passed over.

        Args:
            wanted: What is asked.
            extra: Scores by record id that stores gave, by the store's name.

        Raises:
            AccessDenied: The principal may not read one of the scopes.
        """
        loaded = await self.loaded(wanted)
        pinned = [Hit(one, 0.0, {"pinned": 0.0}) for one in await self._standing(loaded, wanted)]
        room, size = wanted.tokens, cache(self._count)
        if room is not None:
            half = room // 2
            chosen, left = _fitting(pinned, half, size)
            self._tell_left_out(wanted, len(pinned) - len(chosen))
            pinned, room = chosen, room - half + left

        def fits(hit: Hit) -> bool:
            return room is None or size(hit.record.text) <= room

        best = await self._best(loaded, wanted, by_number(loaded, extra or {}), fits)
        hits = await self.in_order(wanted, best)
        if room is not None:
            hits, _ = _fitting(hits, room, size)
        return [*pinned, *hits[: wanted.limit]]

    def _tell_left_out(self, wanted: Wanted, pinned: int) -> None:
        if pinned != self._left_out.get(wanted.scopes, 0):  # once, not at each turn of an agent
            self._left_out[wanted.scopes] = pinned
            if pinned:
                self._told(
                    "ledger", f"pinned memories without room in {wanted.tokens} tokens: {pinned}"
                )

    async def loaded(self, wanted: Wanted) -> Loaded:
        """The index over what is asked for, up to date.

        Raises:
            AccessDenied: The principal may not read one of the scopes.
        """
        await self._database.read(partial(_check_read, wanted=wanted))
        loaded = await self._loaded.get(wanted.scopes, wanted.principal)
        while loaded.damaged:
            one = loaded.damaged.pop()
            why = f"memory {one.record_id!r} is damaged and left out: {one.what}"
            self._told("ledger", f"{why}; `mgc memory verify` lists all damage")
        return loaded

    async def wordings(self, loaded: Loaded, query: str) -> list[Wording]:
        """The query and other wordings of it, each with its vector; plugins are asked once."""
        texts = (query, *await self._others(query))
        return [(text, await self._query_vector(loaded, text)) for text in texts]

    def enough(self, limit: int) -> int:
        """Hits that are needed for an answer of `limit`: a reranker chooses from more."""
        return limit * (_RERANKED if self._reranker is not None else 1)

    async def in_order(self, wanted: Wanted, hits: Sequence[Hit]) -> list[Hit]:
        """The hits, best first: those that count judged once more, and repeated texts last.

        Args:
            wanted: What is asked.
            hits: Best first, repeated texts last.
        """
        reranker, query = self._reranker, wanted.query
        if reranker is None or not hits or not query.strip():
            return list(hits)
        enough = self.enough(wanted.limit)
        judged = [*await self._judged(reranker, query, hits[:enough]), *hits[enough:]]
        said, again = once(judged)
        return [*said, *again]

    async def _best(
        self,
        loaded: Loaded,
        wanted: Wanted,
        extra: Mapping[str, Mapping[int, float]],
        fits: Callable[[Hit], bool],
    ) -> list[Hit]:
        """At least as many hits as the answer needs; more candidates are looked at until there are.

        What was asked again and again is there as often, and must not take the answer's place.
        """
        enough = self.enough(wanted.limit)
        k = enough + _ROOM
        wordings = await self.wordings(loaded, wanted.query)
        while True:
            ranked = rank(loaded, wordings, extra, k)
            few = [ranked[: enough + _FEW]] if wanted.tokens is None else []
            for some in (*few, ranked):  # most often, few are enough
                checked = await self._checked(loaded, wanted, some)
                hits, again = once(filter(fits, checked))
                if len(hits) >= enough:
                    return [*hits, *again]
            if len(checked) - len(hits) >= max(_IN_VAIN, 8 * enough) or len(ranked) < k:
                return [*hits, *again]
            k *= 4

    async def _checked(self, loaded: Loaded, wanted: Wanted, ranked: Sequence[Ranked]) -> list[Hit]:
        """What of the candidates the ledger confirms: there, current, and for who asks."""
        numbers = [one.number for one in ranked if one.number not in loaded.standing]
        records = await self._records(numbers, wanted)
        return [
            Hit(records[one.number], one.score, one.reasons)
            for one in ranked
            if one.number in records
        ]

    async def _standing(self, loaded: Loaded, wanted: Wanted) -> list[MemoryRecord]:
        """What is recalled whatever is asked, the newest first."""
        return list((await self._records(loaded.standing, wanted)).values())[::-1]

    async def _records(self, numbers: Iterable[int], wanted: Wanted) -> dict[int, MemoryRecord]:
        numbers = list(numbers)
        if not numbers:
            return {}
        found = await self._database.read(partial(by_numbers, numbers=numbers))
        return {
            record.seq: record
            for record, _ in found
            if record is not None and misfit(record, wanted) is None
        }

    async def _query_vector(self, loaded: Loaded, query: str) -> Sequence[float] | None:
        if loaded.embedded < _COMPLETE:
            return None
        return await self._vectorizer.of_query(query)

    async def _others(self, query: str) -> Sequence[str]:
        if self._expander is None or not query.strip():
            return ()
        outcome = await guarded(partial(_expanded, self._expander, query), _PLUGIN_SECONDS)
        if outcome.value is None:
            self._told("query expander", outcome.error)
            return ()
        return outcome.value[:_WORDINGS]

    async def _judged(self, reranker: Reranker, query: str, hits: Sequence[Hit]) -> Sequence[Hit]:
        """The hits in the order of the reranker, if it works."""
        work = partial(_scores, reranker, query, [hit.record.text for hit in hits])
        outcome = await guarded(work, _PLUGIN_SECONDS)
        if outcome.value is None:
            self._told("reranker", outcome.error)
            return hits
        judged = [
            Hit(hit.record, score, {"reranker": score})
            for hit, score in zip(hits, outcome.value, strict=True)
        ]
        return sorted(judged, key=lambda hit: (-hit.score, hit.record.seq))


async def _expanded(expander: QueryExpander, query: str) -> tuple[str, ...]:
    found = await expander.expand(query)
    if isinstance(found, str) or not all(isinstance(each, str) for each in found):
        raise TypeError("it gave no list of texts")
    return tuple(found)


async def _scores(reranker: Reranker, query: str, texts: Sequence[str]) -> list[float]:
    scores = [float(score) for score in await reranker.rerank(query, texts)]
    if len(scores) != len(texts):
        raise ValueError("it gave another number of scores")
    if not all(map(math.isfinite, scores)):
        raise ValueError("it gave a score that is no finite number")
    return scores


def _check_read(conn: sqlite3.Connection, wanted: Wanted) -> None:
    check(conn, wanted.principal, wanted.scopes, "read")


def misfit(record: MemoryRecord, wanted: Wanted) -> Misfit | None:
    """Why the ledger's record, as it is now, is no answer for who asks; None if it is one."""
    now = wanted.now
    checks: tuple[tuple[bool, Misfit], ...] = (
        (not any(scope.covers(record.scope) for scope in wanted.scopes), "elsewhere"),
        (not sees(wanted.principal, record), "private"),
        (record.state != "active", "not active"),
        (record.expires_at is not None and record.expires_at <= now, "expired"),
        (not record.current(now), "not valid now"),
        (bool(wanted.kinds) and record.kind not in wanted.kinds, "other kind"),
        (record.id in wanted.exclude, "excluded"),
    )
    return next((reason for wrong, reason in checks if wrong), None)


def _fitting(hits: Iterable[Hit], tokens: int, size: Callable[[str], int]) -> tuple[list[Hit], int]:
    """The hits that so many tokens hold, and the tokens left; what is too large is passed over."""
    out = []
    for hit in hits:
        if (needed := size(hit.record.text)) <= tokens:
            tokens -= needed
            out.append(hit)
    return out, tokens


def once(hits: Iterable[Hit]) -> tuple[list[Hit], list[Hit]]:
    """Those that say something new, and those that say what a better one says, in its words."""
    first: dict[str, Hit] = {}
    again: list[Hit] = []
    for hit in hits:
        said = " ".join(hit.record.text.casefold().split())
        if first.setdefault(said, hit) is not hit:
            again.append(hit)
    return list(first.values()), again


def by_number(
    loaded: Loaded, extra: Mapping[str, Mapping[str, float]]
) -> dict[str, dict[int, float]]:
    """Scores of indexes by record number; what is not loaded is left out."""
    return {
        name: {loaded.ids[key]: score for key, score in scores.items() if key in loaded.ids}
        for name, scores in extra.items()
    }


def rank(
    loaded: Loaded, wordings: Sequence[Wording], extra: Mapping[str, Mapping[int, float]], k: int
) -> list[Ranked]:
    """Candidates by number, best first; what other wordings find counts as their best."""
    best: list[Ranked] = []
    for text, vector in wordings:
        found = loaded.index.search(text, vector=vector, extra=extra, k=k)
        best = _merged(best, found) if best else found
    return best[:k]


def _merged(one: Sequence[Ranked], other: Sequence[Ranked]) -> list[Ranked]:
    best = {ranked.number: ranked for ranked in one}
    for ranked in other:
        known = best.get(ranked.number)
        if known is None or ranked.score > known.score:
            best[ranked.number] = ranked
    return sorted(best.values(), key=lambda ranked: (-ranked.score, ranked.number))
