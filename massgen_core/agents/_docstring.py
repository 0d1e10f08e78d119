"""What a docstring says of a function and of its arguments (Google style)."""

from __future__ import annotations

import inspect
import re
from typing import Final

_SECTION: Final = re.compile(
    r"^(Args|Arguments|Parameters|Returns?|Yields?|Raises|Examples?|Notes?|Attributes):\s*$",
    re.MULTILINE,
)
_ARGUMENTS: Final = frozenset({"Args", "Arguments", "Parameters"})
_ARGUMENT: Final = re.compile(r"^\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")


def described(docstring: str | None) -> tuple[str, dict[str, str]]:
    """The text before the first section, and the description of each argument by its name."""
    text = inspect.cleandoc(docstring or "")
    pieces = _SECTION.split(text)
    arguments: dict[str, str] = {}
    for title, body in zip(pieces[1::2], pieces[2::2], strict=True):
        if title in _ARGUMENTS:
            arguments.update(_arguments(body))
    return pieces[0].strip(), arguments


def _arguments(body: str) -> dict[str, str]:
    lines = inspect.cleandoc("\n" + body).splitlines()
    out: dict[str, str] = {}
    name = ""
    for line in lines:
        match = _ARGUMENT.match(line)
        if match:
            name = match[1]
            out[name] = match[2]
        elif name and line.strip():
            out[name] = f"{out[name]} {line.strip()}".strip()
    return out
