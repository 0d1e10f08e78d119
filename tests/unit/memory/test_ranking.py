"""Which texts are found, in which order, and why."""

from __future__ import annotations

import math
import random
from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_core.memory._lexicon import terms_of
from massgen_core.memory._ranking import Doc, Ranked, ScopeIndex, passage_of

WORDS = ("tea", "kettle", "port", "river", "Anna", "Ben", "7", "running", "café", "数据库")
TEXTS = st.lists(st.sampled_from([*WORDS, "the", "is", "?", "May 2023"]), max_size=8).map(" ".join)
DOCS = st.lists(
    st.builds(
        Doc,
        number=st.integers(0, 40),
        text=TEXTS,
        speaker=st.sampled_from(["", "Anna", "Ben"]),
        thread=st.sampled_from(["", "talk"]),
        session_no=st.none() | st.integers(1, 2),
        turn_no=st.none() | st.integers(1, 5),
        time=st.none() | st.integers(1_680_000_000, 1_690_000_000),
    ),
    unique_by=lambda doc: doc.number,
    max_size=12,
)
SHUFFLE = st.randoms(use_true_random=False)


def index_of(docs, **options):
    index = ScopeIndex(**options)
    for doc in docs:
        index.add(doc)
    return index


def talk(*texts, speakers=("Anna", "Ben")):
    return [Doc(n, text, speakers[n % len(speakers)], "talk", 1, n) for n, text in enumerate(texts)]


def numbers(found):
    return [ranked.number for ranked in found]


def day(year, month):
    return datetime(year, month, 8, tzinfo=UTC).timestamp()


def test_the_text_with_the_rarer_word_is_first():
    docs = [Doc(1, "tea at noon"), Doc(2, "tea with zest"), Doc(3, "tea again"), Doc(4, "rain")]

    assert [2, 1, 3] == numbers(index_of(docs).search("zest for tea", k=9))


def test_the_score_of_words_is_bm25():
    texts = ["tea tea kettle", "tea", "kettle moon river river river harbour"]
    found = index_of([Doc(n, text) for n, text in enumerate(texts)]).search("tea kettle", k=3)

    lengths = [3, 1, 6]
    counts = [Counter(text.split()) for text in texts]
    rarity = math.log1p((3 - 2 + 0.5) / (2 + 0.5))
    expected = {
        n: sum(
            rarity * c[t] / (c[t] + 0.9 * (0.6 + 0.4 * lengths[n] / (sum(lengths) / 3)))
            for t in ("tea", "kettle")
        )
        for n, c in enumerate(counts)
    }
    most = max(expected.values())
    assert {n: pytest.approx(score / most) for n, score in expected.items()} == {
        ranked.number: ranked.reasons["text"] for ranked in found
    }


def test_the_answer_to_a_question_that_matches_is_found_without_a_word_of_the_query():
    docs = talk("Hello.", "Which port has the database?", "6543, as ever.", "Fine.", "Bye.")
    found = index_of(docs).search("database port", k=3)

    assert [1, 2] == numbers(found)[:2]
    assert {"neighbours", "window", "sitting"} == found[1].reasons.keys()


def test_what_follows_a_question_gains_more_than_what_follows_a_statement():
    asked = index_of(talk("Which port?", "6543.")).search("port", k=2)[1]
    said = index_of(talk("Which port.", "6543.")).search("port", k=2)[1]

    assert pytest.approx(2.5) == asked.reasons["neighbours"] / said.reasons["neighbours"]


def test_neighbours_are_of_the_same_thread_and_sitting():
    docs = [
        Doc(1, "Which port?", thread="a", session_no=1),
        Doc(2, "6543", thread="a", session_no=2),
        Doc(3, "6544", thread="b", session_no=1),
        Doc(4, "6545", thread="a", session_no=1),
    ]

    assert [1, 4] == numbers(index_of(docs).search("port", k=9))


def test_texts_without_a_thread_have_no_neighbours():
    docs = [Doc(1, "Which port?", session_no=1), Doc(2, "6543", session_no=1)]

    assert [1] == numbers(index_of(docs).search("port", k=9))


