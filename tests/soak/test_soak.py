"""A small soak; `nox -s soak` runs the long one, and the one against a real model."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).with_name("soak.py")
TURNS = 300


@pytest.mark.timeout(300)  # 15 s on a machine with nothing else to do
def test_a_counter_that_finds_half_of_the_tokens_costs_no_user_an_error():
    command = [sys.executable, str(SOAK), "--json", "--turns", str(TURNS), "--seconds", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert "" == done.stderr
    assert 0 == done.returncode
    table = json.loads(done.stdout)
    [row] = [dict(zip(table["columns"], cells, strict=True)) for cells in table["rows"]]
    assert f"{TURNS}" == row["turns"]
    assert 0 == row["errors"]
    assert 10 == row["models"]
    assert 1 <= row["overflows"] <= 1.05 * row["re-calibrations"]
    assert int(row["fits"]) > TURNS / 10
    assert int(row["tool calls"]) >= TURNS
