"""The page of measurements: three sessions write it, and none loses what another wrote."""

import runpy
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench"


@pytest.fixture
def page():
    return runpy.run_path(str(BENCH / "page.py"))


def test_a_section_takes_its_place_and_the_others_stay(page, tmp_path):
    path = tmp_path / "page.md"
    for section in ("soak", "bench", "peers", "bench"):
        page["write"](section, [f"Measured: {section}."], path)

    text = path.read_text("utf-8")
    titles = [line for line in text.splitlines() if line.startswith("#")]
    assert ["# Benchmarks", "## The engine", "## Beside other libraries", "## Endurance"] == titles
    assert {"bench", "peers", "soak"} == set(page["sections"](text))
    assert 1 == text.count("Measured: bench.")


def test_a_section_is_written_anew(page, tmp_path):
    path = tmp_path / "page.md"
    table = {"title": "Start", "note": "CPU.", "columns": ["a", "b"], "rows": [[1, 2]]}
    page["write"]("bench", ["old"], path)
    page["write"]("peers", ["kept"], path)
    page["write"]("bench", [page["markdown"](table)], path)

    found = page["sections"](path.read_text("utf-8"))
    assert (
        "## The engine\n\n### Start\n\nCPU.\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n"
        == (found["bench"])
    )
    assert "## Beside other libraries\n\nkept\n" == found["peers"]


def test_the_page_has_nothing_outside_its_sections(page):
    text = page["PAGE"].read_text("utf-8")

    expected = [page["HEAD"]]
    for name, body in page["sections"](text).items():
        expected.append(f"<!-- {name}: begin -->\n\n{body}\n<!-- {name}: end -->\n")
    assert "\n".join(expected) == text
