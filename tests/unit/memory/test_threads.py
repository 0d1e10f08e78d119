from hypothesis import given
from hypothesis import strategies as st

from massgen_core.memory._threads import Threads

TALK = ("talk", 1)
PLACES = st.lists(
    st.tuples(
        st.sampled_from([TALK, ("talk", 2), ("chat", None), None]),
        st.none() | st.integers(0, 5),
        st.booleans(),
    ),
    max_size=30,
)


def walk(threads, slot):
    while threads.before[slot]:
        slot = threads.before[slot]
    out = []
    while slot:
        out.append(slot)
        slot = threads.after[slot]
    return out


@given(PLACES, st.randoms(use_true_random=False))
def test_links_are_the_sorted_order_of_what_is_there(places, random):
    threads = Threads()
    slots = list(range(1, len(places) + 1))
    random.shuffle(slots)
    for slot in slots:
        sitting, turn, _ = places[slot - 1]
        threads.link(slot, sitting, turn=turn, number=slot)
    random.shuffle(slots)
    for slot in slots:
        if places[slot - 1][2]:
            threads.unlink(slot)

    for slot in slots:
        sitting, _, gone = places[slot - 1]
        if gone:
            assert (0, 0, 0) == (threads.before[slot], threads.after[slot], threads.sitting[slot])
            continue
        rest = [n for n in slots if not places[n - 1][2] and places[n - 1][0] == sitting]
        expected = [slot] if sitting is None else sorted(rest, key=lambda n: key(places, n))
        assert expected == walk(threads, slot)
        assert 1 == len({threads.sitting[n] for n in expected})


def key(places, slot):
    turn = places[slot - 1][1]
    return (turn is None, turn or 0, slot)


def test_sittings_differ():
    threads = Threads()
    for slot, name in enumerate([TALK, ("talk", 2), None, None], 1):
        threads.link(slot, name, turn=None, number=slot)

    assert 4 == len({threads.sitting[slot] for slot in range(1, 5)})


def test_a_window_is_two_to_each_side_and_zero_beyond():
    threads = Threads()
    for slot in range(1, 6):
        threads.link(slot, TALK, turn=slot, number=slot)

    assert (1, 2, 3, 4, 5) == threads.window(3)
    assert (0, 0, 1, 2, 3) == threads.window(1)


def test_turn_numbers_beyond_64_bits_are_the_first_and_the_last():
    threads = Threads()
    for slot, turn in enumerate([1 << 70, 0, -(1 << 70)], 1):
        threads.link(slot, TALK, turn=turn, number=slot)

    assert [3, 2, 1] == walk(threads, 1)
