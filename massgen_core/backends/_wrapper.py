"""What wrappers of backends share: all but the stream is the wrapped backend's own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from massgen_core.backends._protocol import Backend, Caps, CountsTokens
from massgen_core.clock import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from massgen_core.errors import BackendError


@dataclass(frozen=True, slots=True)
class Timing:
    """Time and chance for what waits, so that tests can move them.

    Attributes:
        clock: Tells the time.
        sleep: Waits for some seconds.
        random: A number from 0 to 1, 1 excluded.
    """

    clock: Clock = SYSTEM_CLOCK
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    random: Callable[[], float] = random.random


class Wrapper:
    """A backend around a backend; what it does to the stream is for subclasses.

    Args:
        inner: The wrapped backend.
    """

    def __init__(self, inner: Backend) -> None:
        self.inner = inner
        if isinstance(inner, CountsTokens):  # on the object: it is a `CountsTokens` only then
            self.count_tokens = inner.count_tokens

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.inner!r}>"

    @property
    def name(self) -> str:
        """The name of the wrapped backend."""
        return self.inner.name

    async def caps(self, model: str, /) -> Caps:
        """What the wrapped backend says."""
        return await self.inner.caps(model)

    def classify(self, error: BaseException, /) -> BackendError:
        """What the wrapped backend says."""
        return self.inner.classify(error)

    async def aclose(self) -> None:
        """Closes the wrapped backend."""
        await self.inner.aclose()