def test_a_text_is_embedded_with_its_speaker():
    assert "Ada: tea" == passage_of(Doc(1, "tea", "Ada", time=0.0))
    assert "tea" == passage_of(Doc(1, "tea"))


def test_turns_that_come_late_are_put_in_their_place():
    first, second, third = talk("Which port?", "6543.", "Thanks.")

    late = index_of([third, first, second]).search("port", k=3)
    assert index_of([first, second, third]).search("port", k=3) == late


def test_the_speaker_whom_the_query_names_is_preferred():
    docs = [Doc(1, "I love tea", "Ben"), Doc(2, "I love tea", "Anna Lee")]
    found = index_of(docs).search("Does Anna love tea?", k=2)

    assert [2, 1] == numbers(found)
    assert (0.25, None) == tuple(r.reasons.get("speaker") for r in found)


def test_a_text_of_nobody_that_has_the_name_is_preferred_as_well():
    docs = [Doc(1, "tea", "Ben"), Doc(2, "tea", "Anna"), Doc(3, "Anna: tea"), Doc(4, "tea")]
    found = index_of(docs).search("Anna and tea", k=4)

    assert {2, 3} == {r.number for r in found if "speaker" in r.reasons}


def test_naming_everybody_prefers_nobody():
    docs = [Doc(1, "tea", "Ben"), Doc(2, "tea", "Anna")]

    found = index_of(docs).search("Do Anna and Ben like tea?", k=2)
    assert [{}, {}] == [{k: v for k, v in r.reasons.items() if k == "speaker"} for r in found]


def test_the_month_that_the_query_names_is_preferred():
    docs = [Doc(1, "tea", time=day(2023, 3)), Doc(2, "tea", time=day(2023, 5))]
    found = index_of(docs).search("tea in May 2023", k=2)

    assert [2, 1] == numbers(found)
    assert 0.2 == found[0].reasons["date"]


def test_a_date_of_the_time_is_a_word_of_the_text():
    docs = [Doc(1, "tea", time=day(2021, 3)), Doc(2, "tea", time=day(2023, 5))]

    assert [1] == numbers(index_of(docs).search("2021", k=9))


def test_scores_of_other_indexes_add_texts_and_are_scaled():
    index = index_of([Doc(1, "tea"), Doc(2, "moon"), Doc(3, "river")])
    extra = {"words": {2: 40.0, 3: 20.0, 99: 80.0, 1: math.nan}, "far": {3: -2.0, 2: -6.0}}
    found = {r.number: r.reasons for r in index.search("tea", extra=extra, k=9)}

    assert {1, 2, 3} == found.keys()
    assert (0.3, 0.15) == (found[2]["store:words"], found[3]["store:words"])
    assert 0.3 == pytest.approx(found[3]["store:far"])
    assert "store:far" not in found[2]


@pytest.mark.parametrize("scores", [{1: 5.0}, {1: 0.0}, {1: -3.0}, {1: 1e308, 2: -1e308}])
def test_the_best_of_another_index_gets_its_whole_weight(scores):
    found = index_of([Doc(1, "tea"), Doc(2, "tea")]).search("", extra={"x": scores}, k=9)

    assert (
        Ranked(1, pytest.approx(0.39), {"store:x": 0.3, "sitting": pytest.approx(0.09)}) == found[0]
    )


def test_of_the_same_score_the_older_is_first():
    docs = [Doc(n, "tea") for n in (5, 3, 9, 1)]

    assert [1, 3, 5] == numbers(index_of(docs).search("tea", k=3))


@pytest.mark.parametrize("query", ["", "who are you", "\0", "\U0001f600", "\ud800", "zzz", "?"])
def test_a_query_without_a_known_word_finds_nothing(query):
    assert [] == index_of(talk("tea", "Who are you?")).search(query, k=5)


