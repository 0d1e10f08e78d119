"""Recall: how fast, and how much of the evidence for a question is among the first records.

    python tests/bench/bench_recall.py [--json]

LoCoMo (Maharana et al.: Evaluating Very Long-Term Conversational Memory of LLM Agents, ACL 2024)
is CC BY-NC 4.0 and not part of the repository: `MASSGEN_LOCOMO` names a file or a folder of it.
Methods that need vectors run if the plugin massgen-embed-minilm is installed, Chroma and mem0 if
theirs are.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import math
import re
import shutil
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections import Counter, defaultdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from dialogues import asked, locomo, made_up

from massgen_core.memory import Scope
from massgen_core.memory._dates import spelled
from massgen_core.memory._lexicon import terms_of
from massgen_core.memory._ranking import Doc, ScopeIndex, passage_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dialogues import Conversation

    Vectors = np.ndarray[Any, np.dtype[np.float32]]
    Search = Callable[[str, "Vectors | None"], Sequence[int]]

QUERIES, WHOLE, DIMENSIONS = 100, 10_000_000, 384
CUTS = (5, 10, 20)


class BM25:
    """Lucene's, over texts; clean: stemmed and without stop words."""

    def __init__(self, texts: list[str], k1: float, b: float, *, clean: bool) -> None:
        self.terms = terms_of if clean else self.words
        counts = [self.terms(text) for text in texts]
        lengths = np.array([sum(count.values()) for count in counts])
        norm = k1 * (1 - b + b * lengths / lengths.mean())
        self.size, self.gains = len(texts), defaultdict(list)
        for n, count in enumerate(counts):
            for term, times in count.items():
                self.gains[term].append((n, times / (times + norm[n])))

    @staticmethod
    def words(text: str) -> Counter[str]:
        return Counter(re.findall(r"[a-z0-9]+(?:'[a-z]+)?", text.lower()))

    def scores(self, query: str) -> Vectors:
        out = np.zeros(self.size)
        for term in self.terms(query).keys() & self.gains.keys():
            gains = self.gains[term]
            rarity = math.log1p((self.size - len(gains) + 0.5) / (len(gains) + 0.5))
            for n, gain in gains:
                out[n] += rarity * gain
        return out


def best(scores: Vectors) -> list[int]:
    return (np.argsort(-scores, kind="stable")[: max(CUTS)] + 1).tolist()


def ranks(scores: Vectors) -> Vectors:
    return np.argsort(np.argsort(-scores, kind="stable"))


def plain(docs: list[Doc], vectors: Vectors | None) -> Search:
    index = BM25([passage_of(doc) for doc in docs], 1.2, 0.75, clean=False)
    return lambda query, _: best(index.scores(query))


def tuned(docs: list[Doc], vectors: Vectors | None) -> Search:
    texts = [f"{spelled(doc.time)} {passage_of(doc)}" for doc in docs]
    index = BM25(texts, 0.9, 0.4, clean=True)
    return lambda query, _: best(index.scores(query))


def dense(docs: list[Doc], vectors: Vectors) -> Search:
    return lambda _, vector: best(vectors @ vector)


def fused(docs: list[Doc], vectors: Vectors) -> Search:
    index = BM25([passage_of(doc) for doc in docs], 1.2, 0.75, clean=True)

    def search(query: str, vector: Vectors) -> list[int]:
        return best(sum(1 / (61 + ranks(s)) for s in (index.scores(query), vectors @ vector)))

    return search


def chroma(docs: list[Doc], vectors: Vectors) -> Search:
    """The library itself, with the same vectors."""
    import chromadb

    client = chromadb.EphemeralClient(chromadb.Settings(anonymized_telemetry=False))
    held = client.create_collection(f"talk-{id(docs)}", metadata={"hnsw:space": "cosine"})
    held.add(ids=[str(doc.number) for doc in docs], embeddings=vectors)

    def search(_: str, vector: Vectors) -> list[int]:
        found = held.query(query_embeddings=[vector], n_results=max(CUTS), include=[])
        return [int(number) for number in found["ids"][0]]

    return search


