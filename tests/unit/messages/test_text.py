"""Text that can be sent, and text that can be written down."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_core.messages import with_pairs_joined, without_surrogates


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        ("half \ud83d of a pair", "half \ufffd of a pair"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("\ud83d\ude00", "\U0001f600"),
        ("\ufeffmarked", "\ufeffmarked"),
    ],
)
def test_lone_surrogates_are_replaced_and_pairs_are_joined(text, expected):
    assert expected == without_surrogates(text)


@given(st.text())
def test_text_that_can_be_sent_stays_as_it_is(text):
    assert text == without_surrogates(text)


@given(st.text(st.characters(categories=["Cs", "L"])))
def test_any_text_can_be_sent_then(text):
    without_surrogates(text).encode()


@given(st.text(st.characters(codec=None)) | st.text(st.sampled_from("\ud83d\ude00a\xe9")))
def test_text_is_as_json_reads_it_then(text):
    assert json.loads(json.dumps(text)) == with_pairs_joined(text)
