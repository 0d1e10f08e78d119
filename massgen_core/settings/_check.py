"""What each layer says, checked key by key against the classes and given the right types."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pydantic import BaseModel, SecretBytes, SecretStr

from massgen_core._redact import STARS, looks_secret
from massgen_core.settings import _types
from massgen_core.settings._layers import plain_text
from massgen_core.settings._model import SELECTABLE, Settings
from massgen_core.settings._problems import Problem, invalid, unknown
from massgen_core.settings._secrets import given
from massgen_core.settings._sections import Selected, SelectedBackend
from massgen_core.settings._tree import KeyPath, Layer, Raw, Tree, Value
from massgen_core.settings._yaml import YamlProblem, parse_yaml

OWN: Final = "settings"
"""Under this key the composed model holds a plugin's own settings."""

_CONTAINERS: Final = (dict, list, tuple, set, frozenset, BaseModel)
_TEXTS: Final = (str, bytes)
_NUMBERS: Final = (bool, int, float)


@dataclass(frozen=True, slots=True)
class OwnSettings:
    """The settings class of a selected plugin.

    Attributes:
        model: The class; None if the plugin declares none.
        known: False if no one could say what the class is: then its keys are not checked.
    """

    model: type[BaseModel] | None
    known: bool = True


_REFUSED: Final = Raw("")
"""Stands for a value that was told to be wrong already."""

UNCHECKED: Final = OwnSettings(None, known=False)


