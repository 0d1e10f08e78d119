"""Loaded settings as plain data: one tree, or one line per value with its source."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import BaseModel

from massgen_core._redact import looks_secret
from massgen_core.settings import _types
from massgen_core.settings._check import OWN
from massgen_core.settings._compose import DEFAULT, origin
from massgen_core.settings._model import Settings
from massgen_core.settings._secrets import redacted
from massgen_core.settings._sections import Selected
from massgen_core.settings._tree import KeyPath, Layer, format_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Shown: TypeAlias = "str | int | float | bool | list[Shown] | dict[str, Shown] | None"


@dataclass(frozen=True, slots=True)
class Explained:
    """One value and where it comes from.

    Attributes:
        path: Its dotted path.
        value: The value; text as it is, the rest as JSON, stars in place of a secret.
        source: ``default``, or where it was given, e.g. ``massgen.yaml:12``.
    """

    path: str
    value: str
    source: str


def shown(settings: Settings) -> dict[str, Shown]:
    """The settings as one tree of JSON values, as people write them; secrets are stars."""
    return {name: _tree(getattr(settings, name), name) for name in Settings.model_fields}


def _tree(value: Any, key: str) -> Any:
    match value:
        case BaseModel() if not looks_secret(key):
            return {keys[0]: _tree(inner, keys[0]) for keys, inner in _fields(value)}
        case dict() if not looks_secret(key):
            return {str(name): _tree(inner, str(name)) for name, inner in value.items()}
        case list() | tuple() if not looks_secret(key):
            return [_tree(item, "") for item in value]
    return redacted(value, key)


def _fields(model: BaseModel) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The keys that set each field, and its value; a plugin's own follow those of the core."""
    out: dict[tuple[str, ...], Any] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(model, Selected) and name == OWN:
            out.update(() if value is None else _fields(value))
        else:
            out[_types.keys_of(type(model), name)] = value
    for extra, value in (model.model_extra or {}).items():
        out[extra,] = value
    yield from out.items()


def explained(settings: Settings, layers: Sequence[Layer]) -> Iterator[Explained]:
    """Every value with its source.

    Args:
        settings: What was loaded.
        layers: The checked layers it was loaded from, lowest first.
    """
    for name in Settings.model_fields:
        yield from _rows(getattr(settings, name), (name,), ((name,),), layers)


def _rows(
    value: Any, path: KeyPath, written: Sequence[KeyPath], layers: Sequence[Layer]
) -> Iterator[Explained]:
    """The lines of a value; `written` are the paths by which a layer may have set it."""
    for keys, inner in _parts(value):
        ways = [(*way, key) for way in written for key in keys]
        yield from _rows(inner, (*path, keys[0]), ways, layers)
    if any(True for _ in _parts(value)):
        return
    hidden = next((str(key) for key in path if looks_secret(str(key))), "")
    yield Explained(format_path(path), _text(redacted(value, hidden)), _source(written, layers))


def _parts(value: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    match value:
        case BaseModel():
            yield from _fields(value)
        case dict() if any(isinstance(inner, BaseModel) for inner in value.values()):
            yield from (((str(key),), inner) for key, inner in value.items())
        case list() | tuple() if any(isinstance(item, BaseModel) for item in value):
            yield from (((index,), item) for index, item in enumerate(value))


def _source(written: Sequence[KeyPath], layers: Sequence[Layer]) -> str:
    found = (origin(layers, path) for path in written)
    return next((source for source in found if source != DEFAULT), DEFAULT)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
