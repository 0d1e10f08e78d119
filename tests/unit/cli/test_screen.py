"""What is written where: tables, control characters, narrow encodings."""

from __future__ import annotations

import io
import json
import sys

import pytest
from rich.console import Console

from massgen_core.cli import _screen
from massgen_core.cli._reply import dumps, to_json
from massgen_core.cli._table import table_of
from massgen_core.events import ToolStarted
from massgen_core.messages import ToolCall

HEADERS = ("name", "size", "words")
ROWS = [("a", 1200, "two\nlines"), ("月光", 7, None)]


def printed(headers, rows, *, width=10_000, terminal=False):
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)
    console.print(table_of(headers, rows)())
    return console.file.getvalue()


def test_a_table_is_a_line_per_row_off_a_terminal():
    expected = """\
name   size  words
a     1,200  two lines
月光      7
"""

    assert expected == printed(HEADERS, ROWS)


def test_a_table_without_headers_has_no_line_for_them():
    assert "a  b\n" == printed(("", ""), [("a", "b")])


def test_a_table_without_rows_is_its_headers():
    assert "name  size  words\n" == printed(HEADERS, [])


def test_a_long_cell_wraps_on_a_terminal_and_nowhere_else():
    row = [("a", 1, "word " * 30)]

    assert 2 < len(printed(HEADERS, row, width=40, terminal=True).splitlines())
    assert 2 == len(printed(HEADERS, row).splitlines())


def test_a_long_table_is_plain_lines_on_a_terminal_too():
    rows = [(str(number), number, "word " * 30) for number in range(1000)]

    assert 1001 == len(printed(HEADERS, rows, terminal=True).splitlines())


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(1e30, "1e+30 s"), (253402343999.0, "253402343999 s"), (-7e10, "-70000000000 s")],
)
def test_a_moment_that_no_calendar_can_show_is_its_seconds(seconds, shown):
    assert shown == _screen.moment(seconds)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\N{REPLACEMENT CHARACTER}[31mred"),
        ("\x9b31m", "\N{REPLACEMENT CHARACTER}31m"),
        ("a\tb\nc", "a\tb\nc"),
        ("\r", "\N{REPLACEMENT CHARACTER}"),
        ("é月\U0001f319", "é月\U0001f319"),
    ],
)
def test_control_characters_do_not_reach_people(text, shown):
    assert shown == _screen.plain(text)


def test_letters_that_the_locale_lacks_are_escaped(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw := io.BytesIO(), "ascii"))

    _screen.write("é月\U0001f319\n")

    assert b"\\xe9\\u6708\\U0001f319\n" == raw.getvalue()


def test_json_stays_json_in_a_locale_that_lacks_letters(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw := io.BytesIO(), "ascii"))

    _screen.write(dumps("é月\U0001f319"))

    assert "é月\U0001f319" == json.loads(raw.getvalue())


def test_dataclasses_become_objects_with_their_kind():
    assert {
        "kind": "agent.tool_started",
        "call": {"kind": "tool_call", "id": "c", "name": "dig", "arguments": "{}"},
    } == to_json(ToolStarted(ToolCall("c", "dig")))
