"""The cost of requests where providers cache the beginning of prompts.

Each turn of a session is one request. What it has in common with the beginning of the one before is
read from the cache at a tenth of the price; the rest is written to it at 1.25 of the price
(Anthropic, "Prompt caching", the five-minute cache).
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Final, NamedTuple

from massgen_core.errors import ContextOverflowError
from massgen_core.measure._retention import tokens_of
from massgen_core.measure._subject import unpaired

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from massgen_core.context import Group, View
    from massgen_core.measure._subject import Subject
    from massgen_core.measure._transcripts import Transcript
    from massgen_core.messages import Message

_READ: Final = 0.1
_WRITTEN: Final = 1.25

TARGETS: Final = (0.9, 0.7, 0.6, 0.5)
"""Low-water marks that are tried."""


@dataclass(frozen=True, slots=True)
class CacheCost:
    """What a session costs at a low-water mark.

    Attributes:
        transcript: The session.
        budget: Tokens; below or at 1 a share of the session.
        target: Share of the budget that a fit aims for.
        turns: How many requests.
        mean_tokens: Mean size of a request.
        cached: Share of all tokens that are read from the cache.
        breaks: How often the beginning changed.
        cost: Mean cost of a request, in tokens at the full price.
        relative_cost: Cost against trimming just enough before each request; below 1 is cheaper.
        over: How many requests are over the budget by a recount.
        unpaired: In how many a call or a result stands alone.
    """

    transcript: str
    budget: float
    target: float
    turns: int
    mean_tokens: int
    cached: float
    breaks: int
    cost: int
    relative_cost: float
    over: int
    unpaired: int


@dataclass(frozen=True, slots=True)
class Bill:
    """What the requests of a session cost.

    Attributes:
        turns: How many requests.
        tokens: Of all requests.
        cached: Of them, read from the cache.
        breaks: How often the beginning changed.
    """

    turns: int
    tokens: int
    cached: int
    breaks: int

    @property
    def cost(self) -> float:
        """Of all requests, in tokens at the full price."""
        return _READ * self.cached + _WRITTEN * (self.tokens - self.cached)


class _Sent(NamedTuple):
    """A request and how many violations it has."""

    messages: Sequence[Message]
    over: bool = False
    unpaired: bool = False


def billed(
    requests: Iterable[Sequence[Message]], tokens: Callable[[Iterable[Message]], int]
) -> Bill:
    """What the requests of a session cost, in the order in which they are sent.

    Args:
        requests: The messages of each.
        tokens: The size of messages.
    """
    turns = total = cached = breaks = 0
    before: Sequence[Message] = ()
    for request in requests:
        same = _common(before, request)
        turns += 1
        total += tokens(request)
        cached += tokens(request[:same])
        breaks += bool(before) and same < len(before)
        before = request
    return Bill(turns, total, cached, breaks)


def cache_costs(
    subject: Subject,
    transcripts: Iterable[Transcript],
    budgets: Iterable[float],
    *,
    targets: Iterable[float] = TARGETS,
    progress: Callable[[], None] = lambda: None,
) -> tuple[CacheCost, ...]:
    """What each session costs, per budget and low-water mark.

    A budget that does not hold even the system prompt is left out.

    Args:
        subject: What is measured.
        transcripts: Real sessions.
        budgets: Tokens; below or at 1 a share of the session.
        targets: Low-water marks.
        progress: Called after each session.
    """
    marks, sizes = tuple(targets), tuple(budgets)
    out = []
    for transcript in transcripts:
        for budget in sizes:
            limit = tokens_of(budget, transcript.tokens)
            plain = billed(_trimmed(subject, transcript, limit), subject.tokens)
            for target in marks:
                try:
                    sent = list(_requests(subject, transcript, limit, target))
                except ContextOverflowError:
                    continue
                bill = billed((one.messages for one in sent), subject.tokens)
                out.append(_cost(transcript.name, budget, target, sent, bill, plain))
            progress()
    return tuple(out)


def _cost(
    name: str, budget: float, target: float, sent: Sequence[_Sent], bill: Bill, plain: Bill
) -> CacheCost:
    turns = max(1, bill.turns)
    return CacheCost(
        name,
        budget,
        target,
        bill.turns,
        bill.tokens // turns,
        round(bill.cached / max(1, bill.tokens), 4),
        bill.breaks,
        round(bill.cost / turns),
        round(bill.cost / max(1, plain.cost), 4),
        sum(one.over for one in sent),
        sum(one.unpaired for one in sent),
    )


def _views(
    subject: Subject, transcript: Transcript, limit: int | None, target: float
) -> Iterator[View]:
    """The view at the beginning of each turn; never fitted without a limit."""
    window = subject.window(target)
    before = None
    for message, tokens in zip(transcript.messages, transcript.counts, strict=True):
        if message.role == "assistant" and before is not None and not before.calls:
            if limit is not None:
                window.fit(limit)
            yield window.view
        window.append(message, tokens)
        before = message


def _requests(
    subject: Subject, transcript: Transcript, limit: int, target: float
) -> Iterator[_Sent]:
    checked = None
    for view in _views(subject, transcript, limit, target):
        messages = view.messages
        over = unfit = False
        if view is not checked:
            over, unfit = subject.tokens(messages) > limit, unpaired(messages) > 0
        yield _Sent(messages, over, unfit)
        checked = view


def _trimmed(subject: Subject, transcript: Transcript, limit: int) -> Iterator[Sequence[Message]]:
    """The requests of a window that is trimmed just enough: head, and the newest that fit."""
    for view in _views(subject, transcript, None, 1.0):
        groups = tuple(view)
        head = _head(groups)
        room = limit - sum(group.tokens for group in groups[:head])
        sums = list(accumulate((group.tokens for group in groups[head:]), initial=0))
        first = head + bisect_left(sums, sums[-1] - room)
        kept = groups[:head] + groups[max(head, first) :]
        yield list(chain.from_iterable(group.messages for group in kept))


def _head(groups: Sequence[Group]) -> int:
    """How many groups the system prompts and the task are."""
    count = 0
    while count < len(groups) and groups[count].role == "system":
        count += 1
    return count + (count < len(groups) and groups[count].role == "user")


def _common(one: Sequence[Message], other: Sequence[Message]) -> int:
    count = 0
    for a, b in zip(one, other, strict=False):
        if a is not b and a != b:
            break
        count += 1
    return count
