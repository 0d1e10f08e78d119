"""A few connections that read beside the writer, so that no read waits for a disk flush."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

T = TypeVar("T")

# SQLite reads mostly in memory and under the GIL: more threads only wait for each other.
_THREADS: Final = 4


class Readers:
    """A pool of threads with a connection each, opened on first use."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], name: str) -> None:
        self._connect = connect
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"massgen-reader-{name}")
        self._idle: list[sqlite3.Connection] = []
        self._gate = threading.Lock()

    def submit(self, fn: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Run `fn` in one read transaction: it sees the same state from begin to end."""
        return self._pool.submit(self._call, fn)

    def close(self) -> None:
        """Wait for the reads that were asked for and close the connections."""
        self._pool.shutdown(wait=True)
        self.drop()

    def drop(self) -> None:
        """Close the connections that nobody uses; does not wait."""
        self._pool.shutdown(wait=False)
        with self._gate:
            idle, self._idle = self._idle, []
        for conn in idle:
            conn.close()

    def _call(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        with self._borrowed() as conn:
            conn.execute("BEGIN")
            return fn(conn)

    @contextmanager
    def _borrowed(self) -> Iterator[sqlite3.Connection]:
        with self._gate:
            conn = self._idle.pop() if self._idle else None
        conn = conn or self._connect()
        try:
            yield conn
        finally:
            if conn.in_transaction:
                conn.execute("ROLLBACK")
            with self._gate:
                self._idle.append(conn)
