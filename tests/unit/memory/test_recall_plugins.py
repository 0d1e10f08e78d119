"""Recall with an embedder, a query expander and a reranker: who is asked, how often, for what."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from massgen_core.memory import NewMemory, Plugins, Scope
from massgen_core.memory._ranking import ScopeIndex

sys.path.insert(0, str(Path(__file__).parent))

from doubles import Index

ADA = {"user": "ada"}


class Letters:
    """Counts vowels, and what it is asked."""

    identity = "letters/aeiou"
    dimensions = 5

    def __init__(self):
        self.queries = []

    async def embed(self, texts, /, *, purpose):
        if purpose == "query":
            self.queries.extend(texts)
        return [[1.0 + text.count(letter) for letter in "aeiou"] for text in texts]

    async def close(self):
        pass


class Synonyms:
    def __init__(self):
        self.asked = []

    async def expand(self, query, /):
        self.asked.append(query)
        return [query.replace("car", "automobile")]

    async def close(self):
        pass


class Shortest:
    async def rerank(self, query, texts, /):
        return [-float(len(text)) for text in texts]

    async def close(self):
        pass


class Broken(Shortest, Synonyms):
    async def rerank(self, query, texts, /):
        raise RuntimeError("no")

    async def expand(self, query, /):
        raise RuntimeError("no")


async def fill(memory):
    """Many that match and are of another kind than what is looked for."""
    news = [
        NewMemory(text=f"the car number {n}", scope=Scope(**ADA), kind="note") for n in range(300)
    ]
    news += [NewMemory(text="an automobile, red", scope=Scope(**ADA), kind="fact")]
    await memory.remember_many(news)


def test_another_wording_finds_what_the_query_does_not(run):
    async def work(memory):
        await fill(memory)
        return await memory.recall("car", scope=ADA, k=1, kinds=["fact"])

    (hit,) = run(work, plugins=Plugins(expander=Synonyms()))
    assert "an automobile, red" == hit.record.text


def test_one_recall_asks_each_plugin_once_however_far_it_has_to_look(run):
    expander, embedder = Synonyms(), Letters()

    async def work(memory):
        await fill(memory)
        far = "one car and much else " + "that has nothing to do with it " * 20
        await memory.remember(far, scope=ADA, kind="preference")
        hits = await memory.recall("the car number", scope=ADA, k=1, kinds=["preference"])
        return far, hits

    far, (hit,) = run(work, plugins=Plugins(expander=expander, embedder=embedder))
    assert far.strip() == hit.record.text.strip()
    assert ["the car number"] == expander.asked
    assert ["the car number", "the automobile number"] == embedder.queries


def test_a_question_that_is_asked_again_has_its_vector(run):
    embedder = Letters()

    async def work(memory):
        await memory.remember("the car", scope=ADA)
        for query in ("car", "car", "bus", "car"):
            await memory.recall(query, scope=ADA)

    run(work, plugins=Plugins(embedder=embedder))
    assert ["car", "bus", "car"] == embedder.queries


def test_what_says_the_same_comes_last_whatever_a_reranker_thinks(run):
    async def work(memory):
        for text in ("car", "a red car", "car", "a long blue car"):
            await memory.remember(text, scope=ADA)
        hits = await memory.recall("car", scope=ADA, k=4)
        found = await memory.explain("car", scope=ADA, k=4)
        return [[one.record.text for one in some] for some in (hits, found.candidates)]

    expected = ["car", "a red car", "a long blue car", "car"]
    assert [expected, expected] == run(work, plugins=Plugins(reranker=Shortest()))


def test_what_a_recall_loads_outlasts_the_search_for_missing_vectors(run, loads):
    async def twice(memory):
        for _ in range(2):
            assert 3 == len(await memory.recall("car number", scope=ADA, k=3))
            await memory.settle()

    run(fill, plugins=Plugins(embedder=Letters()))
    run(twice, plugins=Plugins(embedder=Letters()))
    assert 1 == len(loads)


def test_other_work_goes_on_while_a_scope_is_loaded(run, monkeypatch):
    turns, seen = [], []

    async def others():
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    def add(*args):
        seen.append(len(turns))
        return added(*args)

    async def work(memory):
        task = asyncio.create_task(others())
        await memory.recall("car", scope=ADA)
        task.cancel()

    run(fill)
    added = ScopeIndex.add
    monkeypatch.setattr(ScopeIndex, "add", add)
    run(work)
    assert 301 == len(seen)
    assert 4 < len(set(seen))


def test_what_is_said_again_and_again_takes_one_place(run):
    asked = "Who keeps the vault code?"

    async def work(memory):
        for number in range(40):
            await memory.remember(asked, scope={**ADA, "session": str(number)})
        await memory.remember("Priscilla keeps it.", scope={**ADA, "session": "x"})
        await memory.remember("The vault code is 9921.", scope={**ADA, "session": "y"})
        few = await memory.recall(asked, scope=ADA, k=3)
        explained = await memory.explain(asked, scope=ADA, k=3)
        return few, explained.candidates, await memory.recall(asked, scope=ADA, k=100)

    few, explained, many = run(work)
    texts = [hit.record.text for hit in few]
    assert {"Who keeps the vault code?", "Priscilla keeps it.", "The vault code is 9921."} == {
        *texts
    }
    assert texts == [one.record.text for one in explained]
    assert 42 == len(many)


def test_a_reranker_has_the_last_word(run):
    async def work(memory):
        for text in ("the car is very long and red", "the car"):
            await memory.remember(text, scope=ADA)
        return await memory.recall("long red car", scope=ADA, k=2)

    hits = run(work, plugins=Plugins(reranker=Shortest()))
    assert ["the car", "the car is very long and red"] == [hit.record.text for hit in hits]


@pytest.mark.parametrize("kind", ["reranker", "expander"])
def test_one_that_fails_costs_nothing_but_its_help(run, kind):
    told = []

    async def work(memory):
        await memory.remember("the car", scope=ADA)
        return await memory.recall("car", scope=ADA)

    (hit,) = run(work, plugins=Plugins(**{kind: Broken()}), told=lambda *what: told.append(what))
    assert "the car" == hit.record.text
    assert [{"reranker": "reranker", "expander": "query expander"}[kind]] == [n for n, _ in told]


class Odd(Letters, Synonyms):
    """Answers with what it was made with, of any kind."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    async def embed(self, texts, /, *, purpose):
        return self.answer if purpose == "query" else await super().embed(texts, purpose=purpose)

    async def rerank(self, query, texts, /):
        return self.answer

    async def expand(self, query, /):
        return self.answer


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        *[("reranker", each) for each in ([None], None, 5, "x", [float("nan")], [], [1, 2])],
        *[("expander", each) for each in (None, 5, "one text", [7])],
        *[
            ("embedder", each)
            for each in (
                None,
                [],
                [None],
                [[1.0]],
                [[float("nan")] * 5],
                [["x"] * 5],
                [[1] * 5] * 2,
            )
        ],
    ],
)
def test_whatever_a_plugin_answers_recall_goes_on(run, kind, answer):
    told = []

    async def work(memory):
        await memory.remember("the car", scope=ADA)
        await memory.settle()
        return await memory.recall("car", scope=ADA)

    (hit,) = run(work, plugins=Plugins(**{kind: Odd(answer)}), told=lambda *what: told.append(what))
    assert "the car" == hit.record.text
    assert [{"expander": "query expander"}.get(kind, kind)] == [name for name, _ in told]


