"""What plugins of memory implement: indexes, embedders, rerankers, query expanders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from massgen_core.memory._extraction import Extractor
from massgen_core.memory._scope import Scope


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the ledger's log, as an index needs it.

    Attributes:
        seq: Its number in the log; it grows, and a store may see gaps.
        op: ``put`` a record, new or changed, or ``remove`` it.
        record_id: The record.
        scope: Whose it is; a put record has every field the ledger knows.
        text: What to index; empty for ``remove``.
        vector: Its embedding; None without an embedder.
    """

    seq: int
    op: Literal["put", "remove"]
    record_id: str
    scope: Scope
    text: str = ""
    vector: Sequence[float] | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the search of an index found; the core checks it against the ledger.

    Attributes:
        record_id: The record.
        score: Higher is better; comparable within one search only.
    """

    record_id: str
    score: float


@dataclass(frozen=True, slots=True)
class Health:
    """Whether an index can be used.

    Attributes:
        ok: Whether it can.
        detail: What is wrong, for a person; may be empty.
        busy: Whether nothing more is known of it, because somebody else has it open.
    """

    ok: bool
    detail: str = ""
    busy: bool = False


class MemoryStore(Protocol):
    '''An index over the ledger: it may add candidates and scores, and may be dropped at any time.

    It never holds the only copy of anything. When it fails or lags, recall goes on without it.

    Examples:
        >>> import asyncio
        >>> from massgen_core.memory import Candidate, Change, Health, MemoryStore, Scope
        >>> class Words:
        ...     """Scores a record by the words it shares with the query."""
        ...     identity = "words/1"
        ...     def __init__(self, settings, ctx):
        ...         self._texts, self._seq = {}, 0
        ...     async def apply(self, batch, /):
        ...         for change in batch:
        ...             self._texts.pop(change.record_id, None)
        ...             if change.op == "put":
        ...                 self._texts[change.record_id] = (change.scope, change.text)
        ...             self._seq = max(self._seq, change.seq)
        ...     async def search(self, query, vector, scope, k):
        ...         wanted = set(query.lower().split())
        ...         hits = [
        ...             Candidate(record, float(len(wanted & set(text.lower().split()))))
        ...             for record, (owner, text) in self._texts.items()
        ...             if scope.covers(owner)
        ...         ]
        ...         return sorted(hits, key=lambda hit: (-hit.score, hit.record_id))[:k]
        ...     async def watermark(self):
        ...         return self._seq
        ...     async def health(self):
        ...         return Health(ok=True)
        ...     async def rebuild(self):
        ...         self._texts, self._seq = {}, 0
        ...     async def close(self):
        ...         return None
        >>> async def main(store: MemoryStore):
        ...     ada = Scope(user="ada")
        ...     await store.apply([Change(1, "put", "r1", ada, "prefers green tea")])
        ...     await store.apply([Change(2, "put", "r2", ada, "lives in Oslo")])
        ...     return await store.search("which tea", None, ada, 1)
        >>> asyncio.run(main(Words(None, None)))
        [Candidate(record_id='r1', score=1.0)]
    '''

    @property
    def identity(self) -> str:
        """What the index was built with; another identity means it must be rebuilt."""
        ...

    async def apply(self, batch: Sequence[Change], /) -> None:
        """Indexes the changes, durably where the store is; the same batch may come again."""
        ...

    async def search(
        self, query: str, vector: Sequence[float] | None, scope: Scope, k: int
    ) -> Sequence[Candidate]:
        """At most `k` candidates of the scope, best first."""
        ...

    async def watermark(self) -> int:
        """The highest ``seq`` up to which every change is applied; 0 for an empty index."""
        ...

    async def health(self) -> Health:
        """Whether the index can be used now."""
        ...

    async def rebuild(self) -> None:
        """Empties the index and sets its watermark to 0; the core then applies the whole log."""
        ...

    async def close(self) -> None:
        """Releases files, locks and connections; may be called twice."""
        ...


class Embedder(Protocol):
    '''Turns texts into vectors.

    Examples:
        >>> import asyncio
        >>> from massgen_core.memory import Embedder
        >>> class Vowels:
        ...     """Counts vowels."""
        ...     identity = "vowels/aeiou/1/5/sum"
        ...     dimensions = 5
        ...     def __init__(self, settings, ctx):
        ...         pass
        ...     async def embed(self, texts, /, *, purpose):
        ...         return [[float(text.count(vowel)) for vowel in "aeiou"] for text in texts]
        ...     async def close(self):
        ...         return None
        >>> async def main(embedder: Embedder):
        ...     return await embedder.embed(["a banana"], purpose="document")
        >>> asyncio.run(main(Vowels(None, None)))
        [[4.0, 0.0, 0.0, 0.0, 0.0]]
    '''

    @property
    def identity(self) -> str:
        """``provider/model/revision/dimensions/pooling``; vectors of two identities never mix."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of every vector."""
        ...

    async def embed(
        self, texts: Sequence[str], /, *, purpose: Literal["document", "query"]
    ) -> Sequence[Sequence[float]]:
        """One vector per text, in order; some models embed a query unlike a document."""
        ...

    async def close(self) -> None:
        """Releases the model; may be called twice."""
        ...


class Reranker(Protocol):
    '''Judges how well texts answer a query, better and slower than recall does.

    Examples:
        >>> import asyncio
        >>> from massgen_core.memory import Reranker
        >>> class Shortest:
        ...     """Prefers short texts."""
        ...     def __init__(self, settings, ctx):
        ...         pass
        ...     async def rerank(self, query, texts, /):
        ...         return [1 / (1 + len(text)) for text in texts]
        ...     async def close(self):
        ...         return None
        >>> async def main(reranker: Reranker):
        ...     return await reranker.rerank("tea", ["I like tea.", "tea"])
        >>> asyncio.run(main(Shortest(None, None)))
        [0.08333333333333333, 0.25]
    '''

    async def rerank(self, query: str, texts: Sequence[str], /) -> Sequence[float]:
        """A score per text, in order; higher is better."""
        ...

    async def close(self) -> None:
        """Releases the model; may be called twice."""
        ...


class QueryExpander(Protocol):
    '''Says a query in other words, so that memories that are worded differently are found.

    Examples:
        >>> import asyncio
        >>> from massgen_core.memory import QueryExpander
        >>> class Table:
        ...     """Knows a few synonyms."""
        ...     def __init__(self, settings, ctx):
        ...         pass
        ...     async def expand(self, query, /):
        ...         return [query.replace("car", "automobile")] if "car" in query else []
        ...     async def close(self):
        ...         return None
        >>> async def main(expander: QueryExpander):
        ...     return await expander.expand("my car")
        >>> asyncio.run(main(Table(None, None)))
        ['my automobile']
    '''

    async def expand(self, query: str, /) -> Sequence[str]:
        """Other wordings, best first; none if there are none."""
        ...

    async def close(self) -> None:
        """Releases what it holds; may be called twice."""
        ...


@dataclass(frozen=True, slots=True)
class Plugins:
    """What helps a memory to find things; all of it may fail without anything being lost.

    Attributes:
        embedder: Makes vectors.
        stores: Indexes by name.
        reranker: Judges the best candidates once more.
        expander: Words queries in other ways.
        extractor: Proposes facts and preferences from messages, when `Memory.work` is called.
    """

    embedder: Embedder | None = None
    stores: Mapping[str, MemoryStore] = field(default_factory=dict)
    reranker: Reranker | None = None
    expander: QueryExpander | None = None
    extractor: Extractor | None = None
