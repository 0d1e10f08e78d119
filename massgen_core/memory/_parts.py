"""The parts of a text's score: each maps slots to what it adds."""

from __future__ import annotations

import math
from heapq import nlargest, nsmallest
from typing import TYPE_CHECKING

from massgen_core.memory import _weights as weights
from massgen_core.memory._dates import date_hint

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from massgen_core.memory._texts import Texts

    Scores = Mapping[int, float]


def by_words(
    texts: Texts, terms: Sequence[str], words: Scores, slots: Collection[int]
) -> dict[str, Scores]:
    """Parts *text*, *neighbours* and *window*: by the words of a text and of those around it.

    Args:
        texts: The texts.
        terms: Of the query.
        words: What `Texts.matches` found for them.
        slots: What to score.
    """
    before, after = texts.threads.before, texts.threads.after
    near = {}
    for slot in slots:
        earlier = words.get(before[slot], 0.0) * (1 + weights.ANSWER * texts.asks[before[slot]])
        near[slot] = weights.NEAR * (earlier + words.get(after[slot], 0.0))
    highest = max((near[slot] + words.get(slot, 0.0) for slot in slots), default=0.0)
    return {
        "text": scaled({slot: words[slot] for slot in slots if slot in words}, 1.0, highest),
        "neighbours": scaled(near, 1.0, highest),
        "window": scaled(texts.windows(terms, slots), weights.WINDOW),
    }


def sittings(texts: Texts, totals: Scores) -> dict[int, float]:
    """What the best text of its sitting gives each; one that stands alone is its own best."""
    sitting, best = texts.threads.sitting, dict[int, float]()
    for slot, total in totals.items():
        if total > best.get(sitting[slot], 0.0):
            best[sitting[slot]] = total
    return {slot: weights.SITTING * best.get(sitting[slot], 0.0) for slot in totals}


def speakers(texts: Texts, terms: Sequence[str], slots: Collection[int]) -> dict[int, float]:
    """For the texts of whom the query names; of nobody's texts, for those that have the name."""
    named = texts.known_speakers.named(terms)
    if not named:
        return {}
    names = [term for term in terms if texts.known_speakers.named([term])]
    return {
        slot: weights.SPEAKER
        for slot in slots
        if (texts.speakers[slot] in named if texts.speakers[slot] else texts.has(slot, names))
    }


def dates(texts: Texts, query: str, slots: Collection[int]) -> dict[int, float]:
    """For the texts of a month or year that the query names."""
    hint = date_hint(query)
    if hint is None:
        return {}
    months = texts.months
    return {slot: weights.DATE for slot in slots if months[slot] > 0 and hint.fits(months[slot])}


def foreign(texts: Texts, scores: Scores) -> dict[int, float]:
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


def scaled(scores: Scores, weight: float, highest: float | None = None) -> dict[int, float]:
    """Scores from 0 to a weight."""
    most = max(scores.values(), default=0.0) if highest is None else highest
    return {slot: weight * score / most for slot, score in scores.items()} if most > 0 else {}


def totals(parts: Iterable[Scores], slots: Collection[int]) -> dict[int, float]:
    """The sum of the parts of each slot."""
    found = dict.fromkeys(slots, 0.0)
    for part in parts:
        for slot, score in part.items():
            found[slot] += score
    return found


def best(scores: Scores, numbers: Sequence[int], count: int) -> list[int]:
    """The slots with the highest scores above 0; of the same score, those with low numbers."""
    if len(scores) <= count:
        return list(scores)
    limit = nlargest(count, scores.values())[-1]
    above = [slot for slot, score in scores.items() if score > limit]
    level = [slot for slot, score in scores.items() if score == limit]
    return above + nsmallest(count - len(above), level, key=numbers.__getitem__)
