"""What the suites of memory stores compare a store with: a dict, and queries with known answers."""

from __future__ import annotations

import hashlib
import math
import random
from typing import TYPE_CHECKING, Final

from massgen_core.memory import Change, Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from massgen_core.memory import Candidate, MemoryStore

ADA: Final = Scope(user="ada")

ODD_NAMES: Final = (
    *("ada", "Ada", "ada ", "%", "a%", "_", "_da", "*", "a*", "?", "'", '"', "' OR '1'='1", "\\"),
    *("a\0b", "a\0", "\n", "ä", "a\u0308", "\u0430da", "ﬁ", "fi", "日本", "🦊", "None", "null"),
    *("0", "false", "[]", "{}", "$and", "a/b", "..", "a b", "x" * 300),
)
"""Names that a store which matches, escapes, folds or trims would take for another."""

ODD_TEXTS: Final = (
    *("plain words", "  ", "\0", "a\0b", "<|endoftext|>", "' OR 1=1 --", "%_*", "e\u0301", "ﬁ"),
    *(
        "日本語",
        "שלום",
        "🦊🦊",
        "\ud800",
        "line\nline\r\n",
        "x" * 20_000,
        "{}",
        "null",
        "\u202etxet",
    ),
)


def toy_vector(text: str, dimensions: int) -> list[float]:
    """A vector of length 1 that only this text has; it says nothing of the meaning."""
    seed = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    rng = random.Random(seed)  # noqa: S311 - not a secret
    raw = [rng.gauss(0, 1) for _ in range(dimensions)]
    length = math.sqrt(sum(value * value for value in raw))
    return [value / length for value in raw]


class Model:
    """The truth: what a store was told, and what it must find.

    Args:
        dimensions: Of the vectors.
    """

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions
        self.log: list[Change] = []
        self.records: dict[str, Change] = {}

    def put(self, record: str, text: str, scope: Scope = ADA, *, gap: int = 1) -> Change:
        """A record is new, or says something else now."""
        vector = toy_vector(text, self.dimensions)
        return self.note(Change(self._next(gap), "put", record, scope, text, vector))

    def remove(self, record: str, *, gap: int = 1) -> Change:
        """A record is gone; nothing happens to one that never was there."""
        before = self.records.get(record)
        scope = before.scope if before else ADA
        return self.note(Change(self._next(gap), "remove", record, scope))

    def fill(self, many: int, *, start: int = 0, scope: Scope = ADA) -> list[Change]:
        """Many records with a text each."""
        return [self.put(f"r{n}", f"memory number{n}", scope) for n in range(start, start + many)]

    def note(self, change: Change) -> Change:
        """Takes over a change."""
        self.log.append(change)
        if change.op == "put":
            self.records[change.record_id] = change
        else:
            self.records.pop(change.record_id, None)
        return change

    def within(self, scope: Scope) -> set[str]:
        """The records of a scope."""
        return {name for name, change in self.records.items() if scope.covers(change.scope)}

    @property
    def seq(self) -> int:
        """Number of the last change."""
        return self.log[-1].seq if self.log else 0

    def _next(self, gap: int) -> int:
        return self.seq + gap


async def ask(store: MemoryStore, change: Change, scope: Scope, k: int = 10) -> list[Candidate]:
    """What a search for exactly this text and vector finds."""
    return list(await store.search(change.text, change.vector, scope, k))


async def names(store: MemoryStore, change: Change, scope: Scope) -> list[str]:
    """Which records a search for exactly this text and vector finds, best first."""
    return [hit.record_id for hit in await ask(store, change, scope, 100)]


async def recover(store: MemoryStore, log: Sequence[Change], *, batch: int = 20) -> None:
    """What the core does when it opens a store: empties a sick one, applies what it lacks."""
    if not (await store.health()).ok:
        await store.rebuild()
    done = await store.watermark()
    rest = [change for change in log if change.seq > done]
    for start in range(0, len(rest), batch):
        await store.apply(rest[start : start + batch])


async def faults(store: MemoryStore, model: Model) -> list[str]:
    """What the store finds that it must not, or does not find; each record is searched for."""
    found = [await _faults_of(store, model, change) for change in model.records.values()]
    told = [line for lines in found for line in lines]
    gone = [c for c in model.log if c.op == "put" and c.record_id not in model.records]
    for change in gone:
        hits = await ask(store, change, change.scope)
        told += outsiders(model, hits, change.scope)
    return told


async def _faults_of(store: MemoryStore, model: Model, change: Change) -> list[str]:
    hits = await ask(store, change, change.scope)
    told = outsiders(model, hits, change.scope)
    best = max((hit.score for hit in hits), default=-math.inf)
    mine = [hit.score for hit in hits if hit.record_id == change.record_id]
    if not mine:
        told.append(f"{change.record_id!r} is not found by its own text and vector")
    elif mine[0] < best - 1e-4 and _alone(model, change):
        told.append(f"{change.record_id!r} is not the best hit for its own text and vector")
    return told


def _alone(model: Model, change: Change) -> bool:
    same = [one for one in model.records.values() if one.text == change.text]
    return len(same) == 1


def outsiders(model: Model, hits: Iterable[Candidate], scope: Scope) -> list[str]:
    """Complaints about hits that are not in the scope, come twice, or are out of order."""
    allowed, seen = model.within(scope), list[str]()
    told, last = list[str](), math.inf
    for hit in hits:
        if hit.record_id not in allowed:
            told.append(f"{hit.record_id!r} is found, but is not in {scope}")
        if hit.record_id in seen:
            told.append(f"{hit.record_id!r} is found twice")
        if not math.isfinite(hit.score) or hit.score > last:
            told.append(f"{hit.record_id!r} with the score {hit.score} is out of order")
        seen.append(hit.record_id)
        last = hit.score
    return told
