"""The page of all errors, from their docstrings; the heading of an error is its code."""

from __future__ import annotations

import re

import docstrings

from massgen_core import errors
from massgen_core.errors import MassgenError

HEAD = """\
# Errors

All errors of the engine are one tree. Each has a `code` that stays the same when its message is
reworded, a `hint` that says what to do, and attributes with types. `str(error)` is the message,
then the hint. All of them pickle.

```text
{tree}
```
"""


def drawing() -> str:
    """The tree as the docstring of the package draws it."""
    found = re.search(r"^ {4}MassgenError\n(?: {4}.*\n)+", errors.__doc__ or "", re.MULTILINE)
    assert found, "the docstring of massgen_core.errors draws the tree"
    return "\n".join(line[4:] for line in found[0].splitlines())


def classes() -> list[type[MassgenError]]:
    """All errors, in the order of the tree."""
    names = re.findall(r"^[│ ├└─]*(\w+)", drawing(), re.MULTILINE)
    return [getattr(errors, name) for name in names]


def entry(cls: type[MassgenError]) -> str:
    doc = docstrings.parse(cls.__doc__)
    bases = ", ".join(
        f"[`{base.__name__}`](#{base.code})"
        if issubclass(base, MassgenError)
        else f"`{base.__name__}`"
        for base in cls.__bases__
    )
    lines = [
        f"## {cls.code}",
        "",
        f"`massgen_core.errors.{cls.__name__}`; bases: {bases}",
        "",
        doc.prose,
    ]
    if doc.sections.get("Attributes"):
        lines += ["", doc.bullets("Attributes")]
    return "\n".join([*lines, ""])


def page() -> str:
    return "\n".join([HEAD.format(tree=drawing()), *map(entry, classes())])
