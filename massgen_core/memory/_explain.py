"""Why recall gives what it gives: every term of every score, near misses, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from massgen_core.memory._access import sees
from massgen_core.memory._hits import Hit
from massgen_core.memory._loaded import doc_of
from massgen_core.memory._ranking import ScopeIndex
from massgen_core.memory._recall import by_number, misfit, once, rank
from massgen_core.memory._record import MemoryRecord
from massgen_core.memory._table import by_ids, by_numbers, in_scopes

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from massgen_core.memory._hits import Wanted
    from massgen_core.memory._loaded import Loaded
    from massgen_core.memory._ranking import Ranked
    from massgen_core.memory._recall import Recaller
    from massgen_core.storage import Database

_LOOKED_AT: Final = 100
"""Candidates beyond those shown that are looked at for what was left out."""
_OLD: Final = 5_000
"""Superseded and invalidated records that are searched, the newest."""


@dataclass(frozen=True, slots=True)
class Explained:
    """A candidate.

    Attributes:
        rank: Its place, from 1.
        record: The memory.
        score: What decided its place.
        terms: What the score is made of, by name; they add up to it. Where a reranker judged, its
            score is the term ``reranker`` and decides alone.
        sources: The memories it was derived from, as far as who asks may see them.
    """

    rank: int
    record: MemoryRecord
    score: float
    terms: Mapping[str, float]
    sources: tuple[MemoryRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A memory that matches the query and is no answer.

    Attributes:
        record: The memory.
        reason: Why: ``expired``, ``not valid now``, ``other kind``, ``excluded``, ``superseded by
            ID``, ``superseded`` or ``invalidated``.
        score: How well it matches; comparable with candidates where it is active, else only with
            others that are not.
    """

    record: MemoryRecord
    reason: str
    score: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why recall gives what it gives.

    Attributes:
        query: What was asked.
        standing: What is there whatever is asked, the newest first.
        candidates: What recall gives, best first; what repeats a better one's words last.
        near: The next ones, that just missed.
        left_out: What matches and is no answer, best first.
        hidden: Private memories of others in the scopes, whatever was asked; nothing else is told
            of them.
        searched: Active memories in the scopes.
        embedded: Share of them that have a vector; from 0.9 on meaning counts.
    """

    query: str
    standing: tuple[MemoryRecord, ...]
    candidates: tuple[Explained, ...]
    near: tuple[Explained, ...]
    left_out: tuple[LeftOut, ...]
    hidden: int
    searched: int
    embedded: float


async def explain(
    database: Database,
    recaller: Recaller,
    wanted: Wanted,
    extra: Mapping[str, Mapping[str, float]],
    near: int,
) -> Explanation:
    """The explanation of one question to memory.

    Args:
        database: Where the ledger is.
        recaller: Answers it.
        wanted: The question.
        extra: Scores by record id that stores gave, by the store's name.
        near: How many near misses to show.

    Raises:
        AccessDenied: The principal may not read one of the scopes.
    """
    loaded = await recaller.loaded(wanted)
    k = recaller.enough(wanted.limit) + near + _LOOKED_AT
    wordings = await recaller.wordings(loaded, wanted.query)
    ranked = rank(loaded, wordings, by_number(loaded, extra), k)
    records = await database.read(partial(_records, numbers=[one.number for one in ranked]))
    hits = [
        Hit(records[one.number], one.score, one.reasons)
        for one in ranked
        if one.number in records
        and one.number not in loaded.standing
        and misfit(records[one.number], wanted) is None
    ]
    said, again = once(hits)
    hits = [*said, *again]
    best = await recaller.in_order(wanted, hits)
    terms = {hit.record.seq: hit.reasons for hit in hits}
    rows = [(hit, {**terms[hit.record.seq], **hit.reasons}) for hit in best[: wanted.limit + near]]
    details = await database.read(
        partial(_details, rows=rows, loaded=loaded, wanted=wanted, near=near)
    )
    left_out = [*_unfit(ranked, records, wanted), *details.old]
    return Explanation(
        wanted.query,
        details.standing,
        details.explained[: wanted.limit],
        details.explained[wanted.limit :],
        tuple(left_out),
        details.hidden,
        len(loaded.index),
        loaded.embedded,
    )


@dataclass(frozen=True, slots=True)
class _Details:
    """What only the ledger knows."""

    standing: tuple[MemoryRecord, ...]
    explained: tuple[Explained, ...]
    old: tuple[LeftOut, ...]
    hidden: int


def _records(conn: sqlite3.Connection, numbers: Iterable[int]) -> dict[int, MemoryRecord]:
    return {one.seq: one for one, _ in by_numbers(conn, numbers) if one is not None}


def _unfit(
    ranked: Sequence[Ranked], records: Mapping[int, MemoryRecord], wanted: Wanted
) -> list[LeftOut]:
    """The candidates that are no answer; of what is private to others nothing is said."""
    out = []
    for one in ranked:
        record = records.get(one.number)
        reason = None if record is None else misfit(record, wanted)
        if record is not None and reason is not None and reason not in {"private", "elsewhere"}:
            out.append(LeftOut(record, reason, one.score))
    return out


def _details(
    conn: sqlite3.Connection,
    rows: Sequence[tuple[Hit, Mapping[str, float]]],
    loaded: Loaded,
    wanted: Wanted,
    near: int,
) -> _Details:
    ids = {source for hit, _ in rows for source in hit.record.source_ids}
    sources = {
        key: one
        for key, (one, _) in by_ids(conn, ids).items()
        if one is not None and sees(wanted.principal, one) and _inside(one, wanted)
    }
    explained = tuple(
        Explained(
            rank,
            hit.record,
            hit.score,
            terms,
            tuple(sources[key] for key in hit.record.source_ids if key in sources),
        )
        for rank, (hit, terms) in enumerate(rows, 1)
    )
    standing = reversed(_records(conn, loaded.standing).values())
    return _Details(
        tuple(one for one in standing if misfit(one, wanted) is None),
        explained,
        tuple(_old(conn, wanted, near)),
        _hidden(conn, wanted),
    )


def _old(conn: sqlite3.Connection, wanted: Wanted, k: int) -> list[LeftOut]:
    """What would match, had it not been superseded or invalidated."""
    where = "r.state IN ('superseded', 'invalidated')"
    found = [
        one
        for one, _ in in_scopes(conn, wanted.scopes, where)
        if one is not None and sees(wanted.principal, one)
    ]
    records = {one.seq: one for one in found[-_OLD:]}
    index = ScopeIndex()
    for one in records.values():
        index.add(doc_of(one))
    best = index.search(wanted.query, k=k)
    successors = _successors(conn, wanted) if best else {}
    out = []
    for ranked in best:
        record = records[ranked.number]
        by = successors.get(record.id, "") if record.state == "superseded" else ""
        out.append(LeftOut(record, f"{record.state} by {by}" if by else record.state, ranked.score))
    return out


def _successors(conn: sqlite3.Connection, wanted: Wanted) -> dict[str, str]:
    found = in_scopes(conn, wanted.scopes, "l.body LIKE '%\"supersedes\"%'")
    return {
        old: one.id
        for one, _ in found
        if one is not None and sees(wanted.principal, one)
        for old in one.supersedes
    }


def _hidden(conn: sqlite3.Connection, wanted: Wanted) -> int:
    if wanted.principal is None:
        return 0
    where = "r.state = 'active' AND l.body LIKE '%\"private\"%'"
    found = in_scopes(conn, wanted.scopes, where)
    return sum(one is not None and not sees(wanted.principal, one) for one, _ in found)


def _inside(record: MemoryRecord, wanted: Wanted) -> bool:
    return any(scope.covers(record.scope) for scope in wanted.scopes)
