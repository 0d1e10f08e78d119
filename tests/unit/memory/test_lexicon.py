import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_core.memory._lexicon import terms_of, words_of

LOADED = """
import sys
import massgen_core.memory._ranking
print(sorted({"numpy", "snowballstemmer"} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Running runs", ["run"]),
        ("She's gone, they'd say we're", ["gone", "say"]),
        ("I don\u2019t O'Brien", ["brien", "o"]),
        ("getUserName", ["get", "getusernam", "name", "user"]),
        ("MAX_RETRY=3", ["3", "max", "retri"]),
        ("Cafe\u0301 caf\u00e9 CAFE", ["cafe"]),
        ("Stra\u00dfe strasse", ["strass"]),
        ("\uff21\uff22\uff23", ["abc"]),
        ("数据库", ["据库", "数据"]),
        ("港", ["港"]),
        ("한국어", ["국어", "한국"]),
        ("हिन्दी।", ["हिन्दी"]),
        ("שָׁלוֹם שלום", ["שלום"]),
        ("Привет, мир", ["мир", "привет"]),
        ("x" * 129, []),
        ("\0 \U0001f600 \ud800 !?", []),
        ("who are you", []),
        ("", []),
    ],
)
def test_terms_are_stems_identifiers_and_pairs_of_characters(text, terms):
    assert terms == sorted(terms_of(text))


def test_terms_are_counted():
    assert {"port": 3} == terms_of("Port, ports of the PORT")


def test_words_keep_their_order_and_case():
    assert ["Ada", "met", "Zoe"] == words_of("Ada's met Zo\u00eb")


def test_a_megabyte_of_text_is_read_whole():
    terms = terms_of("port " * 200_000 + "zebra")

    assert {"port": 200_000, "zebra": 1} == terms


@given(st.text(max_size=200))
def test_any_text_has_terms_that_are_not_empty(text):
    assert all(term and times > 0 for term, times in terms_of(text).items())


@given(st.text(alphabet=st.characters(categories=["Ll", "Lo", "Nd", "Zs"]), max_size=60))
def test_terms_of_two_texts_are_those_of_each(text):
    assert terms_of(text) + terms_of(text) == terms_of(f"{text}. {text}")


def test_neither_the_stemmer_nor_numpy_is_loaded_before_it_is_needed():
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )

    assert "[]\n" == done.stdout
