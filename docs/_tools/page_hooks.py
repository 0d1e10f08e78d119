"""The page of all hooks, from the hook specifications."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import docstrings

from massgen_core.plugin import hookspecs

if TYPE_CHECKING:
    from collections.abc import Callable


def hooks() -> list[Callable[..., Any]]:
    return [
        value
        for name, value in vars(hookspecs).items()
        if name.startswith("massgen_") and inspect.isfunction(value)
    ]


def entry(hook: Callable[..., Any]) -> str:
    doc = docstrings.parse(hook.__doc__)
    words = str(inspect.signature(hook)).replace("'", "")
    signature = f"```text\n{hook.__name__}{words}\n```"
    return "\n".join(
        [f"## {hook.__name__}", "", signature, "", doc.prose, "", docstrings.example(doc)]
    )


def page() -> str:
    prose = docstrings.parse(hookspecs.__doc__).prose
    return "\n".join(["# Hooks", "", prose, "", *map(entry, hooks())])
