import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_core.context import Group, View
from massgen_core.messages import user


def group(number, tokens):
    return Group(number, (user(f"{number}"),), (tokens,), tokens)


SIZES = st.lists(st.integers(0, 50), max_size=30)


@given(SIZES)
def test_sums_and_cuts_agree_with_adding_up(sizes):
    view = View(group(n, size) for n, size in enumerate(sizes))
    assert view.tokens == sum(sizes)
    assert [view.tokens_before(n) for n in range(len(sizes) + 1)] == [
        sum(sizes[:n]) for n in range(len(sizes) + 1)
    ]
    for room in range(0, sum(sizes) + 2, 7):
        expected = next(n for n in range(len(sizes) + 1) if sum(sizes[n:]) <= room)
        if not sizes or sizes[-1] <= room:
            assert view.cut(room) == expected
        else:
            assert view.cut(room) == len(sizes)


@given(SIZES, SIZES, SIZES)
def test_views_that_share_a_beginning_do_not_see_each_others_growth(start, left, right):
    def grow(view, sizes):
        for size in sizes:
            view = view.push(group(len(view), size))
        return view

    root = grow(View(), start)
    one, other = grow(root, left), grow(root, right)
    assert [g.tokens for g in root] == start
    assert [g.tokens for g in one] == start + left
    assert [g.tokens for g in other] == start + right
    assert (one.tokens, other.tokens) == (sum(start + left), sum(start + right))
    assert one.turns == len(start + left)


def test_the_newest_group_can_be_replaced():
    view = View([group(0, 5), group(1, 6)])
    changed = view.with_last(group(1, 9))
    assert (view.tokens, changed.tokens) == (11, 14)
    assert changed[-1].tokens == 9
    assert view[-1].tokens == 6


@pytest.mark.parametrize("index", [2, -3])
def test_an_index_outside_is_an_index_error(index):
    with pytest.raises(IndexError):
        View([group(0, 1), group(1, 1)])[index]


@given(SIZES, SIZES, st.booleans())
def test_a_view_extends_those_it_grew_from_and_no_other(start, more, push):
    root = View(group(n, size) for n, size in enumerate(start))
    views = [root]
    for size in more:
        newest = views[-1]
        grow = newest.push if push or newest.last is None else newest.with_last
        views.append(grow(group(len(newest), size)))
    for place, earlier in enumerate(views):
        assert all(later.extends(earlier) for later in views[place:])
        assert (
            list(views[-1])[: max(0, len(earlier) - 1)] == list(earlier)[: max(0, len(earlier) - 1)]
        )
    assert not View(views[-1]).extends(views[-1])


@given(SIZES, SIZES, SIZES)
def test_what_follows_the_first_change_is_what_a_prompt_cache_cannot_have(start, left, right):
    both = [group(n, size) for n, size in enumerate(start)]
    old, new = (
        [group(len(both) + n, size) for n, size in enumerate(sizes)] for sizes in (left, right)
    )

    assert sum(right) == View([*both, *new]).tokens_since_change(View([*both, *old]))
    assert 0 == View(both).tokens_since_change(View([*both, *old]))
