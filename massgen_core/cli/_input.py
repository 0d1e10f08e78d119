"""Reading what the user names on the command line."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NoReturn

import typer

from massgen_core.errors import InvalidArgument, InvalidMessages, MassgenError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STDIN: Final = "-"

_FORMAT: Final = (
    'Expected a JSON array of OpenAI chat messages: [{"role": ..., "content": ...}, ...]'
)


def read_text(file: Path) -> str:
    """The text of a file, or of standard input for ``-``.

    Raises:
        InvalidArgument: It cannot be read, or is no UTF-8 text.
    """
    try:
        data = sys.stdin.buffer.read() if str(file) == STDIN else file.read_bytes()
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise InvalidArgument(
            f"{named(file)} is no UTF-8 text: byte {exc.start} is {exc.object[exc.start]:#04x}",
            hint="Convert it to UTF-8.",
        ) from exc
    except OSError as exc:
        raise InvalidArgument(
            f"{named(file)} cannot be read: {exc.strerror}",
            hint="Name a file, or - for standard input.",
        ) from exc


def read_messages(file: Path) -> list[Any]:
    """The JSON array in a file, or on standard input for ``-``.

    Raises:
        InvalidArgument: It cannot be read.
        InvalidMessages: It is no JSON array.
    """
    text = read_text(file)
    if not text.strip():
        raise InvalidMessages(f"{named(file)} is empty", hint=_FORMAT)
    try:
        value = json.loads(text, parse_constant=_refused)
    except json.JSONDecodeError as exc:
        raise InvalidMessages(
            f"{named(file)} is not JSON: line {exc.lineno}, column {exc.colno}: {exc.msg}",
            hint=_FORMAT,
        ) from exc
    except (ValueError, RecursionError) as exc:
        raise InvalidMessages(f"{named(file)} is not usable JSON: {exc}", hint=_FORMAT) from exc
    if not isinstance(value, list):
        raise InvalidMessages(
            f"{named(file)} is a JSON {_TYPES.get(type(value), 'value')}, not an array",
            hint=_FORMAT,
        )
    return value


@contextmanager
def read_lines(file: Path) -> Iterator[Iterator[str]]:
    """The lines of a file, or of standard input for ``-``, read as they are asked for.

    Raises:
        InvalidArgument: It cannot be read, or is no UTF-8 text.
    """
    try:
        if str(file) == STDIN:
            yield iter(sys.stdin)
        else:
            with file.open(encoding="utf-8") as stream:
                yield iter(stream)
    except UnicodeDecodeError as exc:
        raise InvalidArgument(f"{named(file)} is no UTF-8 text") from exc
    except OSError as exc:
        raise InvalidArgument(f"{named(file)} cannot be read: {exc.strerror}") from exc


def agreed(question: str, *, yes: bool) -> None:
    """Returns if the user agrees; off a terminal nobody is asked.

    Raises:
        InvalidArgument: Nobody can be asked.
        MassgenError: The user does not agree.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidArgument(
            f"{question} Nobody can be asked here", hint="Add --yes to do it without asking."
        )
    if not typer.confirm(question, err=True):
        raise MassgenError("nothing was done: not confirmed")


def whole_number(name: str, text: str) -> int:
    """The positive whole number an option gives; ``8_000`` and ``8000`` are the same.

    Raises:
        InvalidArgument: It is none.
    """
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value > 0:
        return value
    raise InvalidArgument(
        f"--{name} is {text!r}, expected a positive whole number of tokens",
        hint=f"For example --{name} 8000.",
    )


def named(file: Path) -> str:
    """What messages call the file."""
    return "standard input" if str(file) == STDIN else repr(str(file))


_TYPES: Final = {dict: "object", str: "string", int: "number", float: "number"}


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
