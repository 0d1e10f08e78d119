"""Running what strategies bring along for a bounded time, whatever it does."""

from __future__ import annotations

from contextlib import suppress
from contextvars import copy_context
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Final

from massgen_core.context._plan import Produced

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from massgen_core.context._plan import Outcome, Replace

_GRACE: Final = 1.0
"""Seconds that a cancelled coroutine has to end."""
_IDLE: Final = 1.0
"""Seconds that a thread waits for the next call."""
_SLACK: Final = 3.0
"""Seconds besides, until a thread is given up in which a cancelled coroutine did not end."""


class Running:
    """A call that was handed to a thread, which is given up, not stopped, if it takes too long.

    Args:
        call: What to run; it sees the context variables of the caller.
        deliver: Is given what it returned or raised, in that thread.

    Attributes:
        over: Whether it ended, be it after it was given up.
    """

    def __init__(self, call: Callable[[], object], deliver: Callable[[object], None]) -> None:
        self.over = False
        self._call, self._deliver = call, deliver
        self._context = copy_context()

    def run(self, ended: Callable[[], None]) -> None:
        """Runs it; `ended` is called before what came of it is delivered."""
        try:
            outcome = self._context.run(self._call)
        except Exception as exc:  # noqa: BLE001 - the strategy fence
            outcome = exc
        except BaseException as exc:  # noqa: BLE001 - it would end this thread only
            outcome = RuntimeError(f"{type(exc).__name__}: {exc}")
        self.over = True
        ended()
        self._deliver(outcome)


class Workers:
    """Threads that run calls for a bounded time.

    To start a thread takes as long as many a plan, so one that is done waits a little for the next
    call. They are daemons, so that the process can end without one that hangs.
    """

    def __init__(self) -> None:
        self._idle: list[_Worker] = []

    def start(self, running: Running) -> None:
        """Hands it to a thread.

        Raises:
            RuntimeError: No thread can be started.
        """
        while self._idle:
            with suppress(IndexError):  # another thread was faster
                worker = self._idle.pop()
                if worker.thread.is_alive():  # it is not in a process that was forked
                    worker.calls.put(running)
                    return
        worker = _Worker(self._idle)
        worker.thread.start()
        worker.calls.put(running)


class _Worker:
    """One thread, and its way back to those that wait for a call."""

    def __init__(self, idle: list[_Worker]) -> None:
        self._idle = idle
        self.calls: SimpleQueue[Running] = SimpleQueue()
        self.thread = Thread(target=self._work, name="massgen-strategy", daemon=True)

    def _work(self) -> None:
        while True:
            try:
                self.calls.get(timeout=_IDLE).run(self._wait)
            except Empty:
                try:
                    self._idle.remove(self)
                except ValueError:  # a call is on its way
                    continue
                return

    def _wait(self) -> None:
        self._idle.append(self)


def call_within(
    workers: Workers,
    seconds: float,
    call: Callable[[], object],
    lost: Callable[[Running], None] | None = None,
) -> object:
    """What `call` returns, or the exception it raised; a TimeoutError if it takes too long.

    Args:
        workers: One of them runs it.
        seconds: How long to wait.
        call: What to run.
        lost: Told of the call if it is given up.
    """
    outcomes: SimpleQueue[object] = SimpleQueue()
    running = Running(call, outcomes.put)
    try:
        workers.start(running)
    except RuntimeError as exc:
        return exc
    try:
        return outcomes.get(timeout=seconds)
    except Empty:
        if lost is not None:
            lost(running)
        return took_too_long(seconds)


async def call_within_async(
    workers: Workers,
    seconds: float,
    call: Callable[[], object],
    lost: Callable[[Running], None],
) -> object:
    """As `call_within`, while the running loop goes on."""
    import asyncio  # noqa: PLC0415 - 30 ms that few sync users need

    loop = asyncio.get_running_loop()
    future: asyncio.Future[object] = loop.create_future()

    def deliver(outcome: object) -> None:
        try:
            loop.call_soon_threadsafe(_settle, future, outcome)
        except RuntimeError:  # the loop was closed: nobody waits
            return

    running = Running(call, deliver)
    try:
        workers.start(running)
    except RuntimeError as exc:
        return exc
    done, _ = await asyncio.wait({future}, timeout=seconds)
    if done:
        return future.result()
    lost(running)
    return took_too_long(seconds)


async def produced(request: Replace, seconds: float) -> Outcome:
    """The text of a `Replace`, or why there is none; within `seconds`, unless it blocks the loop.

    Raises:
        CancelledError: The caller was cancelled; the text's own cancellation is an outcome.
    """
    import asyncio  # noqa: PLC0415 - see above

    task = asyncio.ensure_future(_produce(request))
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=_GRACE)
    if not done:
        return took_too_long(seconds)
    return RuntimeError("it was cancelled") if task.cancelled() else task.result()


def produced_sync(workers: Workers, request: Replace, seconds: float) -> Outcome:
    """As `produced`, without a running loop; a thread is given up that blocks."""

    def run() -> Outcome:
        if not request.price:  # no model is asked: most likely nothing is awaited at all
            try:
                return _without_loop(request)
            except RuntimeError:
                pass
        import asyncio  # noqa: PLC0415 - see above

        return asyncio.run(produced(request, seconds))

    outcome = call_within(workers, seconds + _SLACK, run)
    if isinstance(outcome, (str, Produced, Exception)):
        return outcome
    raise AssertionError(outcome)  # `run` returns nothing else


def took_too_long(seconds: float) -> TimeoutError:
    """The error of what was given up."""
    return TimeoutError(f"it took more than {seconds:g} seconds")


def _settle(future: asyncio.Future[object], outcome: object) -> None:
    if not future.done():
        future.set_result(outcome)


async def _produce(request: Replace) -> Outcome:
    try:
        made: object = await request.produce()
        text = made.text if isinstance(made, Produced) else made
        if isinstance(made, (str, Produced)) and isinstance(text, str):
            return made
        return TypeError(f"{type(text).__name__}, expected text")
    except Exception as exc:  # noqa: BLE001 - the strategy fence
        return exc


def _without_loop(request: Replace) -> Outcome:
    """The text, if it is made without waiting for anything.

    Raises:
        RuntimeError: It needs an event loop.
    """
    work = _produce(request)
    try:
        work.send(None)
    except StopIteration as done:
        if isinstance(done.value, RuntimeError):  # "no running event loop", or its own
            raise done.value from None
        return done.value  # type: ignore[no-any-return]  # a coroutine's return value is untyped here
    work.close()
    raise RuntimeError("it waits")