class Ready:
    """Gives mem0 the vectors that are there already; `asked` is the question's."""

    def __init__(self, known: dict[str, Vectors]) -> None:
        self.known, self.asked = known, next(iter(known.values()))

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        return (self.asked if memory_action == "search" else self.known[text]).tolist()

    def embed_batch(self, texts: list[str], memory_action: str | None = None) -> list[list[float]]:
        return [self.embed(text, memory_action) for text in texts]


def mem0(docs: list[Doc], vectors: Vectors) -> Search:
    """The library itself, with its default store and the same vectors; it extracts nothing."""
    from massgen_mem0.engine import Engine

    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    ready = Ready({passage_of(doc): vectors[n] for n, doc in enumerate(docs)})
    scope, engine = Scope(user="u"), Engine(folder / "store", folder, DIMENSIONS, ready, None)
    atexit.register(engine.close)
    for doc in docs:
        engine.add(str(doc.number), scope, passage_of(doc), infer=False)

    def search(query: str, vector: Vectors) -> list[int]:
        ready.asked = vector
        return [int(one.record_id) for one in engine.search(query, scope, max(CUTS))]

    return search


def ours(docs: list[Doc], vectors: Vectors | None) -> Search:
    index = ScopeIndex()
    for n, doc in enumerate(docs):
        index.add(doc, None if vectors is None else vectors[n])

    def search(query: str, vector: Vectors | None) -> list[int]:
        return [found.number for found in index.search(query, vector=vector, k=max(CUTS))]

    return search


WORDS = {"BM25": plain, "BM25, stemmed, tuned": tuned, "ours": ours}
MEANING = {"MiniLM (Chroma's default model)": dense, "BM25 + MiniLM, RRF-60": fused}
if find_spec("chromadb"):
    MEANING |= {"Chroma, the same vectors": chroma}
if find_spec("massgen_mem0"):
    MEANING |= {"mem0, the same vectors": mem0}
MEANING |= {"ours, with MiniLM": ours}