def test_a_plugin_that_times_out_by_itself_is_told_in_its_words(run):
    told = []

    class Late(Shortest):
        async def rerank(self, query, texts, /):
            raise TimeoutError("connect")

    async def work(memory):
        await memory.remember("the car", scope=ADA)
        return await memory.recall("car", scope=ADA)

    run(work, plugins=Plugins(reranker=Late()), told=lambda *what: told.append(what))
    assert [("reranker", "TimeoutError: connect")] == told


@pytest.mark.parametrize("read_only", [False, True])
def test_what_cannot_be_closed_is_told_and_all_else_is_closed(run, read_only):
    told = []

    class Stuck(Letters, Synonyms, Index):
        async def close(self):
            raise OSError("no disk")

        async def rerank(self, query, texts, /):
            return [1.0 for _ in texts]

    async def work(memory):
        await memory.recall("car", scope=ADA)

    one = Stuck()
    Index.__init__(one)
    one.asked, one.queries = [], []
    plugins = Plugins(embedder=one, reranker=one, expander=one, stores={"x": one})
    run(lambda memory: memory.remember("the car", scope=ADA))
    run(work, plugins=plugins, read_only=read_only, told=lambda *what: told.append(what))
    names = ("embedder", "query expander", "reranker", "x")
    assert [(name, "closing failed: OSError: no disk") for name in names] == sorted(told)
