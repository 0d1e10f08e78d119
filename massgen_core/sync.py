"""Long-term memory for scripts without ``async``: the same calls, which return when they are done.

A `SyncMemory` runs a `Memory` in an event loop of its own thread, so that it works in a script, in
a notebook, in several threads at once, and where another loop runs, which waits meanwhile. Each
method takes and returns what the method of that name of `Memory` does.
"""

from __future__ import annotations

import asyncio
import os
import threading
import warnings
from contextlib import ExitStack
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, Final, Generic, ParamSpec, Self, TypeVar

from massgen_core import longterm
from massgen_core.errors import InvalidArgument, StorageError
from massgen_core.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from pathlib import Path
    from types import TracebackType

__all__ = ["SyncMemory", "open_memory"]

P = ParamSpec("P")
T = TypeVar("T")


class _Sync(Generic[P, T]):
    """A method of `SyncMemory` that runs one of `Memory` to its end."""

    def __init__(self, method: Callable[Concatenate[Memory, P], Coroutine[Any, Any, T]]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, instance: SyncMemory, owner: object = None) -> Callable[P, T]:
        if instance is None:  # asked of the class: a function that says what it is
            return self._method  # type: ignore[unreachable]
        method = self._method

        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return instance._run(lambda memory: method(memory, *args, **kwargs))  # noqa: SLF001

        return update_wrapper(call, method)


class SyncMemory:
    """A `Memory` that is used without ``await``; `open_memory` makes it.

    Examples:
        >>> import tempfile
        >>> from massgen_core.sync import open_memory
        >>> with tempfile.TemporaryDirectory() as folder, open_memory(folder) as memory:
        ...     record = memory.remember("I am allergic to nuts.", scope={"user": "ada"})
        ...     [hit.record.text for hit in memory.recall("nuts?", scope={"user": "ada"})]
        ['I am allergic to nuts.']
    """

    remember = _Sync(Memory.remember)
    remember_many = _Sync(Memory.remember_many)
    recall = _Sync(Memory.recall)
    get = _Sync(Memory.get)
    update = _Sync(Memory.update)
    invalidate = _Sync(Memory.invalidate)
    history = _Sync(Memory.history)
    undo = _Sync(Memory.undo)
    forget = _Sync(Memory.forget)
    stats = _Sync(Memory.stats)
    explain = _Sync(Memory.explain)
    timeline = _Sync(Memory.timeline)
    report_html = _Sync(Memory.report_html)
    gc = _Sync(Memory.gc)
    compact = _Sync(Memory.compact)
    reindex = _Sync(Memory.reindex)
    work = _Sync(Memory.work)
    waiting = _Sync(Memory.waiting)
    rest = _Sync(Memory.rest)
    consolidate = _Sync(Memory.consolidate)
    settle = _Sync(Memory.settle)
    verify = _Sync(Memory.verify)
    repair = _Sync(Memory.repair)
    snapshot = _Sync(Memory.snapshot)
    snapshots = _Sync(Memory.snapshots)
    restore = _Sync(Memory.restore)
    rewind = _Sync(Memory.rewind)
    export = _Sync(Memory.export)
    import_ = _Sync(Memory.import_)
    import_from = _Sync(Memory.import_from)
    marker = _Sync(Memory.marker)
    set_marker = _Sync(Memory.set_marker)
    grant = _Sync(Memory.grant)
    revoke = _Sync(Memory.revoke)
    grants = _Sync(Memory.grants)

    def __init__(self, opening: Callable[[], Awaitable[Memory]]) -> None:
        thread = _Thread()
        with ExitStack() as undo:
            undo.callback(thread.stop)
            self._memory = thread.run(opening)
            undo.pop_all()
        self._thread: _Thread | None = thread

    @property
    def path(self) -> Path:
        """The database file."""
        return self._memory.path

    def work_later(self) -> None:
        """Starts `work` in the background; see `Memory.work_later`."""

        async def start(memory: Memory) -> None:
            memory.work_later()

        self._run(start)

    def close(self) -> None:
        """Finishes what was asked for and closes everything; more calls do nothing."""
        thread, self._thread = self._thread, None
        if thread is not None:
            try:
                thread.run(self._memory.aclose)
            finally:
                thread.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        thread = getattr(self, "_thread", None)
        if thread is not None:
            warnings.warn("a memory was never closed", ResourceWarning, stacklevel=2, source=self)
            thread.stop()

    def _run(self, work: Callable[[Memory], Awaitable[T]]) -> T:
        if self._thread is None:
            raise StorageError(
                f"{str(self.path)!r} is closed",
                path=str(self.path),
                hint="Use it inside the `with` block that opened it.",
            )
        return self._thread.run(lambda: work(self._memory))


class _Thread:
    """An event loop that runs in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._process = os.getpid()
        self._thread = threading.Thread(
            target=_serve, args=(self._loop,), name="massgen-sync", daemon=True
        )
        self._thread.start()

    def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """What the work returns; cancelled if the caller is interrupted meanwhile."""
        if threading.current_thread() is self._thread:
            raise InvalidArgument(
                "a memory cannot be asked from inside itself, e.g. in `told` or by its embedder",
                hint="Note what is to be done, and do it when the call has returned.",
            )
        if os.getpid() != self._process:
            raise InvalidArgument(
                f"the memory was opened by process {self._process}", hint="Open it after a fork."
            )

        async def awaited() -> T:
            return await work()

        future = asyncio.run_coroutine_threadsafe(awaited(), self._loop)
        try:
            return future.result()
        finally:
            future.cancel()  # which does nothing to one that is done

    def stop(self) -> None:
        """Lets the thread end; does not wait for what it still does."""
        if os.getpid() == self._process:
            self._loop.call_soon_threadsafe(self._loop.stop)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    """Runs the loop until it is stopped, and then what its generators and threads want to end."""
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def _synchronous(opener: Callable[P, Awaitable[Memory]]) -> Callable[P, SyncMemory]:
    def opened(*args: P.args, **kwargs: P.kwargs) -> SyncMemory:
        return SyncMemory(lambda: opener(*args, **kwargs))

    return update_wrapper(opened, opener)


open_memory: Final = _synchronous(longterm.open_memory)
"""The long-term memory at a path, for ``with``; arguments and errors of `longterm.open_memory`.

Examples:
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, open_memory(folder) as memory:
    ...     _ = memory.remember("The cat is called Miau.", scope={"user": "ada"})
    ...     len(memory.recall("cat", scope={"user": "ada"}))
    1
"""
