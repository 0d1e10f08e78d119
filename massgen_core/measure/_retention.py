"""Retention: what of the things an agent is about to use is still in the fitted context.

Nobody judges: the atoms in the agent's next tool calls were needed, because it did use them. The
whole history would score 100 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Final, NamedTuple

from massgen_core.errors import ContextOverflowError
from massgen_core.measure._atoms import needed, surroundings
from massgen_core.measure._subject import said, unpaired

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from massgen_core.measure._subject import Fitter
    from massgen_core.measure._transcripts import Transcript
    from massgen_core.messages import Message

_LONG: Final = 60
"""A session of more turns than this is cut where it is long already, at most `_CUTS` times."""

_CUTS: Final = 12
_CALLS_OF_SESSION: Final = 10
_CALLS_OF_EPISODE: Final = 2
_FIRST_OF_EPISODE: Final = 8
_LEAST: Final = 3
"""A cut with fewer atoms than this says nothing."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How much survives a budget; shares are means over the cuts, from 0 to 1.

    Attributes:
        budget: Tokens; below or at 1 a share of the history.
        cuts: At how many places histories were cut and fitted.
        retained: Share of the needed atoms that are in the fitted context.
        in_context: The same, of those that are there with 25 original characters around them.
        user_text: Share of what users said that is there word by word.
        system_text: Share of the lines of the system prompt that are there: who drops it has more
            room for the rest.
        used: Share of the budget that is used.
        over: How many fitted contexts are over the budget by a recount.
        unpaired: In how many a call or a result stands alone.
        errors: How many fits gave up.
    """

    budget: float
    cuts: int
    retained: float
    in_context: float
    user_text: float
    system_text: float
    used: float
    over: int
    unpaired: int
    errors: int


class _Cut(NamedTuple):
    transcript: Transcript
    length: int
    tokens: int
    needed: dict[str, list[str]]
    by_user: list[str]
    by_system: list[str]


class _Score(NamedTuple):
    retained: float
    in_context: float
    user_text: float
    system_text: float
    used: float | None
    over: bool
    unpaired: bool


def retention(
    fitter: Fitter,
    transcripts: Sequence[Transcript],
    budgets: Iterable[float],
    *,
    progress: Callable[[], None] = lambda: None,
) -> tuple[Retention, ...]:
    """What survives each budget; one fit per cut that is larger than the budget.

    Args:
        fitter: What is measured.
        transcripts: Real ones.
        budgets: Tokens; below or at 1 a share of the history.
        progress: Called after each fit.
    """
    cuts = [cut for one in transcripts for cut in _cuts(one)]
    return tuple(_at(fitter, cuts, budget, progress) for budget in budgets)


def is_long(transcript: Transcript) -> bool:
    """Whether it is a session that outgrows windows, not an episode of a few turns."""
    return len(_turns(transcript.messages)) > _LONG


def tokens_of(budget: float, history: int) -> int:
    """A budget as tokens, if it is a share of a history."""
    return int(budget) if budget > 1 else max(1, int(budget * history))


def _turns(messages: Sequence[Message]) -> list[int]:
    """Where an answer begins that does not wait for a result."""
    return [
        index
        for index, message in enumerate(messages)
        if message.role == "assistant" and index and not messages[index - 1].calls
    ]


def _cuts(transcript: Transcript) -> Iterator[_Cut]:
    messages = transcript.messages
    turns, calls = _turns(messages), _CALLS_OF_SESSION
    if is_long(transcript):
        places = turns[_LONG :: max(1, len(turns) // (_CUTS + 1))][:_CUTS]
    else:
        calls = _CALLS_OF_EPISODE
        acting = [index for index, message in enumerate(messages) if message.calls]
        places = [index for index in acting if index > _FIRST_OF_EPISODE][-2:]
    for place in places:
        found = needed(messages, place, calls)
        if len(found) >= _LEAST:
            history = "\n".join(map(said, messages[:place]))
            by_user = [m.text for m in messages[:place] if m.role == "user" and m.text]
            rules = "\n".join(m.text for m in messages[:place] if m.role == "system")
            around = {atom: surroundings(history, atom) for atom in found}
            tokens = sum(transcript.counts[:place])
            yield _Cut(transcript, place, tokens, around, by_user, rules.splitlines())


def _at(
    fitter: Fitter, cuts: Iterable[_Cut], budget: float, progress: Callable[[], None]
) -> Retention:
    scores = []
    for cut in cuts:
        limit = tokens_of(budget, cut.tokens)
        if cut.tokens > limit:
            scores.append(_score(fitter, cut, limit))
            progress()
    return Retention(
        budget,
        len(scores),
        _mean(score.retained for score in scores),
        _mean(score.in_context for score in scores),
        _mean(score.user_text for score in scores),
        _mean(score.system_text for score in scores),
        _mean(score.used for score in scores if score.used is not None),
        sum(score.over for score in scores),
        sum(score.unpaired for score in scores),
        sum(score.used is None for score in scores),
    )


def _score(fitter: Fitter, cut: _Cut, limit: int) -> _Score:
    try:
        messages = fitter.fitted(cut.transcript, cut.length, limit)
    except ContextOverflowError:
        return _Score(0, 0, 0, 0, None, over=False, unpaired=False)
    context = "\n".join(map(said, messages))
    tokens = fitter.tokens(messages)
    there = sum(atom in context for atom in cut.needed)
    whole = sum(any(each in context for each in around) for around in cut.needed.values())
    return _Score(
        there / len(cut.needed),
        whole / len(cut.needed),
        _verbatim(cut.by_user, context),
        _verbatim(cut.by_system, context),
        tokens / limit,
        over=tokens > limit,
        unpaired=unpaired(messages) > 0,
    )


def _verbatim(texts: Sequence[str], context: str) -> float:
    """Share of the texts, by characters, that are in the context; all of none."""
    whole = sum(map(len, texts))
    return sum(len(text) for text in texts if text in context) / whole if whole else 1.0


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return round(fmean(known), 4) if known else 0.0
