"""What a memory is made of: counts, growth, what is there twice, what nobody uses, its weight."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from massgen_core.memory._access import sees
from massgen_core.memory._record import STANDING, MemoryRecord
from massgen_core.memory._scope import FIELDS, Scope
from massgen_core.memory._similar import groups
from massgen_core.memory._table import covered, in_scopes

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence


_STALE: Final = 90 * 86_400.0
"""Seconds after which a memory that was never recalled is called stale."""
_TOP: Final = 10
_RECALLS: Final = "recalls"
_ANSWERED: Final = "recalls answered"


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is.

    Attributes:
        records: Memories.
        size: Bytes of their text.
    """

    records: int
    size: int


@dataclass(frozen=True, slots=True)
class DiskUse:
    """What the database file holds, in bytes; sessions in the same file count in `file`.

    Attributes:
        records: Memories in it, of all scopes and in whatever state.
        file: All pages of the file.
        free: Pages in it that hold nothing.
        log: Bodies and short texts of the log, every revision.
        texts: Long texts that memory refers to, compressed; sessions may refer to them as well.
        vectors: Vectors of all embedders.
    """

    records: int
    file: int
    free: int
    log: int
    texts: int
    vectors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryStats:
    """What a memory, or a scope of it, is made of. "Now" is when it was asked for.

    Attributes:
        at: Now, in seconds since the Unix epoch.
        active: Memories that are active, and bytes of their text.
        by_state: How many there are in each state.
        by_kind: Active memories by kind.
        by_scope: Active memories by exact scope, the largest first.
        days: Memories by the day (ISO date, UTC) they came in on; days without any are left out.
        weeks: The same by week (ISO date of its Monday).
        duplicates: Ids of active memories of one owner and kind whose text is the same, byte by
            byte.
        near_duplicates: The same for texts that differ in case, punctuation, or a few words more.
        stale: Ids of active memories older than 90 days that were never recalled.
        top_used: The memories that were recalled most, with how often; without what is always
            recalled.
        recalls: Recalls of the whole memory so far.
        answered: Recalls that found something beside what is always there.
        waiting: Memories that wait for extraction.
        given_up: Memories whose extraction failed too often.
        disk: What the file weighs.
    """

    at: float
    active: Size
    by_state: Mapping[str, int]
    by_kind: Mapping[str, int]
    by_scope: Mapping[Scope, Size]
    days: Mapping[str, int]
    weeks: Mapping[str, int]
    duplicates: tuple[tuple[str, ...], ...]
    near_duplicates: tuple[tuple[str, ...], ...]
    stale: tuple[str, ...]
    top_used: tuple[tuple[MemoryRecord, int], ...]
    recalls: int
    answered: int
    waiting: int
    given_up: int
    disk: DiskUse

    @property
    def hit_rate(self) -> float | None:
        """Share of recalls that found something; None if nothing was ever asked."""
        return self.answered / self.recalls if self.recalls else None

    @property
    def bytes_per_record(self) -> float | None:
        """Bytes of log, texts and vectors per memory of the whole file; None without any."""
        records = self.disk.records
        weight = self.disk.log + self.disk.texts + self.disk.vectors
        return weight / records if records else None


def stats(
    conn: sqlite3.Connection, scope: Scope, now: float, *, principal: str | None, gave_up: int
) -> MemoryStats:
    """The statistics of what a scope covers; `disk` and recalls are those of the whole file.

    Args:
        conn: The database.
        scope: What counts.
        now: Seconds since the Unix epoch.
        principal: Who asks: lists have what it may see, counts have everything.
        gave_up: Tries after which extraction gives up.
    """
    found = in_scopes(conn, [scope], "r.state = 'active'")
    active = [one for one, _ in found if one is not None and sees(principal, one)]
    by_scope = _by_scope(conn, scope)
    days = _days(conn, scope)
    waiting, given_up = _outbox(conn, scope, gave_up)
    recalls, answered = recall_counts(conn)
    return MemoryStats(
        at=now,
        active=Size(
            sum(one.records for one in by_scope.values()),
            sum(one.size for one in by_scope.values()),
        ),
        by_state=_counts(conn, scope, "state"),
        by_kind=_counts(conn, scope, "kind", "r.state = 'active'"),
        by_scope=by_scope,
        days=days,
        weeks=_weeks(days),
        duplicates=_exact(active),
        near_duplicates=_near(active),
        stale=tuple(
            one.id for one in active if not one.use_count and one.recorded_at < now - _STALE
        ),
        top_used=_top(active),
        recalls=recalls,
        answered=answered,
        waiting=waiting,
        given_up=given_up,
        disk=_disk(conn),
    )


def count_recalls(conn: sqlite3.Connection, recalls: int, answered: int) -> None:
    """Add to the counts of recalls."""
    for key, more in ((_RECALLS, recalls), (_ANSWERED, answered)):
        conn.execute(
            "INSERT INTO memory_meta VALUES (?1, ?2) ON CONFLICT (key) "
            "DO UPDATE SET value = CAST(value AS INTEGER) + ?2",
            (key, more),
        )


