"""A memory as one page for a browser: self-contained, every text in it escaped."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta
from html import escape
from typing import TYPE_CHECKING, Final

from massgen_core.memory._charts import bars, columns
from massgen_core.memory._lifecycle import name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from massgen_core.memory._record import MemoryRecord
    from massgen_core.memory._scope import Scope
    from massgen_core.memory._stats import MemoryStats

_WEEKS: Final = 52
"""Weeks that the chart of growth shows, the last ones."""
_ROWS: Final = 10
"""Rows of a table."""
_TEXT: Final = 400
"""Characters of a memory that are shown."""
_STYLE: Final = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --ink: #1c2430; --quiet: #5b6675;
  --line: #dfe3e8; --bar: #2f6fdb; --track: #e8ecf2; }
@media (prefers-color-scheme: dark) { :root { --page: #12161c; --card: #1b212a; --ink: #e6eaf0;
  --quiet: #9aa6b5; --line: #2e3743; --bar: #6ea3ff; --track: #28303b; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 24px 16px 48px; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; display: grid; gap: 16px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); align-items: start; }
header, .wide { grid-column: 1 / -1; }
h1 { font-size: 24px; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 16px; margin: 0 0 12px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 16px; min-width: 0; }
.tiles { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(132px, 1fr));
  margin: 0; }
.tiles div { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 12px 16px; }
.tiles dt, .quiet, td.quiet { color: var(--quiet); font-size: 13px; }
.tiles dd { margin: 0; font-size: 22px; font-weight: 600; }
svg { display: block; overflow: visible; }
svg text { fill: var(--ink); font-size: 13px; }
.bar { fill: var(--bar); } .track { fill: var(--track); }
.axis { stroke: var(--quiet); } .grid { stroke: var(--line); stroke-dasharray: 3 3; }
table { width: 100%; border-collapse: collapse; }
th, td { text-align: left; vertical-align: top; padding: 6px 12px 6px 0;
  border-top: 1px solid var(--line); overflow-wrap: anywhere; }
th { border-top: 0; color: var(--quiet); font-size: 13px; font-weight: 500; white-space: nowrap; }
td.number, th.number { text-align: right; white-space: nowrap; padding: 6px 0 6px 12px; }
td.when, td.kind { white-space: nowrap; }
tr.superseded td.text { text-decoration: line-through; color: var(--quiet); }
@media (max-width: 560px) {
  table.timeline, .timeline tbody, .timeline tr { display: block; }
  .timeline thead { display: none; }
  .timeline td { display: inline-block; border: 0; padding: 0 8px 0 0; color: var(--quiet); }
  .timeline td.text { display: block; color: var(--ink); padding-bottom: 8px; }
  .timeline tr { border-top: 1px solid var(--line); padding-top: 8px; }
}
"""


def page(scope: Scope, stats: MemoryStats, newest: Sequence[MemoryRecord]) -> str:
    """The page about a scope.

    Args:
        scope: What it is about.
        stats: What is there.
        newest: Memories for the timeline, oldest first.
    """
    title = "All memories" if not any(scope.values()) else f"Memories of {name_of(scope)}"
    sections = (
        _header(title, stats),
        _tiles(stats),
        _section("Remembered per week", columns(_weeks(stats), "Memories per week"), wide=True),
        _section("Kinds, active memories", bars(stats.by_kind, "Active memories by kind")),
        _section("States", bars(stats.by_state, "Memories by state")),
        _section("To look after", _care(stats)),
        _section("The file, in KiB", bars(_disk(stats), "What the file holds, in KiB")),
        _section("Largest scopes", _scopes(stats)),
        _section("Recalled most", _used(stats)),
        _section("Newest", _timeline(newest), wide=True),
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">"
        f"<title>{_safe(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body><main>{''.join(sections)}</main></body></html>\n"
    )


def _header(title: str, stats: MemoryStats) -> str:
    when = f"As of {_when(stats.at)} UTC."
    return f'<header><h1>{_safe(title)}</h1><p class="quiet">{when}</p></header>'