@pytest.mark.parametrize("k", [0, -1])
def test_none_are_asked_for(k):
    assert [] == index_of(talk("tea")).search("tea", k=k)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("a\0nul\0byte", "nul"),
        ("\U0001f600 smile \U0001f600", "smiling \U0001f600"),
        ("我们的数据库在东京", "数据库"),
        ("Grüße aus Zürich", "zurich"),
        ("lone \ud800 surrogate", "surrogates"),
        ("blah " * 200_000 + "needle", "needle"),
    ],
)
def test_odd_texts_are_found(text, query):
    index = index_of([Doc(1, text), Doc(2, "something else")])

    assert [1] == numbers(index.search(query, k=9))


def test_a_megabyte_of_query_is_answered():
    assert [1] == numbers(index_of([Doc(1, "needle")]).search("straw " * 170_000 + "needle", k=1))


@given(DOCS, TEXTS, SHUFFLE)
def test_the_order_of_adding_does_not_matter(docs, query, shuffle):
    mixed = shuffle.sample(docs, len(docs))

    assert index_of(docs).search(query, k=20) == index_of(mixed).search(query, k=20)


@given(DOCS, DOCS, TEXTS, SHUFFLE)
def test_what_is_removed_was_never_there(docs, others, query, shuffle):
    others = [other for other in others if other.number not in {doc.number for doc in docs}]
    mixed = index_of(shuffle.sample([*docs, *others], len(docs) + len(others)))
    for other in others:
        mixed.remove(other.number)

    assert len(docs) == len(mixed)
    assert index_of(docs).search(query, k=20) == mixed.search(query, k=20)


@given(DOCS, DOCS, TEXTS)
def test_what_is_replaced_was_never_there(before, after, query):
    index = index_of([*before, *after])
    latest = {doc.number: doc for doc in [*before, *after]}

    assert index_of(latest.values()).search(query, k=20) == index.search(query, k=20)


@given(DOCS, TEXTS, st.dictionaries(st.integers(0, 45), st.floats(width=32), max_size=9))
def test_reasons_sum_to_the_score_and_the_best_are_first(docs, query, scores):
    found = index_of(docs).search(query, extra={"store": scores}, k=20)

    assert [pytest.approx(sum(r.reasons.values())) for r in found] == [r.score for r in found]
    assert sorted(found, key=lambda r: (-r.score, r.number)) == found
    assert all(value > 0 for r in found for value in r.reasons.values())


@given(DOCS, TEXTS)
def test_every_text_that_has_a_term_is_found_and_the_first_of_many_are_the_first(docs, query):
    index, terms = index_of(docs), set(terms_of(query))
    found = index.search(query, k=20)

    assert {doc.number for doc in docs if terms & terms_of(doc.text).keys()} <= set(numbers(found))
    assert found[:3] == index.search(query, k=3)


def test_removing_what_is_not_there_does_nothing():
    index = index_of(talk("tea"))
    index.remove(7)

    assert (1, True, False) == (len(index), 0 in index, 7 in index)


def dialogue(count, seed=5):
    """Talk of a skewed vocabulary, in sittings of twenty turns, every third a question."""
    rng = random.Random(seed)
    weights = [1 / (n + 1) for n in range(3000)]
    for n in range(count):
        words = rng.choices(range(3000), weights, k=12)
        text = " ".join(f"w{word}" for word in words) + "?."[n % 3 > 0]
        yield Doc(n, text, f"name{n % 2}", f"talk{n // 600}", n // 20, n % 20)


def test_looking_closely_at_some_candidates_finds_what_looking_at_all_does():
    docs = list(dialogue(600))
    some, whole = index_of(docs, candidates=200), index_of(docs, candidates=10_000)
    rng = random.Random(7)
    agreed = []
    for doc in rng.sample(docs, 40):
        query = " ".join(sorted(doc.text.strip("?.").split(), key=lambda w: -int(w[1:]))[:5])
        best = set(numbers(whole.search(query, k=10)))
        agreed.append(len(best & set(numbers(some.search(query, k=10)))) / len(best))

    assert sum(agreed) / len(agreed) >= 0.98
