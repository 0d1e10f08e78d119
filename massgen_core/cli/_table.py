"""Tables for people: wrapped on a terminal, one line per row everywhere else."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from massgen_core.cli._screen import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.table import Table

_MANY: Final = 300
"""Rows from which on a terminal gets plain lines, too: rich needs half a millisecond for each."""


def table_of(
    headers: Sequence[str], rows: Iterable[Sequence[object]]
) -> Callable[[], RenderableType]:
    """Makes a table without lines, numbers to the right, once it is shown."""
    return partial(Rows, headers, rows)


class Rows:
    """Rows under headers, as rich prints them."""

    def __init__(self, headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        values = [list(row) for row in rows]
        self._headers = list(headers)
        self._rows = [[_cell(value) for value in row] for row in values]
        self._numbers = [
            bool(values) and all(isinstance(row[index], int) for row in values)
            for index in range(len(headers))
        ]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """A wrapping table for a terminal, lines for all else."""
        if options.is_terminal and len(self._rows) < _MANY:
            yield self._wrapping()
        else:
            from rich.segment import Segment  # noqa: PLC0415 - rich is loaded only to print

            yield Segment("\n".join(self._lines()) + "\n")

    def _wrapping(self) -> Table:
        from rich.table import Table  # noqa: PLC0415 - as above

        named = any(self._headers)
        grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=named)
        for header, numbers in zip(self._headers, self._numbers, strict=True):
            grid.add_column(
                header,
                justify="right" if numbers else "left",
                header_style="bold",
                overflow="fold",
            )
        for row in self._rows:
            grid.add_row(*row)
        return grid

    def _lines(self) -> Iterable[str]:
        from rich.cells import cell_len  # noqa: PLC0415 - as above

        table = [self._headers, *self._rows] if any(self._headers) else self._rows
        widths = [max(map(cell_len, column)) for column in zip(*table, strict=True)]
        for row in table:
            padded = [
                _padded(text, width - cell_len(text), left=numbers)
                for text, width, numbers in zip(row, widths, self._numbers, strict=True)
            ]
            yield "  ".join(padded).rstrip()


def _padded(text: str, blanks: int, *, left: bool) -> str:
    return " " * blanks + text if left else text + " " * blanks


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else plain(str(value)).replace("\n", " ")
