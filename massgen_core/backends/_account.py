"""What was used, and what it cost."""

from __future__ import annotations

import threading
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from massgen_core.backends._wrapper import Wrapper
from massgen_core.events import CircuitOpened, Usage, Waiting

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from massgen_core.backends._protocol import Backend, Request
    from massgen_core.events import BackendEvent
    from massgen_core.tokens import Prices


@dataclass(frozen=True, slots=True)
class Account:
    """What was used of one model.

    Attributes:
        backend: Registered name of the backend.
        model: The model's name there.
        requests: Requests that were answered, wholly or in part.
        usage: The sum of what was reported; its cost is that of the requests whose cost is known.
        unpriced: Requests that reported what they used, but whose price is not known.
        unreported: Requests that did not say what they used, such as answers that broke off.
    """

    backend: str
    model: str
    requests: int = 0
    usage: Usage = field(default_factory=lambda: Usage(0, 0, cost=0))
    unpriced: int = 0
    unreported: int = 0

    def plus(self, usage: Usage | None) -> Account:
        """The account with one more request."""
        more = replace(self, requests=self.requests + 1)
        if usage is None:
            return replace(more, unreported=self.unreported + 1)
        unpriced = self.unpriced + (usage.cost is None)
        return replace(more, usage=_sum(self.usage, usage), unpriced=unpriced)


class Accounts:
    """Sums of what was used, by backend and model."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._accounts: dict[tuple[str, str], Account] = {}

    def add(self, backend: str, model: str, usage: Usage | None) -> None:
        """One more request; None if it did not say what it used."""
        key = (backend, model)
        with self._lock:
            self._accounts[key] = self._accounts.get(key, Account(*key)).plus(usage)

    def all(self) -> tuple[Account, ...]:
        """Each that has a request, in the order of the first one."""
        with self._lock:
            return tuple(self._accounts.values())


class Accounted(Wrapper):
    """A backend whose `Usage` has a cost, and is added up.

    Args:
        inner: The backend.
        accounts: Where it is added.
        prices: The prices of a model; None if they are not known.

    Examples:
        >>> import asyncio
        >>> from massgen_core.backends import Request
        >>> from massgen_core.messages import user
        >>> from massgen_core.testing import Answer, ScriptedBackend
        >>> from massgen_core.tokens import ModelCatalogue
        >>> said = Answer("Hi", usage=Usage(1000, 200))
        >>> accounts = Accounts()
        >>> prices = lambda model: ModelCatalogue.shipped().get(model).prices
        >>> backend = Accounted(ScriptedBackend([said]), accounts, prices)
        >>> async def ask():
        ...     request = Request("gpt-4o", (user("Hello"),))
        ...     return [e.cost async for e in backend.stream(request) if isinstance(e, Usage)]
        >>> asyncio.run(ask())
        [4500]
        >>> [(one.model, one.usage.cost) for one in accounts.all()]
        [('gpt-4o', 4500)]
    """

    def __init__(
        self, inner: Backend, accounts: Accounts, prices: Callable[[str], Prices | None]
    ) -> None:
        super().__init__(inner)
        self._accounts = accounts
        self._prices = prices

    async def stream(self, request: Request, /) -> AsyncGenerator[BackendEvent, None]:
        """The events of the wrapped backend, the usage with its cost."""
        used: Usage | None = None
        answered = False
        try:
            async with aclosing(self.inner.stream(request)) as events:
                async for event in events:
                    answered = answered or not isinstance(event, Waiting | CircuitOpened)
                    if isinstance(event, Usage):
                        used = self._priced(event, request.model)
                        yield used
                    else:
                        yield event
        finally:
            if answered:
                self._accounts.add(self.name, request.model, used)

    def _priced(self, usage: Usage, model: str) -> Usage:
        prices = None if usage.cost is not None else self._prices(model)
        return usage if prices is None else replace(usage, cost=prices.of(usage))


def _sum(one: Usage, other: Usage) -> Usage:
    """Both together; a cost that is not known counts nothing."""
    return Usage(
        prompt=one.prompt + other.prompt,
        completion=one.completion + other.completion,
        cached=one.cached + other.cached,
        reasoning=one.reasoning + other.reasoning,
        cache_write=one.cache_write + other.cache_write,
        cost=(one.cost or 0) + (other.cost or 0),
    )
