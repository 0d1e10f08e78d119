"""Ranking by vectors: alone, beside words, and without numpy."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from massgen_core.errors import InvalidArgument, PackageMissing
from massgen_core.memory._dense import Vectors
from massgen_core.memory._ranking import Doc, ScopeIndex
from massgen_core.memory._threads import Threads

VECTORS = st.lists(st.lists(st.integers(-9, 9), min_size=3, max_size=3), min_size=1, max_size=14)
QUERY = [1.0, 2.0, -1.0]


def numbers(found):
    return [ranked.number for ranked in found]


def normal(values):
    span = np.ptp(values)
    assume(not 5e-4 < span < 2e-3)  # whether these count as one score is left to rounding
    return (values - values.min()) / span if span > 1e-3 else np.ones_like(values)


def units(vectors):
    rows = np.array(vectors, float)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def test_a_text_is_found_by_its_meaning_alone():
    index = ScopeIndex()
    index.add(Doc(1, "tea"), [1.0, 0.0])
    index.add(Doc(2, "moon"), [0.0, 1.0])

    found = index.search("", vector=[0.1, 1.0], k=1)
    assert [2] == numbers(found)
    assert {"dense", "dense window", "sitting"} == found[0].reasons.keys()


def test_words_and_meaning_add_up():
    index = ScopeIndex()
    for number, (text, vector) in enumerate(
        [("tea", [0.0, 1.0]), ("moon", [1.0, 0.0]), ("tea", [1.0, 0.0])]
    ):
        index.add(Doc(number, text), vector)

    assert 2 == index.search("tea", vector=[1.0, 0.0], k=3)[0].number


@given(VECTORS)
@example([[0, 1, 0], [0, -1, 1], [-4, 2, 3]])  # windows of one score
def test_the_scores_are_cosines_of_the_text_with_its_neighbours_and_of_its_windows_mean(vectors):
    """Worked out again from the whole vectors."""
    threads, ours, count = Threads(), Vectors(3), len(vectors)
    asks = bytes([0, *(n % 3 == 0 for n in range(count))])
    for slot, vector in enumerate(vectors, 1):
        threads.link(slot, ("talk", None), turn=slot, number=slot)
        ours.put(slot, ours.unit(vector))
    meaning = ours.meaning(QUERY, threads, asks)

    rows, query = units(vectors), units([QUERY])[0]
    has = rows.any(axis=1)
    own = rows @ query
    own = np.where(has, own - (own[has].mean() if has.any() else 0), 0)
    before = np.r_[0, own[:-1] * (1 + 1.5 * np.array(list(asks[1:-1])))]
    near = own + 0.3 * before + 0.3 * np.r_[own[1:], 0]
    sums = np.array([rows[max(0, n - 2) : n + 3].sum(0) for n in range(count)])
    known = np.linalg.norm(sums, axis=1) > 1e-6
    around = units(sums) @ query
    around[~known] = around[known].mean() if known.any() else 0
    close = 5e-3  # cosines are rounded to six digits, then stretched to the range from 0 to 1
    assert list(normal(near)) == pytest.approx(meaning.near[1:].tolist(), abs=close)
    assert list(0.5 * normal(around)) == pytest.approx(meaning.around[1:].tolist(), abs=close)


def docs_of(vectors):
    return [
        (Doc(n, f"text {n}", "", "talk" if n % 4 else "", n % 2, None), vector)
        for n, vector in enumerate(vectors)
    ]


@given(VECTORS, VECTORS, st.randoms(use_true_random=False))
def test_neither_order_nor_what_was_removed_matters(vectors, others, shuffle):
    docs, gone = (
        docs_of(vectors),
        [(Doc(n, "x", "", "talk", n % 2), v) for n, v in enumerate(others, 50)],
    )
    straight, mixed = ScopeIndex(), ScopeIndex()
    for doc, vector in docs:
        straight.add(doc, vector)
    for doc, vector in shuffle.sample([*docs, *gone], len(docs) + len(gone)):
        mixed.add(doc, vector)
        mixed.search("text", vector=QUERY, k=1)  # what it remembers must not go stale
    for doc, _ in gone:
        mixed.remove(doc.number)

    expected = straight.search("text 1", vector=QUERY, k=20)
    assert expected == mixed.search("text 1", vector=QUERY, k=20)


def test_a_text_without_a_vector_counts_as_an_average_one():
    index = ScopeIndex()
    index.add(Doc(1, "a"), [1.0, 0.0])
    index.add(Doc(2, "b"), [0.0, 1.0])
    index.add(Doc(3, "c"))

    assert [1, 3, 2] == numbers(index.search("", vector=[1.0, 0.0], k=3))


def test_a_vector_may_come_later_and_change():
    index = ScopeIndex()
    index.add(Doc(1, "a"))
    index.add(Doc(2, "b"), [1.0, 0.0])
    index.set_vector(1, [0.0, 1.0])
    assert [2, 1] == numbers(index.search("", vector=[1.0, 0.0], k=2))

    index.set_vector(2, [0.0, 1.0])
    index.set_vector(1, [1.0, 0.0])
    assert [1, 2] == numbers(index.search("", vector=[1.0, 0.0], k=2))


def test_a_vector_for_no_text_is_a_key_error():
    with pytest.raises(KeyError):
        ScopeIndex().set_vector(3, [1.0])


def test_without_vectors_of_texts_that_of_the_query_is_not_used():
    index = ScopeIndex()
    index.add(Doc(1, "tea"))

    assert index.search("tea", k=3) == index.search("tea", vector=[1.0], k=3)


def test_when_no_vector_is_left_another_length_may_follow():
    index = ScopeIndex()
    index.add(Doc(1, "tea"), [1.0, 0.0])
    index.remove(1)
    index.add(Doc(1, "tea"), [1.0, 0.0, 0.0])

    assert [1] == numbers(index.search("", vector=[1.0, 0.0, 0.0], k=3))


@pytest.mark.parametrize(
    "bad", [[1.0], [1.0, 2.0, 3.0], [], [float("nan"), 1.0], [float("inf"), 0]]
)
def test_a_vector_that_does_not_fit_is_refused_and_changes_nothing(bad):
    index = ScopeIndex()
    index.add(Doc(1, "tea"), [1.0, 0.0])
    before = index.search("tea moon", vector=[1.0, 0.0], k=5)

    with pytest.raises(InvalidArgument, match="2 finite numbers"):
        index.add(Doc(1, "moon"), bad)
    with pytest.raises(InvalidArgument, match="2 finite numbers"):
        index.search("tea", vector=bad, k=5)
    assert before == index.search("tea moon", vector=[1.0, 0.0], k=5)


def test_huge_and_tiny_numbers_are_vectors_too():
    index = ScopeIndex()
    index.add(Doc(1, "a"), [1e300, 0.0])
    index.add(Doc(2, "b"), [0.0, 1e-300])

    assert [2, 1] == numbers(index.search("", vector=[0.0, 1e-320], k=2))


def test_many_texts_are_found_by_meaning_beyond_the_candidates():
    index = ScopeIndex(candidates=5)
    for number in range(100):
        index.add(Doc(number, "x"), [1.0, number / 100])

    assert [99, 98, 97] == numbers(index.search("", vector=[0.0, 1.0], k=3))


def test_without_numpy_words_still_rank_and_vectors_are_a_typed_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "numpy", None)
    index = ScopeIndex()
    index.add(Doc(1, "tea"))

    assert [1] == numbers(index.search("tea", k=1))
    with pytest.raises(PackageMissing, match="pip install numpy") as caught:
        index.add(Doc(2, "moon"), [1.0])
    assert ("numpy", 1) == (caught.value.package, len(index))
