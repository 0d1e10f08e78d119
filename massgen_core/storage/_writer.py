"""One thread that writes: what is asked for at the same time is committed together."""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from massgen_core.errors import StorageError
from massgen_core.storage._errors import translate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

T = TypeVar("T")

# Bounds the work that one failed commit makes undone; far above what waits during one fsync.
_MAX_GROUP: Final = 256


class _Outcome:
    """What a job returned or raised; entering it catches."""

    __slots__ = ("error", "value")

    def __init__(self) -> None:
        self.value: Any = None
        self.error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self.error = exc
        return True


class _Job:
    """Work, and the future of who waits for it in an event loop.

    A `concurrent.futures.Future` beside that one costs a write some 30 µs more.
    """

    __slots__ = ("_loop", "alone", "fn", "future")

    def __init__(self, fn: Callable[[sqlite3.Connection], Any], *, alone: bool) -> None:
        self.fn = fn
        self.alone = alone
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self._loop.create_future()

    @property
    def wanted(self) -> bool:
        """Whether nobody cancelled it so far."""
        return not self.future.cancelled()

    def call(self, conn: sqlite3.Connection) -> _Outcome:
        with _Outcome() as outcome:
            outcome.value = self.fn(conn)
        return outcome

    def resolve(self, outcome: _Outcome, path: Path) -> None:
        if outcome.error is None:
            self._tell(self.future.set_result, outcome.value)
        else:
            self.fail(outcome.error, path)

    def fail(self, error: BaseException, path: Path) -> None:
        self._tell(self.future.set_exception, translate(error, path))

    def _tell(self, what: Callable[[Any], None], value: object) -> None:
        with suppress(RuntimeError):  # the loop was closed: nobody waits
            self._loop.call_soon_threadsafe(partial(self._end, what, value))

    def _end(self, what: Callable[[Any], None], value: object) -> None:
        if not self.future.done():
            what(value)


class Writer:
    """The thread and its connection. Futures resolve after COMMIT: a result is a durable one.

    Attributes:
        commits: Transactions committed so far.
    """

    def __init__(self, conn: sqlite3.Connection, path: Path) -> None:
        self._conn = conn
        self._path = path
        self._name = str(path)
        self._place = _place(self._name)
        self._process = os.getpid()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._closed = False
        self.commits = 0
        self._thread = threading.Thread(
            target=self._run, name=f"massgen-writer-{path.name}", daemon=True
        )
        self._thread.start()

    def submit(
        self, fn: Callable[[sqlite3.Connection], T], *, alone: bool = False
    ) -> asyncio.Future[T]:
        """Queue `fn`; the future, of the running event loop, has its result once it is on disk.

        Args:
            fn: Runs in the writer's thread, in a savepoint. It runs again if the group it was in
                was lost, so it must keep no state but the connection's.
            alone: Whether it runs by itself, outside any transaction, after all that was queued.

        Raises:
            StorageError: The writer is stopped, or belongs to the process this one was forked from.
        """
        if os.getpid() != self._process:
            raise StorageError(
                f"{str(self._path)!r} was opened by process {self._process}",
                path=str(self._path),
                hint="Open it again after a fork.",
            )
        job = _Job(fn, alone=alone)
        with self._gate:
            if self._closed:
                raise StorageError(
                    f"{str(self._path)!r} is closed",
                    path=str(self._path),
                    hint="Write inside the `async with` block that opened it.",
                )
            self._jobs.put(job)
        return job.future

    def stop(self) -> None:
        """Let the thread end after what is queued; does not wait."""
        with self._gate:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)

    def join(self) -> None:
        """Stop, and wait until all that was queued is on disk and the connection is closed."""
        self.stop()
        self._thread.join()

    def _run(self) -> None:
        going = True
        try:
            while going:
                group, alone, going = self._next()
                if group:
                    self._commit(group)
                if alone is not None and alone.wanted:
                    alone.resolve(alone.call(self._conn), self._path)
        finally:
            self._conn.close()

    def _next(self) -> tuple[list[_Job], _Job | None, bool]:
        """The jobs of the next commit, the one to run alone after it, and whether to go on."""
        group: list[_Job] = []
        while True:
            job = self._jobs.get()
            if job is None:
                return group, None, False
            if job.alone:
                return group, job, True
            if job.wanted:
                group.append(job)
            if len(group) >= _MAX_GROUP or self._jobs.empty():
                return group, None, True

    def _commit(self, group: list[_Job]) -> None:
        """Commit the group; if it is lost as a whole, each job once more by itself."""
        lost = self._moved() or self._attempt(group)
        if lost is None:
            return
        if len(group) > 1 and not _is_busy(lost):
            for job in group:
                self._commit([job])
        else:
            for job in group:
                job.fail(lost, self._path)

    def _ended(self) -> StorageError:
        return StorageError(
            f"a write to {str(self._path)!r} ended its transaction by itself",
            path=str(self._path),
            hint="Neither COMMIT nor ROLLBACK belongs into what is given to write().",
        )

    def _moved(self) -> StorageError | None:
        """Why a commit would not last: it would go to a file that no longer has this name."""
        if _place(self._name) == self._place:
            return None
        return StorageError(
            f"{str(self._path)!r} was removed or replaced while it was open; nothing was written",
            path=str(self._path),
            hint="Put the file back, or open the new one.",
        )

    def _attempt(self, group: list[_Job]) -> BaseException | None:
        """Run the group in one transaction; what made it be rolled back, None if it is on disk."""
        conn = self._conn
        outcomes = []
        try:
            conn.execute("BEGIN IMMEDIATE")
            for job in group:
                outcome = _in_savepoint(conn, job) if len(group) > 1 else job.call(conn)
                if not conn.in_transaction:  # a full disk rolls back everything at once
                    return outcome.error or self._ended()
                outcomes.append(outcome)
            if len(group) == 1 and outcomes[0].error is not None:
                return outcomes[0].error
            conn.execute("COMMIT")
        except (sqlite3.Error, UnicodeDecodeError) as exc:
            return exc
        finally:
            with suppress(sqlite3.Error):  # a disk that fails: the next one tries again
                if conn.in_transaction:
                    conn.execute("ROLLBACK")
        self.commits += 1
        for job, outcome in zip(group, outcomes, strict=True):
            job.resolve(outcome, self._path)
        return None


def _place(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - at each commit, and twice as fast as Path.stat
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _in_savepoint(conn: sqlite3.Connection, job: _Job) -> _Outcome:
    conn.execute("SAVEPOINT job")
    outcome = job.call(conn)
    if conn.in_transaction:
        if outcome.error is not None:
            conn.execute("ROLLBACK TO job")
        conn.execute("RELEASE job")
    return outcome


def _is_busy(error: BaseException) -> bool:
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_BUSY
