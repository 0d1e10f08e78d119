"""`mgc context bench`: what it prints, and what is said of bad input."""

from __future__ import annotations

from pathlib import Path

import pytest

from massgen_core import measure
from massgen_core.measure import Edge

DATA = Path(__file__).parents[2] / "data"
PI, TAU = DATA / "pi-session.jsonl", DATA / "tau-bench-airline.json"


def test_every_suite_is_measured_on_every_transcript(mgc):
    data = mgc("context", "bench", PI, TAU, "--json").envelope["data"]

    assert ["retention", "canary", "cache", "edges"] == list(data["suites"])
    assert [0.75, 0.5] == [row["budget"] for row in data["suites"]["retention"]]
    assert ["pi-session.jsonl", "tau-bench-airline.json#0", "tau-bench-airline.json#1"] == [
        one["name"] for one in data["transcripts"]
    ]
    assert {"over": 0, "unpaired": 0, "edges": []} == data["violations"]
    assert "o200k_base" == data["tokenizer"]
    assert {0.9, 0.7, 0.6, 0.5} == {row["target"] for row in data["suites"]["cache"]}


def test_suites_budgets_and_strategies_are_chosen(mgc):
    words = "--suite", "retention", "--budget", "3_000", "--budget", "0.4"
    data = mgc("context", "bench", TAU, *words, "--strategy", "sliding_window", "--json").envelope[
        "data"
    ]

    assert ["retention"] == list(data["suites"])
    assert [3000, 0.4] == [row["budget"] for row in data["suites"]["retention"]]
    assert ["sliding_window"] == data["strategies"]


def test_people_get_tables(mgc):
    done = mgc("context", "bench", TAU, "--suite", "retention", "--suite", "edges")

    assert 0 == done.code
    assert "in context" in done.out
    assert "75%" in done.out
    assert "one huge newest tool result" in done.out


def test_the_edge_cases_need_no_file(mgc):
    assert 0 == mgc("context", "bench", "--suite", "edges").code


def test_the_low_water_mark_of_the_settings_is_tried_too(mgc):
    words = "--suite", "cache", "-c", "context.target_ratio=0.8"
    data = mgc("context", "bench", TAU, *words, "--json").envelope["data"]

    assert 0.8 in {row["target"] for row in data["suites"]["cache"]}


def test_a_transcript_comes_from_standard_input(mgc):
    done = mgc("context", "bench", "-", "--suite", "retention", stdin=TAU.read_text("utf-8"))

    assert 0 == done.code


def test_a_violation_ends_with_1(mgc, monkeypatch):
    lost = Edge(
        case="huge",
        survived=False,
        tokens=9000,
        budget=8000,
        messages=3,
        over=True,
        unpaired=2,
        question=True,
    )
    monkeypatch.setattr(measure, "edges", lambda subject: (lost,))

    done = mgc("context", "bench", "--suite", "edges", "--json")

    assert 1 == done.code
    assert {"over": 1, "unpaired": 2, "edges": ["huge"]} == done.envelope["data"]["violations"]
    assert "1 edge cases lost: huge" in done.envelope["error"]["message"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no transcript to measure"),
        ([TAU, "--suite", "speed"], "expected one of retention, canary, cache, edges"),
        ([TAU, "--budget", "0"], "--budget is '0'"),
        ([TAU, "--budget", "-3"], "--budget is '-3'"),
        ([TAU, "--budget", "1.5"], "--budget is '1.5'"),
        ([TAU, "--budget", "nan"], "--budget is 'nan'"),
        ([TAU, "--budget", "inf"], "--budget is 'inf'"),
        ([TAU, "--budget", "much"], "--budget is 'much'"),
        (["nothing.json"], "'nothing.json' cannot be read"),
        ([__file__], "is not JSON"),
    ],
)
def test_what_cannot_be_measured_is_told(mgc, words, said):
    done = mgc("context", "bench", *words)

    assert 2 == done.code
    assert said in done.err
