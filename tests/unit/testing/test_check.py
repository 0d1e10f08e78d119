"""How results of a conformance suite are gathered; the suites themselves are tested elsewhere."""

from __future__ import annotations

import pytest

from massgen_core.errors import InvalidArgument, MassgenError
from massgen_core.plugin import PluginHost
from massgen_core.testing import _check, check_plugin

SUITE = '''
import pytest
from massgen_core.testing import Suite, requires

class TinySuite(Suite):
    vocabulary = frozenset({"exact"})

    def test_holds(self):
        """It holds.

        At length.
        """
        print("noise")

    def test_breaks(self):
        assert 1 == 2, "one is not two"

    @requires("exact")
    def test_exact(self): ...

    def test_cannot_start(self, no_such_fixture): ...

class TestTiny(TinySuite): ...
'''


@pytest.fixture
def provided():
    return PluginHost().get("strategy", "sliding_window")


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Puts a suite of four tests in the place of that of strategies."""

    def put(source):
        (tmp_path / "_checked_strategy.py").write_text(source)
        monkeypatch.setattr(_check, "__file__", str(tmp_path / "_check.py"))

    return put


def test_every_test_is_reported_with_its_outcome(tiny, provided):
    tiny(SUITE)

    results = {one.test: one for one in check_plugin(provided)}

    assert {
        "test_holds": "passed",
        "test_breaks": "failed",
        "test_exact": "skipped",
        "test_cannot_start": "failed",
    } == {name: one.outcome for name, one in results.items()}
    assert {"TinySuite"} == {one.suite for one in results.values()}
    assert "It holds." == results["test_holds"].about
    assert "one is not two" in results["test_breaks"].reason
    assert "assert 1 == 2" in results["test_breaks"].detail
    assert ("exact",) == results["test_exact"].capabilities
    assert "capability not declared: exact" == results["test_exact"].reason
    assert "no_such_fixture" in results["test_cannot_start"].detail


def test_a_suite_that_cannot_be_loaded_is_a_failure(tiny, provided):
    tiny("raise OSError('no device')")

    [result] = check_plugin(provided)

    assert ("failed", "collection") == (result.outcome, result.test)
    assert "no device" in result.detail


def test_a_process_that_dies_is_told(tiny, provided):
    tiny("import os; os._exit(7)")

    with pytest.raises(MassgenError, match="ended with 7 and no result"):
        check_plugin(provided)


def test_missing_packages_are_named_with_the_command_that_installs_them(provided, monkeypatch):
    monkeypatch.setattr(_check, "find_spec", lambda name: None)

    with pytest.raises(MassgenError, match="need pytest and hypothesis") as caught:
        check_plugin(provided)

    assert "pip install pytest hypothesis" == caught.value.hint


def test_a_kind_without_a_suite_says_which_there_are():
    provided = PluginHost().get("token_counter", "estimate")

    with pytest.raises(InvalidArgument, match="only these can be checked: strategy"):
        check_plugin(provided)
