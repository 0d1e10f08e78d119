"""What is wrong with the settings: collected first, raised together."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from massgen_core.errors import InvalidSetting, SettingsError, UnknownSetting
from massgen_core.settings._tree import KeyPath, format_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_VARIABLE: Final = re.compile(r"\bMASSGEN_\w+$")
_CLEAR_WINNER: Final = 0.1  # a guess that much better than the next stands alone
_FOLLOWS: Final = ("should ", "is ", "and ")
_HINT: Final = "`mgc config explain` shows where every value comes from."


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        kind: ``unknown`` key, ``invalid`` value, unusable ``file``, or a ``plugin`` that failed.
        path: Dotted path of the setting; empty if it is not about one.
        source: Where it was given, e.g. ``massgen.yaml:12``.
        message: All of it in one line, without secrets.
        suggestions: Known paths that look like an unknown one, best first.
        expected: What a value should be.
        given: What it is; stars in place of a secret.
    """

    kind: Literal["unknown", "invalid", "file", "plugin"]
    path: str
    source: str
    message: str
    suggestions: tuple[str, ...] = ()
    expected: str = ""
    given: str = ""


def unknown(path: KeyPath, source: str, known: Iterable[KeyPath]) -> Problem:
    """A key nobody knows, with the known ones that look like it.

    Args:
        path: The key.
        source: Where it was given.
        known: Paths of its siblings, and of settings elsewhere that may be meant.
    """
    near = _nearest(path, tuple(known))
    said = [_as_written(found, path, source) for found in near]
    meant = f"; did you mean {' or '.join(said)}?" if said else ""
    return Problem(
        kind="unknown",
        path=format_path(path),
        source=source,
        message=f"{source}: unknown setting '{format_path(path)}'{meant}",
        suggestions=tuple(format_path(found) for found in near),
    )


def _nearest(path: KeyPath, known: Sequence[KeyPath]) -> list[KeyPath]:
    wanted = str(path[-1]).lower().replace("-", "_")
    siblings = {str(found[-1]): found for found in known if found[:-1] == path[:-1]}
    near = difflib.get_close_matches(wanted, siblings, n=2)
    if len(near) > 1 and _likeness(wanted, near[0]) - _likeness(wanted, near[1]) > _CLEAR_WINNER:
        near = near[:1]
    moved = [found for found in known if found[-1] == wanted]
    return [siblings[key] for key in near] or moved[:2]


def _likeness(left: str, right: str) -> float:
    return difflib.SequenceMatcher(None, left, right).ratio()


def _as_written(known: KeyPath, path: KeyPath, source: str) -> str:
    """The known key as it is written in the source: a variable for a variable."""
    variable = _VARIABLE.search(source)
    if variable is None:
        return f"'{format_path(known)}'"
    rest = variable[0].split("__")[len(path) :] if len(known) == len(path) else []
    return "__".join(
        ["MASSGEN_" + str(known[0]).upper(), *map(str.upper, map(str, known[1:])), *rest]
    )


def invalid(path: KeyPath, source: str, expected: str, given: str = "") -> Problem:
    """A value that cannot be used.

    Args:
        path: Its key.
        source: Where it was given.
        expected: What follows the key, e.g. ``should be a valid integer``, or a sentence.
        given: The value as it may be shown.
    """
    tail = f"; it is {given}" if given else ""
    joint = " " if expected.startswith(_FOLLOWS) else ": "
    return Problem(
        kind="invalid",
        path=format_path(path),
        source=source,
        message=f"{source}: '{format_path(path)}'{joint}{expected}{tail}",
        expected=expected.removeprefix("should be "),
        given=given,
    )


def error_of(problems: Sequence[Problem]) -> SettingsError:
    """One error that lists all problems; its attributes tell of the first."""
    first = problems[0]
    lines = tuple(problem.message for problem in problems)
    message = lines[0]
    if len(lines) > 1:
        listed = "\n".join(f"  - {line}" for line in lines)
        message = f"{len(lines)} settings cannot be used:\n{listed}"
    if first.kind == "unknown":
        return UnknownSetting(
            message,
            path=first.path,
            source=first.source,
            suggestions=first.suggestions,
            problems=lines,
            hint=_HINT,
        )
    return InvalidSetting(
        message,
        path=first.path,
        source=first.source,
        expected=first.expected,
        given=first.given,
        problems=lines,
        hint=_HINT,
    )
