"""The page of measurements: each session writes its own section and keeps the others'."""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "benchmarks.md"
HEAD = """\
# Benchmarks

`nox -s bench`, `nox -s peers` and `nox -s soak` measure on your machine, and each writes its part
of this page. Timings are CPU time unless a column says otherwise; compare columns of one table, not
tables of two machines.
"""
SECTIONS = {
    "bench": "The engine",
    "peers": "Beside other libraries",
    "soak": "Endurance",
}
"""In the order of the page."""


def machine(distributions: Iterable[str]) -> str:
    """When and where it was measured, with which versions."""
    versions = [f"{name} {version(name)}" for name in distributions]
    parts = [f"Python {platform.python_version()}", f"{os.cpu_count()} cores", platform.machine()]
    day = datetime.now(UTC).date().isoformat()
    return f"Measured on {day} with {', '.join([*parts, *versions])}.\n"


def markdown(table: dict[str, Any]) -> str:
    """A table as a benchmark printed it, under its own heading."""
    rows = [table["columns"], ["---"] * len(table["columns"]), *table["rows"]]
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join([f"### {table['title']}", "", table["note"], "", *lines, ""])


def write(section: str, paragraphs: Iterable[str], page: Path = PAGE) -> None:
    """Puts a section in its place; the others stay as they are."""
    kept = sections(page.read_text("utf-8")) if page.is_file() else {}
    kept[section] = "\n".join([f"## {SECTIONS[section]}", "", *paragraphs]).strip() + "\n"
    parts = [
        f"<!-- {name}: begin -->\n\n{kept[name]}\n<!-- {name}: end -->\n"
        for name in SECTIONS
        if name in kept
    ]
    page.write_text("\n".join([HEAD, *parts]), "utf-8")


def sections(text: str) -> dict[str, str]:
    """The sections of a page, by name."""
    found = re.findall(r"<!-- (\w+): begin -->\n\n(.*?)\n<!-- \1: end -->", text, re.DOTALL)
    return dict(found)
