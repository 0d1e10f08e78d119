"""Phase one: which plugins are selected, and which keys of lower sources that makes void."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from massgen_core.settings._model import SELECTABLE
from massgen_core.settings._problems import Problem, invalid
from massgen_core.settings._secrets import given
from massgen_core.settings._sections import DEFAULT_BACKEND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from massgen_core.settings._tree import KeyPath, Layer, Value


@dataclass(frozen=True, slots=True)
class Choice:
    """The names that were selected.

    Attributes:
        sections: For each section that selects one plugin, its name.
        chain: The strategies of ``strategies``, in order; None if there is no such list.
    """

    sections: dict[str, str]
    chain: tuple[str, ...] | None


def without_void_keys(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers, lowest first, without what a higher one makes void.

    A layer that changes the ``name`` of a section voids the lower layers' keys of that section.
    ``strategies`` voids what is lower of it and of ``strategy``; a named ``strategy`` voids lower
    ``strategies``.
    """
    kept: list[Layer] = []
    for layer in layers:
        void = {key for key in SELECTABLE if _changes_name(key, layer, kept)}
        if "strategies" in layer.tree:
            void |= {"strategy", "strategies"}
        if _name(layer, "strategy") is not None:
            void.add("strategies")
        kept = [lower.only(frozenset(lower.tree).difference(void).__contains__) for lower in kept]
        kept.append(layer)
    return tuple(kept)


def _changes_name(section: str, layer: Layer, lower: Sequence[Layer]) -> bool:
    name = _name(layer, section)
    before = _last_name(lower, section)
    return name is not None and before is not None and name != before


def _name(layer: Layer, section: str) -> Value:
    value = layer.tree.get(section)
    return value.get("name") if isinstance(value, dict) else None


def _last_name(layers: Sequence[Layer], section: str) -> Value:
    names = (_name(layer, section) for layer in reversed(layers))
    return next((name for name in names if name is not None), None)


def choose(layers: Sequence[Layer]) -> tuple[Choice, tuple[Problem, ...]]:
    """The selected names, and what is wrong with them.

    Args:
        layers: Lowest first, without void keys.
    """
    problems: list[Problem] = []
    sections: dict[str, str] = {}
    for section in SELECTABLE:
        said = [layer for layer in layers if layer.tree.get(section)]
        odd = [layer for layer in said if not isinstance(layer.tree[section], dict)]
        if odd:
            path = (section,)
            what = "should be a name, or a mapping with a `name`"
            value = odd[-1].tree[section]
            problems.append(invalid(path, odd[-1].origin(path), what, given(value)))
        elif said:
            name = _required(section, layers, problems)
            if name is not None:
                sections[section] = name
    chain = _chain(layers, problems)
    both = [layer for layer in layers if layer.tree.get("strategy")]
    if chain is not None and both:
        problems.append(
            invalid(
                ("strategies",), both[-1].origin(("strategy",)), "and 'strategy' exclude each other"
            )
        )
    return Choice(sections, chain), tuple(problems)


def _required(section: str, layers: Sequence[Layer], problems: list[Problem]) -> str | None:
    name = _last_name(layers, section)
    if name is None and section == "backend":
        return DEFAULT_BACKEND
    if isinstance(name, str) and name:
        return name
    path = (section, "name")
    source = _origin(layers, path)
    if name is None:
        problems.append(invalid(path, source, "is missing: the section must name its plugin"))
    else:
        problems.append(invalid(path, source, "should be the name of a plugin", given(name)))
    return None


def _origin(layers: Sequence[Layer], path: KeyPath) -> str:
    for wanted in (path, path[:1]):
        for layer in reversed(layers):
            if layer.gives(wanted):
                return layer.origin(wanted)
    return "default"


def _chain(layers: Sequence[Layer], problems: list[Problem]) -> tuple[str, ...] | None:
    layer = next((found for found in reversed(layers) if "strategies" in found.tree), None)
    value = layer.tree["strategies"] if layer is not None else None
    if layer is None or value is None:
        return None
    path: KeyPath = ("strategies",)
    if not isinstance(value, list):
        problems.append(invalid(path, layer.origin(path), "should be a list", given(value)))
        return None
    names: list[str] = []
    for index, item in enumerate(value):
        name = item.get("name") if isinstance(item, dict) else None
        if isinstance(name, str) and name:
            names.append(name)
        else:
            at = (*path, index)
            what = "should be a name, or a mapping with a `name`"
            problems.append(invalid(at, layer.origin(at), what))
    return tuple(names) if len(names) == len(value) else None
