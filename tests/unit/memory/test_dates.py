from datetime import UTC, datetime

import pytest

from massgen_core.memory._dates import date_hint, month_of, spelled


def seconds(year, month, day=1):
    return datetime(year, month, day, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("query", "months", "years"),
    [
        ("What happened in May 2023?", {4}, {2023}),
        ("Who came on 3 may?", {4}, set()),
        ("On May 3, 2021, who came?", {4}, {2021}),
        ("June or Sept. of 1999", {5, 8}, {1999}),
        ("since march", {2}, set()),
        ("in 2022", set(), {2022}),
    ],
)
def test_months_and_years_are_found_in_a_question(query, months, years):
    hint = date_hint(query)

    assert (months, years) == (hint.months, hint.years)


@pytest.mark.parametrize(
    "query", ["May I march there?", "What may it be?", "room 12023", "a junebug", ""]
)
def test_verbs_and_other_numbers_are_no_dates(query):
    assert None is date_hint(query)


@pytest.mark.parametrize(
    ("query", "year", "month", "fits"),
    [
        ("in May 2023", 2023, 5, True),
        ("in May 2023", 2023, 6, True),
        ("in May 2023", 2023, 7, False),
        ("in May 2023", 2023, 4, False),
        ("in May 2023", 2022, 5, False),
        ("in December 2022", 2023, 1, True),
        ("in December 2022", 2022, 1, False),
        ("in December", 2019, 1, True),
        ("in 2022", 2022, 7, True),
        ("in 2022", 2023, 1, False),
    ],
)
def test_a_month_fits_if_it_is_named_or_follows_one_that_is(query, year, month, fits):
    assert fits == date_hint(query).fits(month_of(seconds(year, month)))


def test_a_day_is_spelled():
    assert "8 May 2023" == spelled(seconds(2023, 5, 8))
    assert "1 January 1970" == spelled(0.0)


@pytest.mark.parametrize("time", [None, float("nan"), float("inf"), 1e300, -1e300])
def test_what_is_no_date_is_none(time):
    assert None is month_of(time)
    assert "" == spelled(time)
