"""How long memories are kept: what expires, what a cap pushes out, what is erased in the end.

A memory leaves in two steps. First it is *marked*: no longer recalled, still in the ledger, and one
`undo` brings it back. After a time of grace it is *purged*: its content is erased as `forget` does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from massgen_core.errors import InvalidArgument
from massgen_core.memory._ledger import forget, invalidate
from massgen_core.memory._record import MemoryRecord
from massgen_core.memory._scope import FIELDS, Scope
from massgen_core.memory._table import covered, in_scopes

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from massgen_core.memory._ledger import Call

Reason: TypeAlias = Literal[
    "expired", "over_records", "over_bytes", "grace_over", "superseded", "invalidated"
]
"""``expired``: its time was over. ``over_records``, ``over_bytes``: it was worth least where a cap
was passed. ``grace_over``: it was marked, and nobody brought it back. ``superseded``,
``invalidated``: it was that for as long as the policy keeps such records."""

_DAY: Final = 86_400.0
_ALARM: Final = 0.8
"""Share of a cap from which on its growth is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long memories are kept.

    Attributes:
        max_records: Active memories that a tenant, team, user and agent may have together, all
            their sessions counted; None for no cap.
        max_bytes: Bytes of text that they may have; None for no cap.
        half_life: Seconds after which an unused memory is worth half; see `worth`.
        grace: Seconds from the mark to the purge.
        keep_superseded: Seconds for which superseded and invalidated memories are kept; None for
            as long as the ledger.

    Raises:
        InvalidArgument: A number is negative, or a cap or the half-life is 0.
    """

    max_records: int | None = None
    max_bytes: int | None = None
    half_life: float = 30 * _DAY
    grace: float = 7 * _DAY
    keep_superseded: float | None = None

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            least = 0 if each.name in {"grace", "keep_superseded"} else None
            if value is None and each.default is None:
                continue
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not (value > 0 or value == least):
                raise InvalidArgument(f"{each.name} is {value!r}, expected a positive number")


@dataclass(frozen=True, slots=True)
class Removal:
    """A memory that goes.

    Attributes:
        record: The memory as it was before.
        reason: Why it goes; see `Reason`.
        worth: What it was worth, where that decided; else None.
    """

    record: MemoryRecord
    reason: Reason
    worth: float | None = None


@dataclass(frozen=True, slots=True)
class Collected:
    """What `gc` did, or in a dry run would do.

    Attributes:
        marked: Memories that are no longer recalled; `undo` brings them back until they are purged.
        purged: Memories whose content was erased.
        alarms: Scopes that came near a cap, or passed it, for a person.
        freed: Bytes that the file became smaller.
        dry_run: Whether nothing was changed.
    """

    marked: tuple[Removal, ...] = ()
    purged: tuple[Removal, ...] = ()
    alarms: tuple[str, ...] = ()
    freed: int = 0
    dry_run: bool = False


def worth(record: MemoryRecord, now: float, half_life: float) -> float:
    """What a memory is worth, from 0 to 1: its importance, halved while it is not used.

    ``importance * 2 ** (-idle / (half_life * (1 + uses)))``, where ``idle`` is the time since it
    was last recalled, or else remembered. That is the forgetting curve of Ebbinghaus as MemoryBank
    uses it (Zhong et al. 2023, arXiv 2305.10250: each recall makes the memory last longer and
    starts its decay anew), weighed by importance as in Generative Agents (Park et al. 2023).

    Args:
        record: The memory.
        now: Seconds since the Unix epoch.
        half_life: Seconds.
    """
    last = record.recorded_at if record.last_used_at is None else record.last_used_at
    halvings = max(0.0, now - last) / (half_life * (1 + record.use_count))
    return record.importance * math.exp2(-halvings)


def plan(conn: sqlite3.Connection, policy: Retention, scope: Scope, now: float) -> Collected:
    """What is to go; reads only. Damaged records stay, for `repair`."""
    expired = _removals(conn, scope, "r.state = 'active' AND r.expires <= ?", now, "expired")
    pushed, alarms = _over_caps(conn, policy, scope, now)
    after = now - policy.grace
    marked_before = "r.state = 'invalidated' AND l.op = 'expire' AND l.at <= ?"
    purged = _removals(conn, scope, marked_before, after, "grace_over")
    if policy.keep_superseded is not None:
        before = now - policy.keep_superseded
        old = "r.state = 'superseded' AND l.at <= ?"
        purged += _removals(conn, scope, old, before, "superseded")
        old = "r.state = 'invalidated' AND l.op <> 'expire' AND l.at <= ?"
        purged += _removals(conn, scope, old, before, "invalidated")
    return Collected((*expired, *pushed), tuple(purged), tuple(alarms), dry_run=True)


def carry_out(conn: sqlite3.Connection, planned: Collected, call: Call) -> None:
    """Mark and purge what was planned in this transaction.

    What is marked for one owner is one batch of the log, so that an `undo` of theirs brings back
    theirs only.
    """
    owners: dict[Scope, list[MemoryRecord]] = {}
    for removal in planned.marked:
        owners.setdefault(removal.record.scope.lasting, []).append(removal.record)
    for records in owners.values():
        invalidate(conn, records, "expire", call)
    forget(conn, [removal.record for removal in planned.purged], call, "purge")


def _removals(
    conn: sqlite3.Connection, scope: Scope, where: str, given: float, reason: Reason
) -> list[Removal]:
    found = in_scopes(conn, [scope], where, [given])
    return [Removal(record, reason) for record, _ in found if record is not None]


@dataclass(slots=True)
class _Owner:
    """What one owner has: active records, and bytes of their text."""

    records: int = 0
    size: int = 0


def _owners(conn: sqlite3.Connection, scope: Scope, now: float) -> dict[Scope, _Owner]:
    condition, given = covered([scope])
    names = ", ".join(f"s.{name}" for name in FIELDS)
    rows = conn.execute(
        f"SELECT {names}, count(*), sum(r.size) FROM memory_record AS r "  # noqa: S608 - our own words
        f"JOIN memory_scope AS s ON s.id = r.scope WHERE ({condition}) AND r.state = 'active' "
        "AND (r.expires IS NULL OR r.expires > ?) GROUP BY s.id ORDER BY s.id",
        (*given, now),
    )
    owners: dict[Scope, _Owner] = {}
    for *values, records, size in rows:
        owner = owners.setdefault(Scope(*values).lasting, _Owner())
        owner.records += records
        owner.size += size
    return owners


def _over_caps(
    conn: sqlite3.Connection, policy: Retention, scope: Scope, now: float
) -> tuple[list[Removal], list[str]]:
    """What the caps push out, the least worth first; and who is near a cap."""
    if policy.max_records is None and policy.max_bytes is None:
        return [], []
    removals: list[Removal] = []
    alarms: list[str] = []
    for whose, owner in _owners(conn, scope, now).items():
        near = [
            f"{name_of(whose)} has {is_} of {cap} {what}"
            for what, is_, cap in (
                ("memories", owner.records, policy.max_records),
                ("bytes of memories", owner.size, policy.max_bytes),
            )
            if cap is not None and is_ >= _ALARM * cap
        ]
        alarms += near
        if near:
            left = partial(_evictable, conn, scope, whose, now)
            removals += _least_worth(left, owner, policy, now)
    return removals, alarms


def _least_worth(
    left: Callable[[], Iterable[MemoryRecord]], owner: _Owner, policy: Retention, now: float
) -> list[Removal]:
    records, size = owner.records, owner.size
    out: list[Removal] = []
    ranked: Sequence[tuple[float, MemoryRecord]] | None = None
    while reason := _passed(policy, records, size):
        if ranked is None:
            ranked = _ranked(left(), policy, now)
        if len(out) == len(ranked):
            break  # only pinned ones are left
        value, record = ranked[len(out)]
        out.append(Removal(record, reason, value))
        records -= 1
        size -= len(record.text.encode("utf-8", "surrogatepass"))
    return out


def _passed(policy: Retention, records: int, size: int) -> Reason | None:
    if policy.max_records is not None and records > policy.max_records:
        return "over_records"
    return "over_bytes" if policy.max_bytes is not None and size > policy.max_bytes else None


def _evictable(
    conn: sqlite3.Connection, scope: Scope, whose: Scope, now: float
) -> Iterator[MemoryRecord]:
    """The active, unpinned records of one owner, as far as the asked scope covers them."""
    where = "r.state = 'active' AND NOT r.pinned AND (r.expires IS NULL OR r.expires > ?)"
    for record, _ in in_scopes(conn, [whose], where, [now]):
        if record is not None and record.scope.lasting == whose and scope.covers(record.scope):
            yield record


def _ranked(
    records: Iterable[MemoryRecord], policy: Retention, now: float
) -> list[tuple[float, MemoryRecord]]:
    valued = [(worth(one, now, policy.half_life), one) for one in records]
    return sorted(valued, key=lambda pair: (pair[0], pair[1].seq))


def name_of(scope: Scope) -> str:
    """A scope in words: ``user=ada agent=x``."""
    named = " ".join(f"{name}={value}" for name, value in scope.named().items())
    return named or "what has no scope"