def recall_counts(conn: sqlite3.Connection) -> tuple[int, int]:
    """Recalls so far, and how many of them found something."""
    query = "SELECT total(CAST(value AS INTEGER)) FROM memory_meta WHERE key = ?"
    recalls, answered = (conn.execute(query, (key,)).fetchone()[0] for key in (_RECALLS, _ANSWERED))
    return int(recalls), int(answered)


def _counts(
    conn: sqlite3.Connection, scope: Scope, column: str, where: str = "1"
) -> dict[str, int]:
    condition, given = covered([scope])
    return dict(
        conn.execute(
            f"SELECT r.{column}, count(*) FROM memory_record AS r "  # noqa: S608 - our own words
            f"JOIN memory_scope AS s ON s.id = r.scope WHERE ({condition}) AND {where} "
            "GROUP BY 1 ORDER BY 2 DESC, 1",
            given,
        ).fetchall()
    )


def _by_scope(conn: sqlite3.Connection, scope: Scope) -> dict[Scope, Size]:
    condition, given = covered([scope])
    names = ", ".join(f"s.{name}" for name in FIELDS)
    rows = conn.execute(
        f"SELECT count(*), sum(r.size), {names} FROM memory_record AS r "  # noqa: S608 - our own words
        f"JOIN memory_scope AS s ON s.id = r.scope WHERE ({condition}) AND r.state = 'active' "
        "GROUP BY s.id ORDER BY 2 DESC, s.id",
        given,
    )
    return {Scope(*values): Size(records, size) for records, size, *values in rows}


def _days(conn: sqlite3.Connection, scope: Scope) -> dict[str, int]:
    """By the log: the entry that created a record has its number. Purged ones count as well."""
    condition, given = covered([scope])
    rows = conn.execute(
        "SELECT date(l.at, 'unixepoch'), count(*) FROM memory_record AS r "  # noqa: S608 - our own words
        "JOIN memory_scope AS s ON s.id = r.scope JOIN memory_log AS l ON l.seq = r.number "
        f"WHERE {condition} GROUP BY 1 ORDER BY 1",
        given,
    )
    return {day: count for day, count in rows if day is not None}


def _weeks(days: Mapping[str, int]) -> dict[str, int]:
    weeks: dict[str, int] = defaultdict(int)
    for day, count in days.items():
        date = datetime.fromisoformat(day).replace(tzinfo=UTC)
        weeks[(date - timedelta(days=date.weekday())).date().isoformat()] += count
    return dict(weeks)


def _exact(active: Sequence[MemoryRecord]) -> tuple[tuple[str, ...], ...]:
    found: dict[object, list[str]] = defaultdict(list)
    for one in active:
        found[one.scope.lasting, one.kind, one.content_hash].append(one.id)
    return tuple(tuple(ids) for ids in found.values() if len(ids) > 1)


def _near(active: Iterable[MemoryRecord]) -> tuple[tuple[str, ...], ...]:
    """Groups of texts that say the same and are not all equal."""
    found = groups(((one.scope.lasting, one.kind), one) for one in active)
    return tuple(
        tuple(one.id for one in group)
        for group in found
        if len({one.content_hash for one in group}) > 1
    )


def _top(active: Iterable[MemoryRecord]) -> tuple[tuple[MemoryRecord, int], ...]:
    used = sorted(
        (one for one in active if one.use_count and not (one.pinned and one.kind in STANDING)),
        key=lambda one: (-one.use_count, one.seq),
    )
    return tuple((one, one.use_count) for one in used[:_TOP])


def _outbox(conn: sqlite3.Connection, scope: Scope, gave_up: int) -> tuple[int, int]:
    condition, given = covered([scope])
    row = conn.execute(
        "SELECT total(o.tries < ?), total(o.tries >= ?) FROM memory_outbox AS o "  # noqa: S608 - our own words
        "JOIN memory_record AS r ON r.number = o.record "
        f"JOIN memory_scope AS s ON s.id = r.scope WHERE {condition}",
        (gave_up, gave_up, *given),
    ).fetchone()
    return int(row[0]), int(row[1])


def _disk(conn: sqlite3.Connection) -> DiskUse:
    def one(query: str) -> int:
        return int(conn.execute(query).fetchone()[0] or 0)

    page = one("PRAGMA page_size")
    return DiskUse(
        records=one("SELECT count(*) FROM memory_record"),
        file=page * one("PRAGMA page_count"),
        free=page * one("PRAGMA freelist_count"),
        log=one(
            "SELECT sum(coalesce(length(CAST(body AS BLOB)), 0) + "
            "coalesce(length(CAST(text AS BLOB)), 0) + length(digest) + length(hash) + "
            "length(actor) + length(op) + 48) FROM memory_log"  # six numbers of up to 8 bytes
        ),
        texts=one(
            "SELECT sum(length(data)) FROM blob WHERE id IN (SELECT blob FROM blob_ref "
            "WHERE owner = (SELECT id FROM owner WHERE name = 'memory'))"
        ),
        vectors=one("SELECT sum(length(data)) FROM memory_vector"),
    )
