"""What a run costs, waits that are told, and runs that are recorded and replayed."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.usefixtures("scripted")

PRICED = [
    word
    for setting in ("window=8192", "input_price=3", "output_price=15")
    for word in ("-c", f"models.scripted.{setting}")
]


def test_a_wait_is_told_and_the_answer_comes(mgc):
    done = mgc("run", "BUSY 0.01")

    assert (0, "You said: BUSY 0.01\n") == (done.code, done.out)
    assert "scripted: rate limited, waiting 0.0 s, then attempt 2: slow down\n" in done.err


def test_settings_say_that_nothing_is_sent_again(mgc):
    done = mgc("run", "BUSY 0.01", "-c", "backend.retry.attempts=1")

    assert 75 == done.code
    assert "waiting" not in done.err


def test_limits_of_the_settings_hold(mgc):
    told = ["-c", "backend.limits.requests_per_minute=1", "-c", "backend.retry.deadline=1"]

    done = mgc("run", "CALL recall", *told)

    assert 75 == done.code
    assert "1 requests a minute" in done.err


def test_the_envelope_has_the_cost(mgc):
    data = mgc("run", "hello", "--json", *PRICED).envelope["data"]

    usage, [account] = data["usage"], data["accounts"]
    cost = usage["prompt"] * 3 + usage["completion"] * 15
    assert cost == usage["cost"] == account["usage"]["cost"] > 0
    assert ("scripted", "scripted", 1, 0) == (
        account["backend"],
        account["model"],
        account["requests"],
        account["unpriced"],
    )


def test_without_a_price_the_cost_is_not_known(mgc):
    data = mgc("run", "hello", "--json").envelope["data"]

    assert data["usage"]["cost"] is None
    assert 1 == data["accounts"][0]["unpriced"]


def test_usage_of_sessions_is_summed_up_over_runs(mgc):
    first = mgc("run", "hello", "--session", "s", "--json", *PRICED).envelope["data"]["usage"]
    second = mgc("run", "again", "--session", "s", "--json", *PRICED).envelope["data"]["usage"]
    mgc("run", "hello", "--session", "t")

    every = mgc("session", "usage", "--json").envelope["data"]
    one = mgc("session", "usage", "s", "--json").envelope["data"]

    [row] = one["rows"]
    assert ("s", "agent", "scripted", 2, 0) == (
        row["session"],
        row["agent"],
        row["model"],
        row["answers"],
        row["unpriced"],
    )
    assert first["cost"] + second["cost"] == one["cost"] == every["cost"]
    assert first["prompt"] + second["prompt"] == row["usage"]["prompt"]
    assert ({"s", "t"}, 1) == ({each["session"] for each in every["rows"]}, every["unpriced"])


def test_usage_is_a_table_with_a_sum(mgc):
    mgc("run", "hello", "--session", "s", *PRICED)
    mgc("run", "hello", "--session", "t")

    done = mgc("session", "usage")

    assert ["session", "t", "s", "all"] == [line.split()[0] for line in done.out.splitlines()]
    assert 2 == done.out.count("$0.00")
    assert ["unknown"] == [line.split()[-1] for line in done.out.splitlines() if line[0] == "t"]
    assert "the cost of 1 answers is not known" in done.err


def test_a_sum_of_unknown_costs_is_unknown(mgc):
    mgc("run", "hello", "--session", "s")
    mgc("run", "hello", "--session", "t")

    assert "unknown" == mgc("session", "usage").out.splitlines()[-1].split()[-1]
    assert mgc("session", "usage", "--json").envelope["data"]["cost"] is None


def test_a_recorded_run_is_replayed_without_the_backend(mgc, folder):
    asked = ["run", "CALL recall {}", "--json"]
    recorded = mgc(*asked, "--record", "run.jsonl").envelope
    off = ["-c", "backend.window=0"]  # with it the backend cannot be made

    replayed = mgc(*asked, "--replay", "run.jsonl", *off).envelope

    assert recorded["data"]["text"] == replayed["data"]["text"]
    assert recorded["data"]["usage"] == replayed["data"]["usage"]
    assert 3 == mgc(*asked, *off).code
    lines = [json.loads(line) for line in (folder / "run.jsonl").read_text().splitlines()]
    assert 2 == sum("request" in line for line in lines)


def test_another_question_is_not_in_the_recording(mgc):
    mgc("run", "hello", "--record", "run.jsonl")

    done = mgc("run", "bye", "--replay", "run.jsonl")

    assert 1 == done.code
    assert "run.jsonl holds no answer to this request: message 0 is another" in done.err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--record", "a.jsonl", "--replay", "b.jsonl"], 2),
        (["--record", "missing/a.jsonl"], 2),
        (["--replay", "missing.jsonl"], 2),
    ],
)
def test_files_that_cannot_be_used_are_told(mgc, words, code):
    assert code == mgc("run", "hello", *words).code


def test_where_nothing_was_written_nothing_was_used(mgc):
    done = mgc("session", "usage", "--json")
    assert {"rows": [], "cost": 0, "unpriced": 0} == done.envelope["data"]
    assert "no session was written here yet" in done.err
