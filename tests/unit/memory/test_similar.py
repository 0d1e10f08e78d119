import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_core.memory import MemoryRecord, Scope
from massgen_core.memory._similar import Words, groups, same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada likes green tea.", "ada LIKES  green tea!"),
        ("“Ada” likes green tea", "Ada likes (green) tea"),
        ("Ada is allergic to nuts", "Ada is very allergic to nuts"),
        ("\uff46\uff55\uff4c\uff4c width", "full width"),
    ],
)
def test_texts_that_say_the_same(one, other):
    assert same(Words.of(one), Words.of(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada is allergic to nuts and milk", "Ada is not allergic to nuts and milk"),
        ("Ada does eat nuts and all milk", "Ada doesn't eat nuts and all milk"),
        ("Ada does eat nuts and all milk", "Ada does eat nuts and all milk don\u2019t"),
        ("The trip to Rome costs a lot", "The trip to Rome costs a lot 500"),
        ("The trip costs 500 EUR for Ada and Bob", "The trip costs 600 EUR for Ada and Bob"),
        ("Ada met Bob in Rome for a long lunch", "Ada met Carol in Rome for a long lunch"),
        ("Bob likes Ada", "Ada likes Bob"),
        ("Ada lives in Oslo near the park", "Ada formerly lives in Oslo near the park"),
        ("Ada writes C", "Ada writes C++"),
        ("It is -5", "It is 5"),
        ("likes tea", "likes tea?"),
        ("🐈", "🐕"),
        ("", "tea"),
        ("东京很大", "东京不大"),
    ],
)
def test_texts_that_do_not(one, other):
    assert not same(Words.of(one), Words.of(other))
    assert not same(Words.of(other), Words.of(one))


def record(number, text):
    return MemoryRecord(text=text, scope=Scope(), id=f"r{number}", seq=number)


def test_the_longest_text_leads_its_group():
    texts = ["Ada is allergic to nuts", "Bob sings", "Ada is very allergic to nuts", "bob sings!"]
    records = [record(number, text) for number, text in enumerate(texts, 1)]
    found = groups((0, one) for one in records)
    assert [["r3", "r1"], ["r2", "r4"]] == [[one.id for one in group] for group in found]
    apart = groups((one.seq % 2, one) for one in records)
    assert [["r3", "r1"], ["r2", "r4"]] == [[one.id for one in group] for group in apart]
    assert [] == groups((one.seq, one) for one in records)


WORD = st.sampled_from(["tea", "ada", "not", "5", "likes", "green", "very", "in", "oslo", "!"])


@given(st.lists(st.lists(WORD, max_size=8).map(" ".join), max_size=12))
def test_groups_find_exactly_what_comparing_all_pairs_finds(texts):
    records = [record(number, text) for number, text in enumerate(texts, 1)]
    found = {one.id: group[0].id for group in groups((0, one) for one in records) for one in group}
    order = sorted(records, key=lambda one: (-len(Words.of(one.text).words), one.seq))
    leaders, expected = [], {}
    for one in order:
        words = Words.of(one.text)
        leader = next((each for each in leaders if words.within(Words.of(each.text))), None)
        if leader is None:
            leaders.append(one)
        else:
            expected[one.id] = expected[leader.id] = leader.id
    assert expected == found
