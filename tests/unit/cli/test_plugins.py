"""`mgc plugins new` and `check`: what is said; what they do is tested where it is done."""

from __future__ import annotations

import pytest

from massgen_core import testing
from massgen_core.testing import CheckResult

PASSED = CheckResult("StrategySuite", "test_02_pairs", "Pairs.", "passed")
SKIPPED = CheckResult(
    "StrategySuite", "test_exact", "", "skipped", ("exact",), "capability not declared: exact"
)
FAILED = CheckResult("StrategySuite", "test_01_size", "", "failed", (), "too large", "E  example")


@pytest.fixture
def found(monkeypatch):
    def say(*results):
        monkeypatch.setattr(testing, "check_plugin", lambda provided: results, raising=False)

    return say


def test_a_new_plugin_is_written_where_it_was_asked_for(mgc, folder):
    done = mgc("plugins", "new", "strategy", "keep_questions", "--into", "mine")

    assert 0 == done.code
    assert "mine/massgen-keep-questions/pyproject.toml" in done.out.splitlines()
    assert (folder / "mine/massgen-keep-questions/pyproject.toml").is_file()
    assert "pip install -e mine/massgen-keep-questions" in done.err


def test_the_envelope_names_the_files(mgc, folder):
    data = mgc("plugins", "new", "strategy", "mine", "--json").envelope["data"]

    assert "massgen-mine" == data["folder"]
    assert all((folder / path).is_file() for path in data["files"])


def test_a_second_time_is_refused(mgc):
    mgc("plugins", "new", "strategy", "mine")
    done = mgc("plugins", "new", "strategy", "mine")

    assert 2 == done.code
    assert "is there already" in done.err


def test_what_passes_ends_well(mgc, found):
    found(PASSED, SKIPPED)

    done = mgc("plugins", "check", "sliding_window")

    assert (0, "") == (done.code, done.err)
    assert "02_pairs" in done.out
    assert "capability not declared: exact" in done.out


def test_a_failure_ends_with_1_and_its_reason(mgc, found):
    found(PASSED, FAILED)

    done = mgc("plugins", "check", "sliding_window")

    assert 1 == done.code
    assert "too large" in done.out
    assert "1 of 2 tests failed with 'sliding_window'" in done.err
    assert "E  example" not in done.err
    assert "E  example" in mgc("plugins", "check", "sliding_window", "-v").err


def test_no_test_at_all_is_no_success(mgc, found):
    found()

    assert 1 == mgc("plugins", "check", "sliding_window").code


def test_the_envelope_has_every_result(mgc, found):
    found(PASSED, SKIPPED, FAILED)

    envelope = mgc("plugins", "check", "sliding_window", "--json").envelope

    assert (False, "plugin-broken") == (envelope["ok"], envelope["error"]["code"])
    assert ["passed", "skipped", "failed"] == [
        one["outcome"] for one in envelope["data"]["results"]
    ]
    assert ["exact"] == envelope["data"]["results"][1]["capabilities"]


def test_an_unknown_name_is_met_with_a_near_miss(mgc):
    done = mgc("plugins", "check", "sliding_windo")

    assert 3 == done.code
    assert "Did you mean 'sliding_window'?" in done.err


@pytest.mark.parametrize("name", ["openai", "anthropic", "gemini", "local"])
def test_of_a_backend_the_distribution_is_checked_and_what_else_there_is_is_told(mgc, name):
    pytest.importorskip(f"massgen_{name}")
    done = mgc("plugins", "check", name, "--json")

    assert 0 == done.code
    results = done.envelope["data"]["results"]
    assert {("PackagingSuite", "passed")} == {(one["suite"], one["outcome"]) for one in results}
    assert f"`mgc backend check {name}`" in done.err
    assert "BackendSuite" in done.err


def test_a_kind_without_a_suite_is_refused(mgc):
    done = mgc("plugins", "check", "estimate")

    assert 2 == done.code
    assert "only these can be checked: strategy" in done.err