def _tiles(stats: MemoryStats) -> str:
    rate, weight = stats.hit_rate, stats.bytes_per_record
    tiles = {
        "active memories": f"{stats.active.records:,}",
        "of text": _size(stats.active.size),
        "of all recalls found something": "none" if rate is None else f"{rate:.0%}",
        "on disk per memory, all scopes": "none" if weight is None else _size(weight),
        "the whole file": _size(stats.disk.file),
    }
    rows = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles.items())
    return f'<dl class="tiles wide">{rows}</dl>'


def _weeks(stats: MemoryStats) -> dict[str, int]:
    """Every week from the first to the last, those without memories too."""
    if not stats.weeks:
        return {}
    first, last = (datetime.fromisoformat(week) for week in (min(stats.weeks), max(stats.weeks)))
    first = max(first, last - timedelta(weeks=_WEEKS - 1))
    weeks = (first + timedelta(weeks=number) for number in range((last - first).days // 7 + 1))
    names = (week.date().isoformat() for week in weeks)
    return {name: stats.weeks.get(name, 0) for name in names}


def _scopes(stats: MemoryStats) -> str:
    rows = [
        (_safe(name_of(scope)), f"{size.records:,}", _size(size.size))
        for scope, size in list(stats.by_scope.items())[:_ROWS]
    ]
    return _table(("scope", "memories", "text"), rows)


def _used(stats: MemoryStats) -> str:
    rows = [(_safe(record.text), f"{uses:,}") for record, uses in stats.top_used]
    return _table(("memory", "recalls"), rows)


def _care(stats: MemoryStats) -> str:
    rows = [
        ("the same text more than once", len(stats.duplicates)),
        ("nearly the same text", len(stats.near_duplicates)),
        ("older than 90 days, never recalled", len(stats.stale)),
        ("superseded", stats.by_state.get("superseded", 0)),
        ("waiting for extraction", stats.waiting),
        ("extraction given up", stats.given_up),
    ]
    return _table(("what", "how many"), [(what, f"{count:,}") for what, count in rows])


def _disk(stats: MemoryStats) -> dict[str, int]:
    disk = stats.disk
    sizes = {"log": disk.log, "texts": disk.texts, "vectors": disk.vectors, "free": disk.free}
    return {name: round(size / 1024) for name, size in sizes.items()}


def _timeline(newest: Iterable[MemoryRecord]) -> str:
    rows = "".join(
        f'<tr class="{_safe(one.state)}"><td class="when quiet">{_when(one.happened_at)}</td>'
        f'<td class="kind">{_safe(one.kind)}{" · pinned" if one.pinned else ""}</td>'
        f'<td class="text">{_safe(f"{one.speaker}: {one.text}" if one.speaker else one.text)}</td>'
        "</tr>"
        for one in reversed(list(newest))
    )
    if not rows:
        return '<p class="quiet">Nothing yet.</p>'
    head = "<thead><tr><th>when</th><th>kind</th><th>memory</th></tr></thead>"
    return f'<table class="timeline">{head}<tbody>{rows}</tbody></table>'


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are HTML already; numbers from the second column on."""
    if not rows:
        return '<p class="quiet">Nothing yet.</p>'
    head = "".join(_cell("th", place, name) for place, name in enumerate(names))
    body = "".join(
        f"<tr>{''.join(_cell('td', place, value) for place, value in enumerate(row))}</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(tag: str, place: int, content: str) -> str:
    kind = ' class="number"' if place else ""
    return f"<{tag}{kind}>{content}</{tag}>"


def _section(title: str, content: str, *, wide: bool = False) -> str:
    kind = ' class="wide"' if wide else ""
    return f"<section{kind}><h2>{title}</h2>{content}</section>"


def _safe(text: str) -> str:
    """The text as HTML: escaped, cut, without characters that browsers or files cannot take."""
    cut = text if len(text) <= _TEXT else f"{text[:_TEXT]}…"
    plain = "".join(
        "�" if unicodedata.category(each) in {"Cc", "Cs", "Cf"} and each not in "\n\t" else each
        for each in cut
    )
    return escape(plain)


def _when(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):  # a year that calendars do not have
        return "?"


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:  # noqa: PLR2004 - a unit
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
