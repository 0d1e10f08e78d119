from hypothesis import given
from hypothesis import strategies as st

from massgen_core.memory._postings import Postings

COUNTS = st.dictionaries(st.sampled_from("abcde"), st.integers(1, 70_000), max_size=5)
STEPS = st.lists(st.tuples(st.integers(1, 12), COUNTS), max_size=40)


@given(STEPS, st.sets(st.integers(1, 14)))
def test_postings_are_what_was_added_and_not_removed(steps, among):
    postings, texts = Postings(), {}
    for slot, counts in steps:  # a slot that is taken is freed
        if slot in texts:
            postings.remove(slot)
            del texts[slot]
        else:
            postings.add(slot, counts)
            texts[slot] = counts

    for term in "abcdef":
        having = {slot: min(c[term], 65_535) for slot, c in sorted(texts.items()) if term in c}
        assert list(having.items()) == list(postings.of(term))
        assert len(having) == postings.frequency(term)
        inside = {slot: times for slot, times in having.items() if slot in among}
        assert inside == dict(postings.of(term, among))


def test_one_slot_is_looked_up_in_a_long_list():
    postings = Postings()
    for slot in range(1, 1000):
        postings.add(slot, {"tea": slot})

    assert [(500, 500)] == list(postings.of("tea", {500, 2000}))