def cpu_ms(action: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = action()
    return 1e3 * (time.process_time() - start), result


def searched(index: ScopeIndex, queries: list[str], vectors: Vectors | None) -> tuple[str, list]:
    spent, found = [], []
    for n, query in enumerate(queries):
        vector = None if vectors is None else vectors[n]
        ms, result = cpu_ms(lambda query=query, v=vector: index.search(query, vector=v, k=10))
        spent.append(ms)
        found.append({one.number for one in result})
    ranked = sorted(spent)
    return f"{statistics.median(ranked):.1f} / {ranked[int(len(ranked) * 0.95)]:.1f} ms", found


def speed_row(count: int) -> list[str]:
    docs, index, whole = list(made_up(count)), ScopeIndex(), ScopeIndex(candidates=WHOLE)
    queries = list(asked(docs, QUERIES))
    ms, _ = cpu_ms(lambda: [index.add(doc) for doc in docs])
    words, found = searched(index, queries, None)
    for doc in docs:
        whole.add(doc)
    _, expected = searched(whole, queries[:25], None)
    same = statistics.mean(len(a & b) / len(b) for a, b in zip(found, expected, strict=False))
    del whole
    rng = np.random.default_rng(4)
    for doc in docs:
        index.set_vector(doc.number, rng.standard_normal(DIMENSIONS, np.float32))
    index.search("", vector=np.ones(DIMENSIONS), k=1)  # measures the windows, once
    vectors = rng.standard_normal((QUERIES, DIMENSIONS), np.float32)
    meaning, _ = searched(index, queries, vectors)
    size = f"{bytes_each(docs):,.0f}"
    return [f"{count:,}", f"{1e3 * ms / count:.0f} µs", size, words, meaning, f"{100 * same:.1f} %"]


def bytes_each(docs: list[Doc]) -> float:
    tracemalloc.start()
    index = ScopeIndex()
    for doc in docs:
        index.add(doc)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return used / len(index)


def speed() -> dict[str, Any]:
    return {
        "title": "Recall: speed",
        "note": "CPU time over made-up dialogues of a Zipf vocabulary; median / 95th percentile of "
        f"{QUERIES} queries, ten records each. Bytes: of a record's share of the index, without "
        f"its text and vector. Vectors: random, {DIMENSIONS} numbers, given. Same ten: how many of "
        "the first ten ranking every record closely finds as well, by words.",
        "columns": ["records", "add", "bytes", "by words", "with vectors", "same ten"],
        "rows": [speed_row(count) for count in (1_000, 10_000, 100_000)],
    }


def embed(texts: list[str]) -> Vectors:
    from massgen_embed_minilm.embedder import MiniLM

    async def run() -> list[list[float]]:
        model = MiniLM()
        try:
            return await model.embed(texts, purpose="document")
        finally:
            await model.close()

    return np.array(asyncio.run(run()), np.float32)


def shares(found: Sequence[int], gold: frozenset[int]) -> list[float]:
    """Recall at each cut, then nDCG at 10."""
    recall = [len(gold & set(found[:cut])) / len(gold) for cut in CUTS]
    gains = [1 / math.log2(n + 2) for n in range(10)]
    reached = sum(gain for gain, one in zip(gains, found, strict=False) if one in gold)
    return [*recall, reached / sum(gains[: len(gold)])]


def quality_row(name: str, method: Callable[..., Search], data: list[Any]) -> list[str]:
    each, spent = [], 0.0
    for talk, vectors, asked_vectors in data:
        search, rows = method(talk.docs, vectors), []
        for n, question in enumerate(talk.questions):
            vector = None if asked_vectors is None else asked_vectors[n]
            ms, found = cpu_ms(lambda s=search, q=question, v=vector: s(q.text, v))
            spent += ms
            rows.append(shares(found, question.gold))
        each.append(rows)
    everything = [row for rows in each for row in rows]
    means = [f"{100 * statistics.mean(column):.1f}" for column in zip(*everything, strict=True)]
    by_talk = " ".join(f"{100 * statistics.mean(row[1] for row in rows):.0f}" for rows in each)
    return [name, *means, by_talk, f"{spent / len(everything):.1f} ms"]


def quality(talks: list[Conversation]) -> dict[str, Any]:
    asked_count, turns = sum(len(t.questions) for t in talks), sum(len(t.docs) for t in talks)
    note = (
        f"LoCoMo, {len(talks)} conversations, {turns:,} turns, {asked_count:,} questions: percent"
        " of a question's evidence among the first records. CPU per query, without embedding it."
        if talks
        else "Not run: MASSGEN_LOCOMO names no data."
    )
    rows = [
        quality_row(name, method, [(talk, None, None) for talk in talks])
        for name, method in WORDS.items()
        if talks
    ]
    if talks and find_spec("massgen_embed_minilm"):
        data = [
            (
                talk,
                embed([passage_of(doc) for doc in talk.docs]),
                embed([question.text for question in talk.questions]),
            )
            for talk in talks
        ]
        rows += [quality_row(name, method, data) for name, method in MEANING.items()]
    elif talks:
        note += " Without vectors: massgen-embed-minilm is not installed."
    columns = ["method", *(f"R@{cut}" for cut in CUTS), "nDCG@10", "R@10 by conversation", "CPU"]
    return {"title": "Recall: evidence", "note": note, "columns": columns, "rows": rows}


def main() -> None:
    tables = [speed(), quality(locomo())]
    print(json.dumps(tables) if "--json" in sys.argv else json.dumps(tables, indent=2))


if __name__ == "__main__":
    main()
