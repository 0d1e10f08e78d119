"""Running what strategies bring along for a bounded time, whatever it does."""

from __future__ import annotations

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
_SLACK: Final = 3.0
"""Seconds besides, until a thread is given up in which a cancelled coroutine did not end."""


class Running:
    """A call in a thread of its own, which is given up, not stopped, if it takes too long.

    Args:
        call: What to run; it sees the context variables of the caller.
        deliver: Is given what it returned or raised, in that thread.

    Attributes:
        thread: The thread; a daemon, so that the process can end without it.
    """

    def __init__(self, call: Callable[[], object], deliver: Callable[[object], None]) -> None:
        context = copy_context()

        def run() -> None:
            try:
                outcome = context.run(call)
            except Exception as exc:  # noqa: BLE001 - the strategy fence
                outcome = exc
            except BaseException as exc:  # noqa: BLE001 - it would end this thread only
                outcome = RuntimeError(f"{type(exc).__name__}: {exc}")
            deliver(outcome)

        self.thread = Thread(target=run, name="massgen-strategy", daemon=True)
        self.thread.start()


def call_within(
    seconds: float, call: Callable[[], object], lost: Callable[[Thread], None] | None = None
) -> object:
    """What `call` returns, or the exception it raised; a TimeoutError if it takes too long.

    Args:
        seconds: How long to wait.
        call: Run in a thread of its own.
        lost: Told of the thread if it is given up.
    """
    outcomes: SimpleQueue[object] = SimpleQueue()
    try:
        running = Running(call, outcomes.put)
    except RuntimeError as exc:  # no thread can be started
        return exc
    try:
        return outcomes.get(timeout=seconds)
    except Empty:
        if lost is not None:
            lost(running.thread)
        return took_too_long(seconds)


async def call_within_async(
    seconds: float, call: Callable[[], object], lost: Callable[[Thread], None]
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

    try:
        running = Running(call, deliver)
    except RuntimeError as exc:
        return exc
    done, _ = await asyncio.wait({future}, timeout=seconds)
    if done:
        return future.result()
    lost(running.thread)
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


def produced_sync(request: Replace, seconds: float) -> Outcome:
    """As `produced`, without a running loop; a thread is given up that blocks."""

    def run() -> Outcome:
        if not request.price:  # no model is asked: most likely nothing is awaited at all
            try:
                return _without_loop(request)
            except RuntimeError:
                pass
        import asyncio  # noqa: PLC0415 - see above

        return asyncio.run(produced(request, seconds))

    outcome = call_within(seconds + _SLACK, run)
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
