"""Real transcripts in small, and the strategies that are measured on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from massgen_core.measure import Subject, read_transcripts
from massgen_core.testing import installed_strategy
from massgen_core.tokens import ModelCatalogue, counter_for

DATA = Path(__file__).parents[2] / "data"
COUNTER = counter_for(ModelCatalogue.shipped().get("gpt-4o"))


@pytest.fixture
def counter():
    return COUNTER


@pytest.fixture
def subject():
    """The sliding window alone."""
    return Subject((installed_strategy("sliding_window"),), COUNTER)


@pytest.fixture
def floor_only():
    """No strategy at all: only what the engine does in the end."""
    return Subject((), COUNTER)


@pytest.fixture(scope="session")
def pi():
    return read_transcripts((DATA / "pi-session.jsonl").read_text("utf-8"), COUNTER, name="pi")


@pytest.fixture(scope="session")
def tau():
    text = (DATA / "tau-bench-airline.json").read_text("utf-8")
    return read_transcripts(text, COUNTER, name="tau")
