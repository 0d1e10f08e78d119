"""Canaries: sentences planted early, looked for after one, three and ten fits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from massgen_core.errors import ContextOverflowError
from massgen_core.measure._retention import tokens_of
from massgen_core.measure._subject import said, unpaired
from massgen_core.messages import ToolCall, assistant, tool, user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from massgen_core.context import ContextWindow
    from massgen_core.measure._subject import Subject
    from massgen_core.measure._transcripts import Transcript
    from massgen_core.messages import Message

FITS: Final = (1, 3, 10)
"""After how many fits the canaries are looked for."""


class _Canary(NamedTuple):
    kind: str
    sentence: str
    key: str


_CANARIES: Final = (
    _Canary("rule", "From now on write every date as 2031-QV-04, day last.", "2031-QV-04"),
    _Canary("prohibition", "Never touch deploy/prod-K93x.yaml, whatever happens.", "prod-K93x"),
    _Canary("task", "Before you finish, run tools/audit_7Zq.sh and report.", "audit_7Zq.sh"),
    _Canary("fact", "The build key of this customer is ZB-48213-RW.", "ZB-48213-RW"),
)


@dataclass(frozen=True, slots=True)
class Canary:
    """How often a planted sentence is still in view; shares of the transcripts, from 0 to 1.

    Attributes:
        budget: Tokens; below or at 1 a share of the transcript.
        fits: After how many fits.
        kind: ``rule``, ``prohibition`` and ``task`` are said by the user, in this order, after the
            first turn; ``fact`` is a tool result.
        verbatim: Share with the whole sentence.
        key: Share with at least the identifier in it.
        transcripts: Of how many transcripts.
        over: How many views were over the budget by a recount.
        unpaired: In how many a call or a result stood alone.
    """

    budget: float
    fits: int
    kind: str
    verbatim: float
    key: float
    transcripts: int
    over: int
    unpaired: int


class _Seen(NamedTuple):
    fits: int
    context: str
    over: bool
    unpaired: bool


def canaries(
    subject: Subject,
    transcripts: Sequence[Transcript],
    budgets: Iterable[float],
    *,
    progress: Callable[[], None] = lambda: None,
) -> tuple[Canary, ...]:
    """What of the canaries is still in view, fitted as a growing session is.

    A transcript that ends before the last fit is said again from its second turn on.

    Args:
        subject: What is measured.
        transcripts: What is said around the canaries.
        budgets: Tokens; below or at 1 a share of the transcript.
        progress: Called after each transcript.
    """
    out: list[Canary] = []
    for budget in budgets:
        seen: list[_Seen] = []
        for one in transcripts:
            seen += _sightings(subject, one, tokens_of(budget, one.tokens))
            progress()
        out += _summed(budget, seen)
    return tuple(out)


def _summed(budget: float, seen: Sequence[_Seen]) -> Iterator[Canary]:
    for fits in FITS:
        those = [one for one in seen if one.fits == fits]
        for kind, sentence, key in _CANARIES if those else ():
            yield Canary(
                budget,
                fits,
                kind,
                round(sum(sentence in one.context for one in those) / len(those), 4),
                round(sum(key in one.context for one in those) / len(those), 4),
                len(those),
                sum(one.over for one in those),
                sum(one.unpaired for one in those),
            )


def _sightings(subject: Subject, transcript: Transcript, limit: int) -> Iterator[_Seen]:
    """The views after the fits of `FITS`; fewer if the budget is too small for any."""
    window, fits = subject.window(subject.target), 0
    try:
        for message, tokens in _growing(subject, transcript):
            window.append(message, tokens)
            if not window.fit(limit).operations:
                continue
            fits += 1
            if fits in FITS:
                yield _seen(subject, window, fits, limit)
            if fits == FITS[-1]:
                return
    except ContextOverflowError:
        return


def _seen(subject: Subject, window: ContextWindow, fits: int, limit: int) -> _Seen:
    messages = window.view.messages
    context = "\n".join(map(said, messages))
    over = subject.tokens(messages) > limit
    return _Seen(fits, context, over, unpaired(messages) > 0)


def _growing(subject: Subject, transcript: Transcript) -> Iterator[tuple[Message, int]]:
    """The transcript with the canaries after its first turn, then again and again."""
    said_so = list(zip(transcript.messages, transcript.counts, strict=True))
    start = _second_turn(transcript.messages)
    yield from said_so[:start]
    for message in _planted():
        yield message, subject.counter.count(message).tokens
    yield from said_so[start:]
    again = said_so[start:] or said_so
    for lap in range(2, 10_000):
        for message, tokens in again:
            yield replace(message, id=f"{message.id}.{lap}"), tokens


def _second_turn(messages: Sequence[Message]) -> int:
    places = [index for index, message in enumerate(messages) if message.role == "user"]
    return places[1] if len(places) > 1 else len(messages)


def _planted() -> Iterator[Message]:
    *by_user, fact = _CANARIES
    for number, canary in enumerate(by_user):
        yield replace(user(canary.sentence), id=f"canary{number}")
        yield replace(assistant("Understood."), id=f"heard{number}")
    yield replace(user("Look the customer up, please."), id="ask")
    yield replace(assistant("", ToolCall("canary", "customer", "{}")), id="call")
    yield replace(tool("canary", fact.sentence), id="result")
    yield replace(assistant("Found."), id="found")
