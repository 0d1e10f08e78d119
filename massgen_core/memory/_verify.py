"""Checking the ledger: every hash, the chain, and whether the tables say what the log says."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from massgen_core.memory._access import damaged_grants
from massgen_core.memory._log import GENESIS, chained, entries
from massgen_core.memory._scope import Scope, is_text
from massgen_core.memory._table import row_of, row_sum

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from massgen_core.memory._log import Entry

_ROW: Final = (
    "SELECT number, id, log, rev, state, kind, scope, pinned, expires, size, content, sum "
    "FROM memory_record"
)
_NAMES: Final = (
    *("number", "id", "log", "rev", "state", "kind", "scope"),
    *("pinned", "expires", "size", "content", "sum"),
)
_MOST: Final = 20
"""Lines of SQLite's own check that are reported."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong on disk.

    Attributes:
        place: Where: ``file``, ``log 12``, ``record ID``, ``vector 7``, ``grants``, ``index NAME``.
        what: What, for a person.
        lost: Whether content is lost; what is not lost `repair` makes again.
    """

    place: str
    what: str
    lost: bool = False


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """What a check found.

    Attributes:
        entries: Log entries that were checked.
        records: Records that were checked.
        problems: All that is wrong, in order of place.
        unchecked: Indexes that were not looked at, because another process has them open.
    """

    entries: int
    records: int
    problems: tuple[Problem, ...] = ()
    unchecked: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify(conn: sqlite3.Connection) -> MemoryReport:
    """What is wrong with the ledger; damage is reported, never raised.

    Raises:
        sqlite3.DatabaseError: The file is damaged so far that tables cannot be read.
    """
    problems = list(_of_file(conn))
    newest: dict[int, Entry] = {}
    count = 0
    for entry, problem in chain(conn):
        count += 1
        newest[entry.record] = entry
        if problem is not None:
            problems.append(problem)
    newest.pop(0, None)  # where an entry was lost, and repair said so
    problems += _of_table(conn, newest)
    problems += _of_vectors(conn)
    if count_ := damaged_grants(conn):
        what = f"{count_} do not match their checksum, and give no right"
        problems.append(Problem("grants", what, lost=True))
    return MemoryReport(count, len(newest), tuple(problems))


def chain(conn: sqlite3.Connection) -> Iterator[tuple[Entry, Problem | None]]:
    """Every entry of the log with what is wrong with it or its place, oldest first."""
    prev, expected = GENESIS, 1
    for entry in entries(conn):
        yield entry, _of_entry(entry, prev, expected)
        prev = entry.hash
        expected = entry.seq + 1


def _of_entry(entry: Entry, prev: bytes, expected: int) -> Problem | None:
    place = f"log {entry.seq}"
    if entry.seq != expected:
        return Problem(place, f"entries {expected} to {entry.seq - 1} are missing", lost=True)
    if not entry.erased and isinstance(wrong := entry.content(), str):
        return Problem(place, wrong, lost=True)
    try:
        intact = chained(prev, entry) == entry.hash
    except (struct.error, TypeError, AttributeError):  # a column changed its type
        intact = False
    return None if intact else Problem(place, "it does not follow the entry before it")


def _of_file(conn: sqlite3.Connection) -> Iterator[Problem]:
    for (line,) in conn.execute(f"PRAGMA integrity_check({_MOST})"):
        if line != "ok":
            yield Problem("file", line)


def _of_table(conn: sqlite3.Connection, newest: dict[int, Entry]) -> Iterator[Problem]:
    """Where the table of records does not say what the newest entries of the log say."""
    scopes = _scope_numbers(conn)
    seen: set[int] = set()
    for row in conn.execute(_ROW):
        seen.add(row[0])
        entry = newest.get(row[0])
        sound = row[-1] == row_sum(row[:-1])
        if entry is None:
            yield Problem(f"record {row[1]}", "the log does not know it", lost=sound)
            continue
        if sound and row[2] > entry.seq:
            what = f"its newest revision, entry {row[2]} of the log, is missing"
            yield Problem(f"record {row[1]}", what, lost=True)
            continue
        record = entry.record_or_damage()
        if isinstance(record, str):
            continue  # reported with its entry
        expected = row_of(record, entry.seq, scopes.get(record.scope, 0))
        wrong = [name for name, is_, must in zip(_NAMES, row, expected, strict=True) if is_ != must]
        if wrong:
            yield Problem(f"record {record.id}", f"{', '.join(wrong)}: not what the log says")
    for number in sorted(newest.keys() - seen, key=repr):  # damaged ones are no numbers
        yield Problem(f"record number {number}", "the table does not have it")


def _scope_numbers(conn: sqlite3.Connection) -> dict[Scope, int]:
    rows = conn.execute("SELECT id, tenant, team, user, agent, session, run FROM memory_scope")
    return {Scope(*values): number for number, *values in rows if all(map(is_text, values))}


def _of_vectors(conn: sqlite3.Connection) -> Iterator[Problem]:
    for record, data, sum_ in conn.execute("SELECT record, data, sum FROM memory_vector"):
        if not isinstance(data, bytes) or zlib.crc32(data) != sum_:
            yield Problem(f"vector {record}", "it does not match its checksum")
