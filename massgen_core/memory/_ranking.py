"""Ranking the records of a scope."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Doc:
    """What ranking knows of a record."""

    number: int
    text: str
    speaker: str = ""
    thread: str = ""
    session_no: int | None = None
    turn_no: int | None = None
    time: float | None = None


@dataclass(frozen=True, slots=True)
class Ranked:
    """A record with its score."""

    number: int
    score: float
    reasons: Mapping[str, float]


def passage_of(doc: Doc) -> str:
    """The text that is embedded for a record."""
    when = "" if doc.time is None else f"[{datetime.fromtimestamp(doc.time, UTC):%-d %B %Y}] "
    return f"{when}{doc.speaker}: {doc.text}" if doc.speaker else f"{when}{doc.text}"


class ScopeIndex:
    """Records by number, ranked by BM25."""

    def __init__(self) -> None:
        self._terms: dict[int, Counter[str]] = {}
        self._vectors: dict[int, Sequence[float]] = {}

    def __len__(self) -> int:
        return len(self._terms)

    def add(self, doc: Doc, vector: Sequence[float] | None = None) -> None:
        self._terms[doc.number] = Counter(re.findall(r"\w+", f"{doc.speaker} {doc.text}".lower()))
        if vector is not None:
            self._vectors[doc.number] = vector

    def remove(self, number: int) -> None:
        self._terms.pop(number, None)
        self._vectors.pop(number, None)

    def set_vector(self, number: int, vector: Sequence[float]) -> None:
        self._vectors[number] = vector

    def search(
        self,
        query: str,
        *,
        vector: Sequence[float] | None = None,
        extra: Mapping[str, Mapping[int, float]] = {},
        k: int,
    ) -> list[Ranked]:
        words = set(re.findall(r"\w+", query.lower()))
        df = Counter(word for terms in self._terms.values() for word in words if word in terms)
        out = []
        for number, terms in self._terms.items():
            score = sum(
                math.log1p(len(self) / df[word]) * terms[word] / (terms[word] + 0.9)
                for word in words
                if word in terms
            )
            reasons = {"words": score}
            if vector is not None and number in self._vectors:
                reasons["dense"] = sum(
                    map(float.__mul__, map(float, vector), map(float, self._vectors[number]))
                )
            for name, scores in extra.items():
                if number in scores:
                    reasons[name] = 0.3 * scores[number]
            if total := sum(reasons.values()):
                out.append(Ranked(number, total, reasons))
        return sorted(out, key=lambda one: (-one.score, one.number))[:k]
