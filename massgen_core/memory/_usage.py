"""How often memories were recalled: statistics beside the ledger, not part of it."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from massgen_core.errors import StorageError
from massgen_core.memory._stats import count_recalls

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from massgen_core.memory._hits import Hit
    from massgen_core.storage import Database

_KEPT: Final = 256
"""Memories whose uses are kept before they are written: what a kill may take."""


class Usage:
    """Counts uses, and writes them down together: they are worth no wait for the disk."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counts: dict[int, int] = {}
        self._last: dict[int, float] = {}
        self._recalls = 0
        self._answered = 0

    async def count(self, hits: Sequence[Hit], now: float) -> None:
        """Counts a recall, and one use of each memory that was recalled.

        A recall is answered if it found something beside what is always there.
        """
        for hit in hits:
            number = hit.record.seq
            self._counts[number] = self._counts.get(number, 0) + 1
            self._last[number] = now
        self._recalls += 1
        self._answered += any("pinned" not in hit.reasons for hit in hits)
        if len(self._counts) >= _KEPT or self._recalls >= _KEPT:
            with suppress(StorageError):  # a recall needs no room on the disk; they are kept
                await self.flush()

    async def flush(self) -> None:
        """Writes down what was counted.

        Raises:
            StorageError: It cannot be written; it is counted on.
        """
        counts, self._counts = self._counts, {}
        last, self._last = self._last, {}
        asked = self._recalls, self._answered
        self._recalls = self._answered = 0
        if not asked[0] or self._database.read_only:
            return
        rows = [(number, times, last[number]) for number, times in counts.items()]
        try:
            await self._database.write(partial(_add, rows=rows, asked=asked))
        except StorageError:
            for number, times in counts.items():
                self._counts[number] = self._counts.get(number, 0) + times
            self._last = last | self._last
            self._recalls += asked[0]
            self._answered += asked[1]
            raise


def _add(
    conn: sqlite3.Connection, rows: Sequence[tuple[int, int, float]], asked: tuple[int, int]
) -> None:
    count_recalls(conn, *asked)
    conn.executemany(
        "INSERT INTO memory_usage SELECT ?1, ?2, ?3 "
        "WHERE EXISTS (SELECT 1 FROM memory_record WHERE number = ?1 AND state <> 'tombstone') "
        "ON CONFLICT (record) DO UPDATE SET uses = uses + ?2, used = max(used, ?3)",
        rows,
    )
