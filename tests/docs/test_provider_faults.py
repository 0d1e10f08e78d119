"""The page of faults says what was seen, of every fault and every backend."""

import sys

import pytest

from massgen_core.errors import Fatal
from massgen_core.testing import FAULTS

sys.path.insert(0, __file__.rpartition("/")[0])

from markup import ROOT

sys.path.insert(0, str(ROOT / "docs" / "_tools"))

faults = pytest.importorskip("page_provider_faults", reason="needs the source tree")


def test_the_page_has_a_row_for_each_fault_of_the_mock_provider():
    assert FAULTS.keys() <= {case.name for case in faults.CASES}


def test_each_fault_ends_in_the_error_that_is_expected_of_it():
    ends = {key: end.error for key, end in faults.outcomes().items() if key[0] in FAULTS}

    wrong = {key: e for key, e in ends.items() if not isinstance(e, FAULTS[key[0]].expected)}
    assert {} == wrong
    assert set(faults.BACKENDS) == {column for _, column in ends}


def test_no_fault_is_left_to_the_error_for_what_nobody_knows():
    unknown = [key for key, end in faults.outcomes().items() if type(end.error) is Fatal]

    assert [] == unknown


def test_only_faults_in_the_middle_come_after_text():
    late = {key[0] for key, end in faults.outcomes().items() if "after text" in str(end)}

    assert {name for name, fault in FAULTS.items() if fault.late} == late
