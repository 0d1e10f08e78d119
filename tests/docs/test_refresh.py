"""The script that proposes changes to the model catalogue."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docs" / "_tools" / "refresh_models.py"
HEAD = {"about": "x"}
ROWS = [
    {"name": "gpt-x", "provider": "openai", "window": 9, "input_price": 1, "source": "s"},
    {"name": "gemini-x", "provider": "google", "window": 9, "also": ["gemini-x-*"]},
    {"name": "llama-x", "provider": "meta", "window": 9},
]
LITELLM = {
    "gpt-x": {
        "input_cost_per_token": 2.5e-06,
        "output_cost_per_token": 1e-05,
        "cache_read_input_token_cost": 2.5e-07,
        "cache_creation_input_token_cost": 0.0,
        "input_cost_per_token_above_272k_tokens": 5e-06,
        "output_cost_per_token_above_272k_tokens": 1.5e-05,
        "supports_reasoning": True,
    },
    "gemini/gemini-x": {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0},
    "llama-x": {"input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06},
}


@pytest.fixture
def refresh(tmp_path):
    catalogue = tmp_path / "models.jsonl"
    catalogue.write_text("".join(json.dumps(row) + "\n" for row in (HEAD, *ROWS)))

    def refresh(name, text, *words):
        (tmp_path / name).write_text(text)
        asked = [tmp_path / name, "--source", "there", "--date", "2026-11-25"]
        command = [sys.executable, SCRIPT, *asked, "--catalogue", catalogue, *words]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        rows = [json.loads(line) for line in catalogue.read_text().splitlines()]
        assert HEAD == rows.pop(0)
        return done.stdout.splitlines(), rows

    return refresh


def test_it_says_what_would_change_and_changes_nothing(refresh):
    told, rows = refresh("prices.json", json.dumps(LITELLM))
    assert "gpt-x: input_price 1 -> 2.5" in told
    assert "gpt-x: output_price unknown -> 10" in told
    assert ROWS == rows


def test_it_writes_prices_with_their_source(refresh):
    _, (gpt, gemini, llama) = refresh("prices.json", json.dumps(LITELLM), "--write")
    assert {
        **ROWS[0],
        "input_price": 2.5,
        "cached_price": 0.25,
        "output_price": 10,
        "long_prompt": 272000,
        "long_input": 2,
        "long_output": 1.5,
        "reasoning": True,
        "price_source": "there",
        "price_date": "2026-11-25",
    } == gpt
    assert (0, 0, ["gemini-x-*"]) == (gemini["input_price"], gemini["output_price"], gemini["also"])
    assert ROWS[2] == llama, "what others serve has no one price"


def test_a_second_time_changes_nothing(refresh):
    refresh("prices.json", json.dumps(LITELLM), "--write")
    told, _ = refresh("prices.json", json.dumps(LITELLM), "--write")
    assert [] == told


def test_a_table_may_name_any_price_and_windows_are_only_told(refresh):
    table = "name,input_price,window\nllama-x,0.2,8\nnew,1,2\n"
    told, rows = refresh("prices.csv", table, "--write")
    assert [
        "llama-x: input_price unknown -> 0.2",
        "llama-x: window 9 -> 8  (look at it: not changed)",
        "new: not in the catalogue",
    ] == told
    assert (0.2, 9) == (rows[2]["input_price"], rows[2]["window"])
