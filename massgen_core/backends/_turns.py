"""Lets other work of the event loop come in between when many streams have much to say at once."""

from __future__ import annotations

import asyncio
from typing import Final
from weakref import WeakKeyDictionary

_SLICE: Final = 0.005
"""Seconds of a round of the event loop after which streams take no further event in it."""
_STARTS: Final = 4  # requests that begin in one round: each takes up to a millisecond of CPU


class Turns:
    """Shares rounds of an event loop among streams; one object for all that run at once.

    A chunk that has arrived is read without a pause, and so is the next: a loop with a hundred busy
    streams gets to nothing else for as long as there are chunks.
    """

    def __init__(self) -> None:
        self._rounds: WeakKeyDictionary[asyncio.AbstractEventLoop, Round] = WeakKeyDictionary()

    def here(self) -> Round:
        """The rounds of the running loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._rounds:
            self._rounds[loop] = Round()
        return self._rounds[loop]


class Round:
    """The present round of one event loop."""

    def __init__(self) -> None:
        self._begun = 0.0
        self._starts = 0
        self._ends = False

    async def start(self) -> None:
        """Returns when a request may begin."""
        while self._starts >= _STARTS:
            await self.next()
        self._starts += 1
        self._end_soon()

    def is_over(self, now: float) -> bool:
        """Whether the next event should wait for the next round.

        Args:
            now: The loop's time.
        """
        return now - self._begun > _SLICE

    async def next(self) -> None:
        """Returns in the next round."""
        self._end_soon()
        await asyncio.sleep(0)

    def _end_soon(self) -> None:
        if not self._ends:
            self._ends = True
            asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        self._begun = asyncio.get_running_loop().time()
        self._starts = 0
        self._ends = False
