"""What is measured: a chain of strategies in an engine; and what must hold of every view."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from massgen_core.context import ContextEngine, ContextWindow, TruncationStrategy
from massgen_core.messages import Message
from massgen_core.tokens import TokenCounter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from massgen_core.measure._transcripts import Transcript


class Fitter(Protocol):
    """Whatever makes messages fit: a `Subject`, or the trimmer of another library.

    What keeps the newest message that fits, and no more:

        >>> from massgen_core.errors import ContextOverflowError
        >>> from massgen_core.measure import edges
        >>> class Newest:
        ...     def fitted(self, history, length, budget):
        ...         newest = [history.messages[length - 1]]
        ...         if self.tokens(newest) > budget:
        ...             raise ContextOverflowError("too long", limit=budget, used=0)
        ...         return newest
        ...
        ...     def tokens(self, messages):
        ...         return sum(len(message.text) // 4 for message in messages)
        >>> next(edge.error for edge in edges(Newest()) if edge.error)
        'ContextOverflowError'
    """

    def fitted(self, history: Transcript, length: int, budget: int) -> Sequence[Message]:
        """The first `length` messages, made to fit.

        Raises:
            ContextOverflowError: It gives up.
        """
        ...

    def tokens(self, messages: Iterable[Message]) -> int:
        """The size of messages, by a recount."""
        ...


@dataclass(frozen=True, slots=True)
class Subject:
    """The strategies under measurement.

    Attributes:
        strategies: Asked in this order.
        counter: Counts tokens.
        target: Share of the budget that fits of a growing conversation aim for.
    """

    strategies: tuple[TruncationStrategy, ...]
    counter: TokenCounter
    target: float = 0.6
    _counted: dict[int, tuple[Message, int]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def window(self, target: float) -> ContextWindow:
        """An empty conversation."""
        return ContextWindow(ContextEngine(self.strategies, self.counter, target=target))

    def fitted(self, history: Transcript, length: int, budget: int) -> list[Message]:
        """The first `length` messages, made to fit by one fit.

        Raises:
            ContextOverflowError: What may not be cut is larger than `budget`.
        """
        window = self.window(1.0)
        for message, tokens in zip(history.messages[:length], history.counts, strict=False):
            window.append(message, tokens)
        window.fit(budget)
        return window.view.messages

    def tokens(self, messages: Iterable[Message]) -> int:
        """The size of messages, counted by what they are now and not by what the engine kept.

        The same message object is counted once.
        """
        return sum(map(self._count, messages))

    def _count(self, message: Message) -> int:
        known = self._counted.get(id(message))
        if known is None:
            known = self._counted[id(message)] = message, self.counter.count(message).tokens
        return known[1]


def said(message: Message) -> str:
    """All text of a message: what is said, results, and arguments of calls on their own lines."""
    text = message.text + "".join(result.text for result in message.results)
    return "\n".join([text, *(call.arguments for call in message.calls)])


def unpaired(messages: Sequence[Message]) -> int:
    """How many results have no call before them, and calls no result; the newest may wait."""
    waiting: Counter[str] = Counter()
    orphans = 0
    for message in messages:
        for result in message.results:
            if waiting[result.call_id]:
                waiting[result.call_id] -= 1
            else:
                orphans += 1
        waiting.update(call.id for call in message.calls)
    pending = _pending(messages)
    return orphans + sum((waiting - pending).values())


def _pending(messages: Sequence[Message]) -> Counter[str]:
    """Calls of the last assistant message, if only results follow it."""
    last = next((m for m in reversed(messages) if m.role != "tool"), None)
    return Counter(call.id for call in last.calls) if last is not None else Counter()
