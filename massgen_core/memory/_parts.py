"""The parts of a text's score: what each adds to each slot, in the order of the slots."""

from __future__ import annotations

import math
from heapq import nsmallest
from itertools import repeat
from operator import add
from typing import TYPE_CHECKING, TypeVar

from massgen_core.memory import _weights as weights
from massgen_core.memory._dates import date_hint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from massgen_core.memory._texts import Texts

T = TypeVar("T")


def by_words(
    texts: Texts, terms: Sequence[str], words: Mapping[int, float], slots: Sequence[int]
) -> dict[str, list[float]]:
    """Parts *text*, *neighbours* and *window*: by the words of a text and of those around it.

    Args:
        texts: The texts.
        terms: Of the query.
        words: What `Texts.matches` found for them.
        slots: What to score.
    """
    back = _all_of(texts.threads.before, slots)
    own, ahead = scores_of(words, slots), scores_of(words, _all_of(texts.threads.after, slots))
    earlier = weights.NEAR, weights.NEAR * (1 + weights.ANSWER)
    near = [
        score * earlier[asks] + following * weights.NEAR
        for score, asks, following in zip(
            scores_of(words, back), _all_of(texts.asks, back), ahead, strict=True
        )
    ]
    highest = max(map(add, near, own), default=0.0)
    around = scores_of(texts.windows(terms, slots), slots)
    return {
        "text": _scaled(own, 1.0, highest),
        "neighbours": _scaled(near, 1.0, highest),
        "window": _scaled(around, weights.WINDOW, max(around, default=0.0)),
    }


def sittings(texts: Texts, slots: Sequence[int], totals: Sequence[float]) -> list[float]:
    """What the best text of its sitting gives each; one that stands alone is its own best."""
    of = _all_of(texts.threads.sitting, slots)
    best: dict[int, float] = {}
    for name, total in zip(of, totals, strict=True):
        if total > best.get(name, 0.0):
            best[name] = total
    return [weights.SITTING * score for score in scores_of(best, of)]


def speakers(texts: Texts, terms: Sequence[str], slots: Sequence[int]) -> list[float]:
    """For the texts of whom the query names; of nobody's texts, for those that have the name.

    Nothing if it names nobody.
    """
    named = texts.known_speakers.named(terms)
    if not named:
        return []
    names = [term for term in terms if texts.known_speakers.named([term])]
    return [
        weights.SPEAKER if name in named or (not name and texts.has(slot, names)) else 0.0
        for name, slot in zip(_all_of(texts.speakers, slots), slots, strict=True)
    ]


def dates(texts: Texts, query: str, slots: Sequence[int]) -> list[float]:
    """For the texts of a month or year that the query names; nothing if it names none."""
    hint = date_hint(query)
    if hint is None:
        return []
    months = _all_of(texts.months, slots)
    return [weights.DATE * (month > 0 and hint.fits(month)) for month in months]


def foreign(texts: Texts, scores: Mapping[int, float]) -> dict[int, float]:
    """What another index says, by slot: the weight for its best, 0 for a score of 0 or its worst.

    An index finds what it takes for relevant, so that the least of its scores is not nothing unless
    it is below 0, as distances are.
    """
    known = {
        texts.slots[number]: score
        for number, score in scores.items()
        if number in texts.slots and math.isfinite(score)
    }
    least, most = min([0.0, *known.values()]), max(known.values(), default=0.0)
    span = most / 2 - least / 2  # halves, as the whole may be more than a float holds
    return {
        slot: weights.STORE * ((score / 2 - least / 2) / span if span > 0 else 1.0)
        for slot, score in known.items()
    }


def best(scores: Mapping[int, float], numbers: Sequence[int], count: int) -> list[int]:
    """The slots with the highest scores above 0; of the same score, those with low numbers."""
    if len(scores) <= count:
        return list(scores)
    limit = sorted(scores.values())[-count]
    above = [slot for slot, score in scores.items() if score > limit]
    level = [slot for slot, score in scores.items() if score == limit]
    return above + nsmallest(count - len(above), level, key=numbers.__getitem__)


def _all_of(values: Sequence[T], slots: Sequence[int]) -> list[T]:
    """Values by slot; without a step of Python for each, as thousands are asked for."""
    return list(map(values.__getitem__, slots))


def scores_of(scores: Mapping[int, float], slots: Sequence[int]) -> list[float]:
    """Scores by slot; 0 for those that have none."""
    return list(map(scores.get, slots, repeat(0.0)))


def _scaled(scores: Sequence[float], weight: float, highest: float) -> list[float]:
    """Scores from 0 to a weight."""
    return [weight * score / highest for score in scores] if highest > 0 else [0.0] * len(scores)
