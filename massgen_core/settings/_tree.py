"""Trees of settings: the path of a value, a value still in text, and one source's layer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from pydantic import SecretBytes, SecretStr

KeyPath: TypeAlias = tuple[str | int, ...]
Value: TypeAlias = (
    "str | int | float | bool | bytes | dt.date | Raw | SecretStr | SecretBytes"
    " | dict[str, Value] | list[Value] | None"
)
Tree: TypeAlias = dict[str, Value]

_PLAIN_KEY: Final = re.compile(r"[^.\[\]\"'\s]+")
_SEGMENT: Final = re.compile(r"\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<plain>[^.\"'\s]+)")


@dataclass(frozen=True, slots=True)
class Raw:
    """Text from the environment or the command line; what it means depends on the field it is for.

    Attributes:
        text: The text as it was given.
        quotes: Whether a value in quotes stands for what is between them, as in YAML.
    """

    text: str = field(repr=False)
    quotes: bool = False


def format_path(path: KeyPath) -> str:
    """The dotted form people write: ``strategies[0].name``, ``models."gpt-4.1".window``."""
    out = ""
    for key in path:
        if isinstance(key, int):
            out += f"[{key}]"
        else:
            plain = _PLAIN_KEY.fullmatch(key)
            out += ("." if out else "") + (key if plain else f'"{key}"')
    return out


def parse_path(text: str) -> KeyPath | None:
    """The path of a dotted key, None if it is malformed; a part with dots in it needs quotes."""
    path: list[str] = []
    position = 0
    while match := _SEGMENT.match(text, position):
        path.append(next(part for part in match.groups() if part is not None))
        position = match.end()
        if position == len(text):
            return tuple(path)
        if text[position] != ".":
            return None
        position += 1
    return None


@dataclass(frozen=True, slots=True)
class Layer:
    """What one source says, before sources are joined.

    Attributes:
        label: Names the source to a person, e.g. ``massgen.yaml`` or ``environment``.
        tree: The settings it gives, nested by section.
        origins: Where in the source a value stands; a value without an entry has its parent's.
    """

    label: str
    tree: Tree = field(default_factory=dict, repr=False)
    origins: Mapping[KeyPath, str] = field(default_factory=dict, repr=False)

    def origin(self, path: KeyPath) -> str:
        """Where the value at a path was given, e.g. ``massgen.yaml:12``."""
        for stop in range(len(path), 0, -1):
            if found := self.origins.get(path[:stop]):
                return found
        return self.label

    def only(self, wanted: Callable[[str], bool]) -> Layer:
        """The layer with the wanted sections alone."""
        tree = {key: value for key, value in self.tree.items() if wanted(key)}
        return replace(self, tree=tree)

    def gives(self, path: KeyPath) -> bool:
        """Whether this layer has a value of its own at the path."""
        node: Value | Mapping[str, Value] = self.tree
        for key in path:
            if isinstance(node, Mapping) and key in node:
                node = node[str(key)]
            elif isinstance(node, list) and isinstance(key, int) and key < len(node):
                node = node[key]
            else:
                return False
        return True
