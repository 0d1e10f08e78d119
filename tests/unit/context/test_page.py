import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_core.context import page_end
from massgen_core.tokens import ModelCatalogue, counter_for

COUNTER = counter_for(ModelCatalogue.shipped().get("gpt-4o"))


def count(text):
    return COUNTER.count_text(text).tokens


def pages(text, limit):
    start, out = 0, []
    while start < len(text):
        end = page_end(text, start, limit, count)
        assert start < end
        out.append(text[start:end])
        start = end
    return out


@given(
    st.lists(
        st.sampled_from(["word ", "line\n", "👩‍👩‍👧‍👦", "数据库", "\r\n", "x" * 300, " "]),
        max_size=60,
    ),
    st.integers(40, 200),
)
def test_pages_joined_are_the_text_and_each_fits(pieces, limit):
    text = "".join(pieces)
    found = pages(text, limit)
    assert text == "".join(found)
    assert all(count(page) <= limit for page in found)


def test_a_page_ends_where_a_line_does():
    text = "".join(f"line {n} of the log\n" for n in range(200))
    assert all(page.endswith("log") for page in pages(text, 50)[:-1])


def test_a_page_does_not_part_a_grapheme_cluster():
    found = pages("👩‍👩‍👧‍👦" * 40, 64)
    assert {""} == {page.replace("👩‍👩‍👧‍👦", "") for page in found}
    assert len(found) > 1


@pytest.mark.parametrize("text", ["QUJD" * 1000, "👩‍👩‍👧‍👦", "x"])
def test_even_a_tiny_page_moves_on(text):
    assert text == "".join(pages(text, 1))
