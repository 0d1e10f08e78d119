"""YAML that knows its lines: safe types only, no key twice, no values in error messages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from massgen_core.settings._tree import KeyPath, Value

_QUOTED_WORDS: Final = re.compile(r" ?'(?!<)[^']{2,}'")
_MAX_NODES: Final = 100_000
_CORE: Final = "tag:yaml.org,2002:"
_SAFE_TAGS: Final = frozenset(
    _CORE + name for name in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp")
)


class YamlProblem(ValueError):
    """Text that is not the YAML we read.

    Attributes:
        line: From 1; 0 if unknown.
    """

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def parse_yaml(text: str) -> tuple[Value, dict[KeyPath, int]]:
    """The value, and the line (from 1) of every key and item in it.

    Raises:
        YamlProblem: Bad syntax, a key twice, a key that is no text, or a tag of an unsafe type.
    """
    loader = None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        reader = _Reader(loader)
        return (None if node is None else reader.value(node, ())), reader.lines
    except (yaml.MarkedYAMLError, yaml.reader.ReaderError, RecursionError, ValueError) as exc:
        problem = _described(exc, text)
    finally:
        if loader is not None:
            loader.dispose()
    raise problem


def _described(exc: Exception, text: str) -> YamlProblem:
    """The error without the text it stumbled over, which may hold a secret."""
    match exc:
        case YamlProblem():
            return exc
        case yaml.MarkedYAMLError():
            mark = exc.problem_mark or exc.context_mark
            said = ": ".join(part for part in (exc.context, exc.problem) if part)
            what = _QUOTED_WORDS.sub("", said or "bad syntax")
            return YamlProblem(what, mark.line + 1 if mark else 0)
        case yaml.reader.ReaderError():
            line = text.count("\n", 0, int(exc.position)) + 1
            return YamlProblem("a character that YAML does not allow", line)
        case RecursionError():
            return YamlProblem("nested too deeply", 0)
        case _:
            return YamlProblem("a value that does not exist, such as a 13th month", 0)


class _Reader:
    """Turns nodes into values and notes their lines."""

    def __init__(self, loader: yaml.SafeLoader) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._loader = loader
        self._open: set[int] = set()
        self._count = 0

    def value(self, node: yaml.Node, path: KeyPath) -> Value:
        self._count += 1
        if self._count > _MAX_NODES:
            raise YamlProblem(f"more than {_MAX_NODES} values", _line(node))
        if node.tag not in _SAFE_TAGS:
            raise YamlProblem("a tag of a type that settings cannot have", _line(node))
        match node:
            case yaml.MappingNode():
                return self._inside(node, path)
            case yaml.SequenceNode():
                return self._inside(node, path)
            case _:
                return self._scalar(node)

    def _scalar(self, node: yaml.Node) -> Value:
        try:
            value: Value = self._loader.construct_object(node)
        except ValueError:
            problem = YamlProblem("a value that does not exist, such as a 13th month", _line(node))
        else:
            return value
        raise problem

    def _inside(self, node: yaml.MappingNode | yaml.SequenceNode, path: KeyPath) -> Value:
        if id(node) in self._open:
            raise YamlProblem("an alias to what it is part of", _line(node))
        self._open.add(id(node))
        value = (
            self._mapping(node, path)
            if isinstance(node, yaml.MappingNode)
            else self._sequence(node, path)
        )
        self._open.discard(id(node))
        return value

    def _sequence(self, node: yaml.SequenceNode, path: KeyPath) -> list[Value]:
        out: list[Value] = []
        for index, item in enumerate(node.value):
            self.lines[*path, index] = _line(item)
            out.append(self.value(item, (*path, index)))
        return out

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Value]:
        out: dict[str, Value] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key in out:
                raise YamlProblem(f"the key {key!r} is given twice", _line(key_node))
            self.lines[*path, key] = _line(key_node)
            out[key] = self.value(value_node, (*path, key))
        return out

    def _key(self, node: Any) -> str:
        if node.tag == f"{_CORE}merge":
            raise YamlProblem("merge keys (<<) are not supported", _line(node))
        if not isinstance(node, yaml.ScalarNode) or node.tag != f"{_CORE}str":
            raise YamlProblem("a key that is no text; put it in quotes", _line(node))
        return str(node.value)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
