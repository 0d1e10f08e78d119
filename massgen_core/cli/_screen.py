"""Writing to standard output and standard error: data there, words for people here."""

from __future__ import annotations

import io
import os
import re
import sys
import threading
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

    from rich.console import Console, RenderableType
    from rich.status import Status

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_WIDE: Final = 10_000
"""Columns off a terminal: nothing is cut or wrapped for a program or a file."""

_CHUNK: Final = 16_384
"""Characters written at once. Python's unbuffered streams take part of a longer write, and say so
to nobody, when the reader of a pipe goes away."""

_PATIENCE: Final = 0.7
"""Seconds before a spinner appears; what is faster needs none."""


def plain(text: str) -> str:
    """The text without what could steer a terminal; line ends and tabs stay."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def no_color() -> bool:
    """Whether the user wants no colours (https://no-color.org) or the terminal has none."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def console(stream: TextIO) -> Console:
    """A console on the stream: styles on a terminal that wants them, plain wide text elsewhere."""
    from rich.console import Console  # noqa: PLC0415 - 20 ms

    return Console(
        file=stream,
        width=None if stream.isatty() else _WIDE,
        color_system=None if no_color() or not stream.isatty() else "auto",
        markup=False,
        highlight=False,
        emoji=False,
        soft_wrap=not stream.isatty(),
    )


def write(text: str) -> None:
    """Puts text on standard output as it is, at once."""
    _put(sys.stdout, text)


def show(thing: RenderableType, *, error: bool = False) -> None:
    """Puts a table or the like on standard output, or on standard error."""
    stream = sys.stderr if error else sys.stdout
    if stream.isatty():
        console(stream).print(thing, crop=False)
        return
    buffer = io.StringIO()
    console(buffer).print(thing)
    _put(stream, buffer.getvalue())


def _put(stream: TextIO, text: str) -> None:
    encoding = stream.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:  # a terminal or locale that cannot show it
        text = text.encode(encoding, "backslashreplace").decode(encoding)
    stream.writelines(text[start : start + _CHUNK] for start in range(0, len(text), _CHUNK))
    stream.flush()


def note(text: str, *, style: str = "") -> None:
    """Puts one line for people on standard error."""
    if not sys.stderr.isatty() or no_color():
        _put(sys.stderr, f"{plain(text)}\n")
    else:
        console(sys.stderr).print(plain(text), style=style, soft_wrap=True)


def moment(seconds: float) -> str:
    """A point in time, as the clock on the wall here says it; its seconds beyond the calendar."""
    try:
        return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):  # a year that calendars do not have
        return f"{seconds:.15g} s"


@contextmanager
def spinner(words: str) -> Iterator[None]:
    """Turns on standard error while the block runs, if that takes long and is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    waiting = _Waiting(words)
    timer = threading.Timer(_PATIENCE, waiting.begin)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        waiting.end()


class _Waiting:
    """A spinner that begins on another thread, and never after its end."""

    def __init__(self, words: str) -> None:
        self._words = words
        self._lock = threading.Lock()
        self._ended = False
        self._status: Status | None = None

    def begin(self) -> None:
        with self._lock:
            if not self._ended:
                self._status = console(sys.stderr).status(self._words)
                self._status.start()

    def end(self) -> None:
        with self._lock:
            self._ended = True
            if self._status is not None:
                self._status.stop()
