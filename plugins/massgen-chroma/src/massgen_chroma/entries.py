"""What is in a collection: one entry per record, with its scope and a checksum.

Vectors are scaled to length 1 here and compared by their inner product, which then is the cosine:
Chroma gives back exactly the bytes it was given, so that a checksum can tell damage.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from massgen_core.memory import Candidate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from chromadb.api.models.Collection import Collection
    from chromadb.api.types import Where

    from massgen_core.memory import Change, Scope

Vector: TypeAlias = NDArray[np.float32]
"""Of length 1."""
SCOPE: Final = ("tenant", "team", "user", "agent", "session", "run")
_CHECK: Final = "check"
_PAGE: Final = 1000
"""Entries that are read at once."""
_SMALL: Final = 100
"""Entries up to which all are compared: a few milliseconds, and nothing is missed."""


def unit(vector: Sequence[float] | None) -> Vector | None:
    """The vector with length 1; None if there is none, or it has no direction or no finite one."""
    if vector is None or len(vector) == 0:
        return None
    exact = np.asarray(vector, np.float64)
    largest = float(np.max(np.abs(exact)))
    if not np.isfinite(largest) or largest == 0:
        return None
    scaled = exact / largest  # squares of huge numbers overflow, of tiny ones they vanish
    return (scaled / np.linalg.norm(scaled)).astype(np.float32)


def put(collection: Collection, entries: Sequence[tuple[Change, Vector]], most: int) -> None:
    """Adds or replaces the entries, at most `most` at once."""
    for batch in _parts(entries, most):
        collection.upsert(
            ids=[change.record_id for change, _ in batch],
            embeddings=[vector for _, vector in batch],
            metadatas=[_metadata(change.scope, vector) for change, vector in batch],
        )


def remove(collection: Collection, ids: Sequence[str], most: int) -> None:
    """Removes the entries that are there."""
    for batch in _parts(ids, most):
        collection.delete(ids=list(batch))


def held(collection: Collection, ids: Sequence[str], most: int) -> int:
    """How many of the entries are there."""
    found = (collection.get(ids=list(batch), include=[]) for batch in _parts(ids, most))
    return sum(len(one["ids"]) for one in found)


def find(collection: Collection, vector: Vector, scope: Scope, k: int) -> list[Candidate]:
    """The `k` nearest entries of the scope; the score is the cosine.

    Where vectors are alike, as those of "Thanks!" are, or were often replaced, Chroma's graph of
    neighbours may have no way to some. In a small collection, and if the graph finds too few, the
    entries of the scope are compared one by one, `_PAGE` of them at most.
    """
    where = _where(scope)
    scores: dict[str, float] = {}
    if collection.count() > _SMALL:
        found = collection.query(
            query_embeddings=[vector.tolist()], n_results=k, where=where, include=["distances"]
        )
        ids, distances = found["ids"][0], (found["distances"] or [[]])[0]
        scores = {name: 1.0 - far for name, far in zip(ids, distances, strict=True)}
    if len(scores) < k:
        rows = _read(collection, 0, _PAGE, where)
        scores |= {name: float(other @ vector) for name, other, _ in rows}
    hits = [Candidate(name, score) for name, score in scores.items()]
    return sorted(hits, key=lambda hit: (-hit.score, hit.record_id))[:k]


def damaged(collection: Collection) -> str:
    """What is wrong with the entries, all of them read; nothing if nothing is."""
    pages = range(0, collection.count(), _PAGE)
    return next(filter(None, (_damage(_read(collection, n, _PAGE)) for n in pages)), "")


def sampled(collection: Collection, offset: int, many: int = 8) -> str:
    """What is wrong with a few entries."""
    return _damage(_read(collection, offset, many))


_Row: TypeAlias = "tuple[str, Vector, Mapping[str, Any]]"


def _read(collection: Collection, offset: int, many: int, where: Where | None = None) -> list[_Row]:
    include: list[Any] = ["embeddings", "metadatas"]
    got = collection.get(limit=many, offset=offset, where=where, include=include)
    vectors, metadatas = got["embeddings"], got["metadatas"]
    if vectors is None or metadatas is None or len(vectors) != len(got["ids"]):
        raise ValueError("entries without vectors")
    rows = zip(got["ids"], vectors, metadatas, strict=True)
    return [(name, np.asarray(vector, np.float32), data) for name, vector, data in rows]


def _damage(rows: Sequence[_Row]) -> str:
    for name, vector, metadata in rows:
        scope = [str(metadata.get(key)) for key in SCOPE]
        if metadata.get(_CHECK) != _checksum(scope, vector):
            return f"the entry {name!r} is not what was written"
    return ""


def _metadata(scope: Scope, vector: Vector) -> dict[str, str | int]:
    values = scope.values()
    return {**dict(zip(SCOPE, values, strict=True)), _CHECK: _checksum(values, vector)}


def _checksum(scope: Sequence[str], vector: Vector) -> int:
    text = "\0".join(f"{len(value)}:{value}" for value in scope)
    return zlib.crc32(vector.tobytes(), zlib.crc32(text.encode("utf-8", "surrogatepass")))


def _where(scope: Scope) -> Where | None:
    wanted = zip(SCOPE, scope.values(), strict=True)
    conditions: list[Any] = [{key: {"$eq": value}} for key, value in wanted if value]
    if len(conditions) > 1:
        return {"$and": conditions}
    return next(iter(conditions), None)


def _parts(items: Sequence[Any], most: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), most):
        yield items[start : start + most]
