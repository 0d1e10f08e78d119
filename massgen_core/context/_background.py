"""Texts made while the turn goes on: begun before the view is full, used if still true then."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from massgen_core.context._bounded import produced

if TYPE_CHECKING:
    from massgen_core.context._plan import Outcome, Produced, Replace
    from massgen_core.context._view import View


class Draft(NamedTuple):
    """A text that is worth making ahead.

    Attributes:
        at: The place in the chain of the strategy that proposed it.
        strategy: Its name.
        operation: What is to be done once it is made.
    """

    at: int
    strategy: str
    operation: Replace


class Prepared:
    """A text in the making, or made: a task on the running loop.

    Args:
        draft: What to make.
        view: The view it is made for.
        seconds: How long that may take.

    Attributes:
        at: The place in the chain of the strategy that proposed it.
        strategy: Its name.
    """

    def __init__(self, draft: Draft, view: View, seconds: float) -> None:
        import asyncio  # noqa: PLC0415 - 30 ms that few sync users need

        self.at, self.strategy, self._operation = draft
        last = max(self._operation.groups)
        self._prefix = tuple([group for group in view if group.number <= last])
        self._text: asyncio.Task[Outcome] = asyncio.create_task(
            produced(self._operation, seconds), name="massgen-background"
        )

    @property
    def made(self) -> bool:
        """Whether nothing is to be waited for any more."""
        return self._text.done()

    def holds(self, view: View) -> bool:
        """Whether what it is made from still is the beginning of the view, group by group."""
        if len(view) < len(self._prefix):
            return False
        return all(group is view[index] for index, group in enumerate(self._prefix))

    def operation(self) -> Replace:
        """What is to be done with it, once it is made; it fails as the making did."""

        async def produce() -> str | Produced:
            cancelled = self._text.cancelled()
            outcome = RuntimeError("it was cancelled") if cancelled else self._text.result()
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        return replace(self._operation, produce=produce)

    def cancel(self) -> None:
        """Stops it, if it still runs."""
        if not self._text.done() and not self._text.get_loop().is_closed():
            self._text.cancel()

    async def stop(self) -> None:
        """As `cancel`; it has ended when this returns."""
        import asyncio  # noqa: PLC0415 - see above

        self.cancel()
        if self._text.get_loop() is asyncio.get_running_loop():
            await asyncio.wait({self._text})
