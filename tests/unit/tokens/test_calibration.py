"""What the provider's reports teach, and what they must not."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from massgen_core.errors import InvalidArgument
from massgen_core.tokens import Calibration

observations = st.lists(
    st.tuples(st.integers(1, 300_000), st.floats(0.5, 2.0)).map(
        lambda pair: (pair[0], max(1, round(pair[0] * pair[1])))
    ),
    max_size=60,
)


def taught(pairs, *, prior=1.0, exact=False):
    calibration = Calibration(prior, exact=exact)
    for counted, reported in pairs:
        calibration.observe(counted=counted, reported=reported)
    return calibration


def test_before_any_report_the_prior_of_the_family_counts():
    assert 1_250 == Calibration(1.25, exact=False).estimate(1_000)
    assert 1_000 == Calibration(exact=True).estimate(1_000)


def test_after_a_report_only_the_tail_is_estimated():
    calibration = taught([(10_000, 12_000)], prior=1.25)
    assert 12_000 == calibration.estimate(10_000)
    assert 12_000 + 125 == calibration.estimate(10_100)


def test_the_ratio_of_the_provider_is_learned():
    pairs = [(10_000 * n, 1_700 + 12_000 * n) for n in range(1, 20)]
    calibration = taught(pairs)
    assert 1.19 < calibration.ratio < 1.2
    hidden_and_seen = 1_700 + 12_000 * 20
    assert abs(calibration.estimate(200_000) - hidden_and_seen) < 0.005 * hidden_and_seen


def test_what_the_provider_adds_itself_stays_when_the_request_shrinks():
    calibration = taught([(n * 1_000, 20_000 + n * 1_000) for n in range(1, 40)])
    assert 20_000 + 10_000 - 100 <= calibration.estimate(10_000) <= 20_000 + 12_000


def test_a_shrunken_request_teaches_too():
    calibration = taught([(100_000, 120_000), (10_000, 12_000)], prior=1.0)
    assert calibration.ratio > 1.15


def test_one_odd_turn_does_not_spoil_the_ratio():
    pairs = [(n * 5_000, n * 6_000) for n in range(1, 30)]
    before = taught(pairs).ratio
    after = taught([*pairs, (145_100, 180_000)]).ratio
    assert abs(after - before) < 0.02


def test_the_upper_estimate_covers_the_spread_it_has_seen():
    pairs, counted, reported = [], 0, 0
    for turn in range(60):
        counted += 1_000
        reported += 1_100 if turn % 5 else 1_400
        pairs.append((counted, reported))
    assert taught(pairs).upper(counted + 1_000) >= reported + 1_390


def test_a_stand_in_tokenizer_needs_a_larger_margin_than_the_own_one():
    assert Calibration(exact=True).upper(10_000) < Calibration(exact=False).upper(10_000)


@pytest.mark.parametrize(
    ("counted", "reported"),
    [
        (0, 100), (100, 0), (-5, 10), (10, -5), (math.nan, 10), (10, math.nan), (math.inf, 10),
        (10, math.inf), (True, True), (10_000, 3), (10, 10**12),
    ],
)  # fmt: skip
def test_nonsense_teaches_nothing(counted, reported):
    before = taught([(1_000, 1_200), (3_000, 3_600)])
    after = taught([(1_000, 1_200), (3_000, 3_600), (counted, reported)])
    assert before.to_json() == after.to_json()


def test_a_difference_no_tokenizer_explains_is_clamped():
    calibration = taught([(1_000, 1_000), (1_100, 50_000)])
    assert calibration.ratio <= 4


@settings(deadline=None)
@given(observations, st.integers(0, 400_000))
def test_the_upper_estimate_is_never_below_the_estimate(pairs, counted):
    calibration = taught(pairs, prior=1.25)
    assert 0 <= calibration.estimate(counted) <= calibration.upper(counted)


@settings(deadline=None)
@given(observations, st.lists(st.integers(0, 400_000), min_size=2, max_size=20))
def test_more_is_never_estimated_as_less(pairs, counts):
    calibration = taught(pairs)
    uppers = [calibration.upper(counted) for counted in sorted(counts)]
    assert sorted(uppers) == uppers


@settings(deadline=None)
@given(observations, st.integers(-10, 300_000), st.booleans())
def test_the_budget_is_the_largest_count_that_fits(pairs, limit, exact):
    calibration = taught(pairs, exact=exact)
    budget = calibration.budget(limit)
    assert budget == 0 or calibration.upper(budget) <= limit
    assert calibration.upper(budget + 1) > limit


@given(observations, st.integers(0, 200_000))
def test_it_survives_being_stored(pairs, counted):
    calibration = taught(pairs, prior=1.25)
    restored = Calibration.from_json(json.loads(json.dumps(calibration.to_json())))
    assert calibration.to_json() == restored.to_json()
    assert calibration.upper(counted) == restored.upper(counted)


@pytest.mark.parametrize(
    "change",
    [
        {"prior": 0},
        {"prior": "1"},
        {"counted": None},
        {"reported": -1},
        {"tokens": math.nan},
        {"seen": "abc"},
        {"seen": [1.0, None]},
        {"seen": 3},
        {"counted": 0},
        {"taught": 1e9},
    ],
)
def test_a_stored_state_that_is_none_is_refused(change):
    with pytest.raises(InvalidArgument):
        Calibration.from_json({**taught([(100, 120)]).to_json(), **change})


def test_an_empty_state_is_refused():
    with pytest.raises(InvalidArgument, match="prior"):
        Calibration.from_json({})


@pytest.mark.parametrize("prior", [0, -1, math.nan, math.inf, 100])
def test_a_prior_that_cannot_be_is_refused(prior):
    with pytest.raises(InvalidArgument, match="prior"):
        Calibration(prior, exact=True)


def test_one_agents_reports_are_not_anothers():
    taught([(1_000, 2_000)])
    assert 1_000 == Calibration(exact=True).estimate(1_000)


def test_an_answer_is_known_and_not_estimated():
    calibration = taught([(10_000, 12_000)], prior=1.25)
    calibration.answered(counted=1_000, reported=1_100)
    assert 13_100 == calibration.estimate(11_000)
    assert 13_100 + 125 == calibration.estimate(11_100)


def test_an_answer_that_holds_more_than_its_message_teaches_nothing():
    calibration = taught([(10_000, 12_000)], prior=1.25)
    before = calibration.to_json()
    calibration.answered(counted=1_000, reported=5_000)
    calibration.answered(counted=1_000, reported=100)
    calibration.answered(counted=0, reported=100)
    assert before == calibration.to_json()
    fresh = Calibration(exact=True)
    fresh.answered(counted=10, reported=10)
    assert Calibration(exact=True).to_json() == fresh.to_json()


def test_what_comes_between_answers_is_learned_apart_from_them():
    calibration = Calibration(1.0, exact=False)
    counted = reported = 0
    for _ in range(40):  # results weigh 1.5, answers 1.0
        counted, reported = counted + 1_000, reported + 1_500
        calibration.observe(counted=counted, reported=reported)
        calibration.answered(counted=500, reported=500)
        counted, reported = counted + 500, reported + 500
    assert 1.4 < calibration.ratio < 1.5


def test_a_refusal_of_what_is_counted_far_too_low_leaves_room_for_less():
    small, refused = (1_000, 1_400), (2_300, 9_500)
    calibration = taught([small, refused])

    assert calibration.upper(1_000) <= 1_400
    assert 1_000 < calibration.budget(5_700) < 2_300


def test_where_the_only_report_leaves_nothing_a_share_of_it_is_left():
    calibration = taught([(2_300, 9_500)])

    assert 0 == calibration.budget(5_700)
    assert 2_300 * 5_700 // 9_500 == calibration.in_proportion(5_700)
    assert 0 == Calibration(exact=True).in_proportion(5_700)
