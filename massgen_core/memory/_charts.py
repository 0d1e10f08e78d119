"""Charts as inline SVG: drawn in percent, so that text keeps its size on every screen."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEIGHT: Final = 160
"""Pixels of the tallest column."""
_LABELS: Final = 18
"""Pixels above a column for its value, and below for the names."""
_ROW: Final = 26
"""Pixels of a bar with the room around it."""


def columns(values: Mapping[str, int], label: str) -> str:
    """A column for each value, in order; the first and the last are named below."""
    if not values:
        return _nothing()
    most = max(1, *values.values())
    step = 100 / len(values)
    bars = []
    for place, (name, value) in enumerate(values.items()):
        height = max(1.0, _HEIGHT * value / most) if value else 0.0
        bars.append(
            f'<rect class="bar" x="{step * (place + 0.1):.3f}%" width="{step * 0.8:.3f}%" '
            f'y="{_LABELS + _HEIGHT - height:.1f}" height="{height:.1f}" rx="2">'
            f"<title>{escape(name)}: {value}</title></rect>"
        )
    base = _LABELS + _HEIGHT
    names = list(values)
    texts = [
        f'<text x="0" y="{_LABELS - 5}">{most}</text>',
        f'<text x="0" y="{base + _LABELS - 2}">{escape(names[0])}</text>',
    ]
    if len(names) > 1:
        texts.append(
            f'<text x="100%" y="{base + _LABELS - 2}" text-anchor="end">{escape(names[-1])}</text>'
        )
    lines = "".join(
        f'<line class="{kind}" x1="0" x2="100%" y1="{y}" y2="{y}"/>'
        for kind, y in (("grid", _LABELS), ("axis", base))
    )
    return _svg(lines + "".join((*bars, *texts)), base + _LABELS + 2, label)


def bars(values: Mapping[str, int], label: str) -> str:
    """A bar for each value, its name and number above it."""
    if not values:
        return _nothing()
    most = max(1, *values.values())
    rows = []
    for place, (name, value) in enumerate(values.items()):
        top = place * (_ROW + 8)
        width = max(0.5, 100 * value / most) if value else 0.0
        rows.append(
            f'<text x="0" y="{top + 13}">{escape(name)}</text>'
            f'<text x="100%" y="{top + 13}" text-anchor="end">{value}</text>'
            f'<rect class="track" x="0" y="{top + 18}" width="100%" height="8" rx="4"/>'
            f'<rect class="bar" x="0" y="{top + 18}" width="{width:.2f}%" '
            'height="8" rx="4"/>'
        )
    return _svg("".join(rows), len(values) * (_ROW + 8), label)


def _svg(content: str, height: int, label: str) -> str:
    return (
        f'<svg role="img" aria-label="{escape(label)}" width="100%" height="{height}">'
        f"{content}</svg>"
    )


def _nothing() -> str:
    return '<p class="quiet">Nothing yet.</p>'
