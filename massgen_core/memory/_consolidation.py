"""Less to say the same: memories that say the same become one, old messages get a summary.

What is replaced is superseded, never deleted, and only what was derived: messages stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from massgen_core.memory import _ledger
from massgen_core.memory._extraction import judged
from massgen_core.memory._outbox import audience, proposed, together
from massgen_core.memory._record import MemoryRecord, NewMemory
from massgen_core.memory._similar import groups
from massgen_core.memory._table import by_numbers, in_scopes

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Hashable, Iterable

    from massgen_core.memory._extraction import Extractor
    from massgen_core.memory._scope import Scope
    from massgen_core.storage import Database

_PRODUCER: Final = "merge/1"
_LEAST: Final = 4
"""Messages that are worth a summary."""
_MOST: Final = 40
"""Messages that one summary is of."""


@dataclass(frozen=True, slots=True)
class Consolidated:
    """What consolidation did; `undo` of one of the new memories takes all of it back.

    Attributes:
        merged: Ids of the memories that took the place of others that said the same.
        superseded: Ids of those others.
        summaries: Ids of new summaries.
        refused: Why proposed summaries were not taken, for a person.
        portions: Portions of old messages for which a summary was asked, or would be.
        dry_run: Whether nothing was done: `merged` and `summaries` are empty then.
    """

    merged: tuple[str, ...] = ()
    superseded: tuple[str, ...] = ()
    summaries: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    portions: int = 0
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class _Portion:
    """Messages, and what an extractor proposes to say instead."""

    messages: Sequence[MemoryRecord]
    proposals: Sequence[object]


async def consolidate(
    database: Database,
    scope: Scope,
    summaries: Extractor | None,
    *,
    before: float,
    call: _ledger.Call,
) -> tuple[Consolidated, list[MemoryRecord]]:
    """What was done, and what was written.

    Args:
        database: Where the ledger is.
        scope: What to consolidate.
        summaries: Proposes summaries; without one messages are left alone.
        before: Messages from before this moment are summarised.
        call: Who consolidates.
    """
    portions: list[_Portion] = []
    refused: list[str] = []
    asked = 0
    if summaries is not None:
        for messages in await database.read(partial(_to_summarise, scope=scope, before=before)):
            asked += 1
            outcome = await proposed(summaries, messages, ())
            if outcome.value is None:
                refused.append(outcome.error)
            else:
                portions.append(_Portion(messages, outcome.value))
    producer = "" if summaries is None else summaries.identity
    apply = partial(_apply, scope=scope, portions=portions, producer=producer, call=call)
    done, written = await database.write(apply)
    return replace(done, refused=(*refused, *done.refused), portions=asked), written


def planned(conn: sqlite3.Connection, scope: Scope, before: float, *, ask: bool) -> Consolidated:
    """What `consolidate` would do; no model is asked.

    Args:
        conn: The database.
        scope: What would be consolidated.
        before: Messages from before this moment would be summarised.
        ask: Whether there is something that proposes summaries.
    """
    twice = [one.id for group in _twice(conn, scope) for one in group]
    portions = len(_to_summarise(conn, scope, before)) if ask else 0
    return Consolidated(superseded=tuple(twice), portions=portions, dry_run=True)


def merged(group: Sequence[MemoryRecord]) -> NewMemory:
    """The memory that takes the place of a group that says the same as its first.

    It has the sources of all, and is as important as the most important; all of a group are
    trusted alike.
    """
    first = group[0]
    given = {each.name: getattr(first, each.name) for each in fields(NewMemory)}
    ends = [one.expires_at for one in group if one.expires_at is not None]
    begins = [one.valid_from for one in group if one.valid_from is not None]
    return NewMemory(
        **{
            **given,
            "id": None,
            "supersedes": tuple(one.id for one in group),
            "source_ids": tuple(dict.fromkeys(each for one in group for each in one.source_ids)),
            "tags": tuple(dict.fromkeys(each for one in group for each in one.tags)),
            "confidence": max(one.confidence for one in group),
            "importance": max(one.importance for one in group),
            "pinned": any(one.pinned for one in group),
            "expires_at": max(ends, default=None) if len(ends) == len(group) else None,
            "valid_from": min(begins, default=None) if len(begins) == len(group) else None,
            "producer": _PRODUCER,
        }
    )


def _apply(
    conn: sqlite3.Connection,
    scope: Scope,
    portions: Sequence[_Portion],
    producer: str,
    call: _ledger.Call,
) -> tuple[Consolidated, list[MemoryRecord]]:
    """Everything in one batch of the log, as things are now."""
    twice = _twice(conn, scope)
    news = [merged(group) for group in twice]
    summaries, refused = _accepted(conn, portions, producer, call.now)
    made, written = _ledger.create(conn, [*news, *summaries], call)
    return Consolidated(
        merged=tuple(one.id for one in made[: len(news)]),
        superseded=tuple(one.id for group in twice for one in group),
        summaries=tuple(one.id for one in made[len(news) :]),
        refused=tuple(refused),
    ), written


def _accepted(
    conn: sqlite3.Connection, portions: Sequence[_Portion], producer: str, now: float
) -> tuple[list[NewMemory], list[str]]:
    out: list[NewMemory] = []
    refused: list[str] = []
    for portion in portions:
        found = by_numbers(conn, [one.seq for one in portion.messages])
        seen = {one.id: one.content_hash for one in portion.messages}
        sources = {
            one.id: one for one, _ in found if one is not None and seen[one.id] == one.content_hash
        }
        verdict = judged(portion.proposals, sources, (), producer=producer, now=now)
        out += [new for new in verdict.news if new.kind == "summary"]
        refused += verdict.refused
        refused += ["it is no summary" for new in verdict.news if new.kind != "summary"]
    return out, refused


def _twice(conn: sqlite3.Connection, scope: Scope) -> list[list[MemoryRecord]]:
    return groups((_alike(one), one) for one in _derived(conn, scope))


def _derived(conn: sqlite3.Connection, *scopes: Scope) -> list[MemoryRecord]:
    found = in_scopes(conn, scopes, "r.state = 'active' AND r.kind <> 'message'")
    return [one for one, _ in found if one is not None]


def _alike(record: MemoryRecord) -> Hashable:
    """What must be equal, beside the text, for two memories to be one.

    Two events are two; and who is trusted less shall not put words into what is trusted more.
    """
    times = record.event_time, record.valid_to
    return record.scope, audience(record), record.kind, record.trust, times


def _to_summarise(
    conn: sqlite3.Connection, scope: Scope, before: float
) -> list[list[MemoryRecord]]:
    """Old messages that no summary is from, in portions worth one."""
    covered = {
        source
        for one in _derived(conn, scope, scope.lasting)
        if one.kind == "summary"
        for source in one.source_ids
    }
    found = in_scopes(conn, [scope], "r.state = 'active' AND r.kind = 'message'")
    old: Callable[[MemoryRecord], bool] = lambda one: (  # noqa: E731
        one.happened_at < before and one.id not in covered
    )
    messages: Iterable[MemoryRecord] = (one for one, _ in found if one is not None and old(one))
    return [portion for portion in together(messages, _MOST) if len(portion) >= _LEAST]
