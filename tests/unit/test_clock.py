"""Time and UUIDv7 ids."""

from __future__ import annotations

import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_core.clock import SYSTEM_CLOCK, uuid7

SECONDS = st.floats(min_value=0, max_value=4e9)


@given(SECONDS)
def test_an_id_is_a_version_7_uuid_of_its_time(now):
    parsed = uuid.UUID(text := uuid7(now))

    assert text == str(parsed)
    assert 7 == parsed.version
    assert uuid.RFC_4122 == parsed.variant
    assert int(now * 1e9) // 1_000_000 == parsed.int >> 80


@given(SECONDS, st.floats(min_value=2e-6, max_value=1e6))
def test_ids_sort_by_time_also_within_a_millisecond(now, later):
    assert uuid7(now) < uuid7(now + later)


def test_ids_of_one_instant_differ():
    assert 10_000 == len({uuid7(1_700_000_000.0) for _ in range(10_000)})


def test_time_before_the_epoch_counts_as_the_epoch():
    assert uuid7(-5.0).startswith("00000000-0000-7000-")


@pytest.mark.parametrize("now", [float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(now):
    with pytest.raises((ValueError, OverflowError)):
        uuid7(now)


def test_the_system_clock_is_used_by_default():
    before = time.time_ns() // 1_000_000
    stamp = uuid.UUID(uuid7()).int >> 80
    after = time.time_ns() // 1_000_000

    assert before <= stamp <= after


def test_the_system_clock_tells_wall_time_and_never_goes_back():
    assert abs(SYSTEM_CLOCK.now() - time.time()) < 60
    first, second = SYSTEM_CLOCK.monotonic(), SYSTEM_CLOCK.monotonic()
    assert first <= second