@dataclass(slots=True)
class Check:
    """One walk over one layer; problems and secrets pile up in it.

    Attributes:
        layer: The layer.
        sections: Own settings of the plugin that each section selects.
        chain: Own settings of the strategies of ``strategies``, in order.
        problems: What is wrong, in the order of the layer.
        secrets: Every secret value of the layer, so that no message repeats it.
    """

    layer: Layer
    sections: Mapping[str, OwnSettings]
    chain: tuple[OwnSettings, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)

    def run(self) -> Layer:
        """The layer with typed values and without the keys that are wrong."""
        tree: Tree = {}
        fields = Settings.model_fields
        for key, value in self.layer.tree.items():
            path: KeyPath = (key,)
            if key in SELECTABLE:
                core = SelectedBackend if key == "backend" else Selected
                own = self.sections.get(key, UNCHECKED)
                self._keep(tree, path, self._selection(core, own, value, path))
            elif key == "strategies":
                tree[key] = self._strategies(value)
            elif key in fields:
                self._keep(tree, path, self.value(fields[key].annotation, value, path))
            else:
                self._unknown(path, [(name,) for name in fields])
        return replace(self.layer, tree=tree)

    def _keep(self, tree: Tree, path: KeyPath, value: Value) -> None:
        """Keeps a section; one that is no mapping is a problem here, not a riddle later."""
        section = str(path[0])
        if value is _REFUSED:
            return
        if section != "profile" and not isinstance(value, dict):
            source = self.layer.origin(path)
            self.problems.append(invalid(path, source, "should be a mapping", given(value)))
        elif value != {}:
            tree[section] = value

    def _strategies(self, value: Value) -> Value:
        if not isinstance(value, list):
            return None
        return [
            self._selection(
                Selected,
                self.chain[index] if index < len(self.chain) else UNCHECKED,
                item,
                ("strategies", index),
            )
            for index, item in enumerate(value)
        ]

    def _selection(
        self, core: type[Selected], own: OwnSettings, value: Value, path: KeyPath
    ) -> Value:
        """A section whose keys are partly the core's and partly the plugin's."""
        if not isinstance(value, dict):
            return value
        ours = {key: found for key, found in _types.keys(core).items() if key != OWN}
        theirs = {} if own.model is None else _types.keys(own.model)
        open_ended = not own.known or (own.model is not None and _types.allows_any_key(own.model))
        return self._mapping({**theirs, **ours}, value, path, open_ended=open_ended)

    def _mapping(
        self, fields: Mapping[str, Any], tree: Tree, path: KeyPath, *, open_ended: bool
    ) -> Tree:
        out: Tree = {}
        for key, inner in tree.items():
            at = (*path, key)
            if key in fields:
                value = self.value(fields[key].annotation, inner, at)
                if value is not _REFUSED:
                    out[key] = value
            elif open_ended:
                out[key] = self.value(Any, inner, at)
            else:
                self._unknown(at, [(*path, name) for name in fields])
        return out

    def _unknown(self, path: KeyPath, siblings: list[KeyPath]) -> None:
        known = [*siblings, *_core_paths()]
        self.problems.append(unknown(path, self.layer.origin(path), known))

    def value(self, annotation: Any, value: Value, path: KeyPath) -> Value:
        """The value as the annotation wants it, its keys checked."""
        if _types.is_secret(annotation) or looks_secret(str(path[-1])):
            return self._secret(annotation, value)
        value = self._decoded(annotation, value, path)
        if isinstance(value, bool) and _wants_number(annotation):
            source = self.layer.origin(path)
            self.problems.append(invalid(path, source, "should be a number", given(value)))
        if isinstance(value, dict):
            return self._inside(annotation, value, path)
        if isinstance(value, list):
            return [
                self.value(_types.child(annotation, index), item, (*path, index))
                for index, item in enumerate(value)
            ]
        return value

    def _inside(self, annotation: Any, value: Tree, path: KeyPath) -> Value:
        models = _types.models(annotation)
        if not models:
            return {
                key: self.value(_types.child(annotation, key), inner, (*path, key))
                for key, inner in value.items()
            }
        fields: dict[str, Any] = {}
        for model in reversed(models):
            fields.update(_types.keys(model))
        is_open = _types.allows_any_key(annotation) or _types.is_a(annotation, dict)
        return self._mapping(fields, value, path, open_ended=is_open)

    def _secret(self, annotation: Any, value: Value) -> Value:
        """A secret wrapped up early, so that no message or log can show it by accident."""
        value = _nothing(annotation, plain_text(value))
        self._remember(value)
        if isinstance(value, str) and _types.is_a(annotation, SecretStr):
            return SecretStr(value)
        if isinstance(value, str) and _types.is_a(annotation, SecretBytes):
            return SecretBytes(value.encode())
        return value

    def _remember(self, value: Value) -> None:
        match value:
            case dict():
                for inner in value.values():
                    self._remember(inner)
            case list():
                for inner in value:
                    self._remember(inner)
            case str() | int() | float():
                self.secrets.add(str(value))

    def _decoded(self, annotation: Any, value: Value, path: KeyPath) -> Value:
        """What a text stands for: only a field that holds more than text reads it as YAML."""
        if not isinstance(value, Raw):
            return value
        text = plain_text(value)
        if not isinstance(text, str) or _nothing(annotation, text) is None:
            return None
        anything = annotation in {Any, None, object}
        if anything or _types.is_a(annotation, *_CONTAINERS):
            return self._container(annotation, text, path)
        if _types.is_a(annotation, *_NUMBERS) and not _types.is_a(annotation, *_TEXTS):
            return _number(text)
        return text

    def _container(self, annotation: Any, text: str, path: KeyPath) -> Value:
        try:
            parsed, _ = parse_yaml(text)
        except YamlProblem:
            parsed = text
        if isinstance(parsed, dict | list) or annotation in {Any, None, object}:
            return parsed
        if not _types.is_a(annotation, str) and text[:1] in {"[", "{"}:
            source = self.layer.origin(path)
            self.problems.append(invalid(path, source, "should be YAML or JSON", STARS))
            return _REFUSED
        return text


def _nothing(annotation: Any, value: Value) -> Value:
    """None for the word ``null``, if the field may be null."""
    nullable = _types.is_a(annotation, type(None))
    return None if nullable and isinstance(value, str) and value in {"null", "~"} else value


def _wants_number(annotation: Any) -> bool:
    """Whether yes or no is no answer; pydantic would take it for 1 or 0."""
    anything = annotation in {Any, None, object} or _types.is_a(annotation, bool, str)
    return not anything and _types.is_a(annotation, int, float)


def _number(text: str) -> Value:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, _NUMBERS) else text


def _core_paths() -> list[KeyPath]:
    """Every setting of the core, for keys that were put in the wrong section."""
    return [
        (section, name)
        for section, found in Settings.model_fields.items()
        if section not in SELECTABLE
        for model in _types.models(found.annotation)
        for name in model.model_fields
    ]
