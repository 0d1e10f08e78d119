"""Import strings of plugins, resolved with messages that name what is missing."""

from __future__ import annotations

import importlib
import re
from typing import Final

_ENTRY: Final = re.compile(r"(?P<module>[\w.]+)(:(?P<attribute>[\w.]+))?(\s*\[.*\])?")


class UnusablePlugin(TypeError):
    """A plugin breaks the rules of the plugin API; the text says which.

    Attributes:
        hint: What its author can do about it; may be empty.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def resolve(path: str) -> object:
    """The object that ``package.module:attribute`` or ``package.module`` names.

    Raises:
        UnusablePlugin: The string is malformed, or the module has no such attribute.
        BaseException: Whatever importing the module raises.
    """
    match = _ENTRY.fullmatch(path.strip())
    if match is None:
        raise UnusablePlugin(f"{path!r} is not of the form 'package.module:attribute'")
    target: object = importlib.import_module(match["module"])
    for part in (match["attribute"] or "").split("."):
        if part:
            target = _attribute(target, part, path)
    return target


def _attribute(owner: object, name: str, path: str) -> object:
    try:
        value: object = getattr(owner, name)
    except AttributeError as error:
        raise UnusablePlugin(f"{path!r}: {owner!r} has no attribute {name!r}") from error
    return value
