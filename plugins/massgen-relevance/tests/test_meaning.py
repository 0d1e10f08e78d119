"""With an embedder, what means the same comes back though it shares no word."""

import asyncio

import pytest

from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.context import ContextEngine, ContextWindow
from massgen_core.events import StrategiesSuspended
from massgen_core.messages import assistant, user
from massgen_core.plugin import PluginContext
from massgen_core.tokens import ModelCatalogue, counter_for
from massgen_relevance import meaning
from massgen_relevance.meaning import MeaningScorer
from massgen_relevance.settings import Settings
from massgen_relevance.strategy import Relevance, RelevanceByMeaning, make

MODELS = ModelCatalogue.shipped()
COUNTER = counter_for(MODELS.get("gpt-4o"))
FACT = "My automobile is crimson."
QUESTION = "What colour has that car?"
CONCEPTS = ({"automobile", "car", "vehicle"}, {"crimson", "colour", "red"}, {"gate", "dries"})


class Concepts:
    """An embedder that knows three things, and finds any two texts somewhat alike."""

    identity = "concepts/1"
    dimensions = 4

    def __init__(self):
        self.asked = []

    async def embed(self, texts, /, *, purpose):
        await asyncio.sleep(0)
        self.asked += [(purpose, text) for text in texts]
        return [self.vector(text) for text in texts]

    def vector(self, text):
        words = set(text.lower().replace(".", " ").replace("?", " ").split())
        return [0.5, *[float(bool(words & concept)) for concept in CONCEPTS]]

    async def close(self):
        pass


class Broken(Concepts):
    async def embed(self, texts, /, *, purpose):
        raise ConnectionError("no embedder there")


class Short(Concepts):
    async def embed(self, texts, /, *, purpose):
        return []


def outgrown(strategy, told=None):
    """A conversation in which the fact has left, and what means the same is asked.

    What its fits tell of is added to `told`.
    """
    window = ContextWindow(ContextEngine([strategy], COUNTER, target=0.6))
    window.append(user("Look after the garden."))
    window.append(assistant(FACT))
    for n in range(80):
        window.append(assistant(f"Step {n}: the garden gate is painted. " + "It dries. " * 12))
        report = window.fit(2000)
        if told is not None:
            told += report.events
    assert FACT not in texts(window)
    window.append(user(QUESTION))
    return window


def texts(window):
    return [group.text for group in window.view]


def test_words_alone_do_not_find_it():
    window = outgrown(Relevance(Settings()))
    window.fit(2000)

    assert FACT not in texts(window)


def test_meaning_brings_it_back():
    window = outgrown(RelevanceByMeaning(Settings(), Concepts()))
    report = window.fit(2000)

    assert FACT == texts(window)[1]
    assert () == report.events
    assert "restore" == report.operations[-1].kind


def test_it_is_awaited_on_the_loop_of_an_agent():
    window = outgrown(RelevanceByMeaning(Settings(), Concepts()))
    asyncio.run(window.fit_async(2000))

    assert FACT in texts(window)


def test_it_weighs_as_much_as_the_settings_say():
    window = outgrown(RelevanceByMeaning(Settings(meaning=0.05), Concepts()))
    window.fit(2000)

    assert FACT not in texts(window)


@pytest.mark.parametrize("embedder", [Broken(), Short()])
def test_a_broken_embedder_costs_the_meaning_only(embedder):
    told = []
    window = outgrown(RelevanceByMeaning(Settings(), embedder), told)
    window.fit(2000)

    first, second, left_out, *_ = told
    assert ["relevance", "relevance"] == [first.strategy, second.strategy]
    assert isinstance(left_out, StrategiesSuspended), "after two failures it plans without"
    assert FACT not in texts(window)
    window.append(user("My automobile is what?"))
    window.fit(2000)
    assert FACT in texts(window), "shared words still do"


def test_no_text_is_embedded_twice():
    embedder = Concepts()
    window = outgrown(RelevanceByMeaning(Settings(), embedder))
    window.fit(2000)

    assert len(embedder.asked) == len(set(embedder.asked))
    assert ("query", QUESTION) in embedder.asked
    assert ("document", FACT) in embedder.asked


def test_the_newest_are_embedded_first_and_the_rest_in_the_next_fits(monkeypatch):
    monkeypatch.setattr(meaning, "_NEW", 3)
    embedder = Concepts()
    scorer = MeaningScorer(embedder)
    window = ContextWindow(ContextEngine([], COUNTER))
    for n in range(5):
        window.append(assistant(f"{n}"))
    ctx = window.engine.context(window.view, window.history)
    for expected in (["4", "3", "2"], ["1", "0"], []):
        embedder.asked.clear()
        asyncio.run(scorer.prepare(window.view, ctx))
        assert expected == [text for _, text in embedder.asked]


def test_vectors_have_an_upper_limit_and_the_newest_stay(monkeypatch):
    monkeypatch.setattr(meaning, "_KEPT", 4)
    embedder = Concepts()
    scorer = MeaningScorer(embedder)
    window = ContextWindow(ContextEngine([], COUNTER))
    for n in range(9):
        window.append(assistant(f"{n}"))
        ctx = window.engine.context(window.view, window.history)
        asyncio.run(scorer.prepare(window.view, ctx))

    assert 4 == len(scorer._vectors)
    assert [("document", f"{n}") for n in range(9)] == embedder.asked


@pytest.mark.parametrize(
    ("embedder", "settings", "expected"),
    [
        (None, None, Relevance),
        (lambda: None, None, Relevance),
        (Concepts, None, RelevanceByMeaning),
        (Concepts, Settings(meaning=0), Relevance),
    ],
)
def test_the_embedder_of_the_settings_is_used(embedder, settings, expected):
    ctx = PluginContext(SYSTEM_CLOCK, None, MODELS, embedder=embedder)

    assert expected is type(make(settings, ctx))
