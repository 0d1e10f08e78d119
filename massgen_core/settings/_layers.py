"""One layer per source, lowest first, with the shorthands written out and the profile laid over."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from massgen_core.errors import InvalidSetting
from massgen_core.settings._files import (
    DOTENV,
    dotenv_values,
    project_layer,
    user_layer,
    yaml_layer,
)
from massgen_core.settings._model import PROFILES, SELECTABLE, Settings
from massgen_core.settings._problems import error_of, invalid, unknown
from massgen_core.settings._tree import KeyPath, Layer, Raw, Tree, Value, parse_path
from massgen_core.settings._yaml import YamlProblem, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

ENV_PREFIX: Final = "MASSGEN_"
OVERRIDE: Final = "-c"
_SECTIONS: Final = frozenset(Settings.model_fields)


@dataclass(frozen=True, slots=True)
class Sources:
    """All that was found.

    Attributes:
        layers: What each source says, lowest first.
        unused: The profiles that were not chosen.
        profile: The chosen profile, if any.
        project_dir: Folder of the project file; the current folder if there is none.
        files: The files that were read.
        ignored: Variables that start like ours but are none of ours, e.g. ``MASSGEN_CRASH_SEED``.
    """

    layers: tuple[Layer, ...]
    unused: tuple[Layer, ...]
    profile: str | None
    project_dir: Path
    files: tuple[Path, ...]
    ignored: tuple[str, ...]


def read_sources(
    *,
    overrides: Sequence[str],
    env: Mapping[str, str],
    cwd: Path,
    profile: str | None,
    file: Path | None,
) -> Sources:
    """What every source says.

    Raises:
        SettingsFileError: A file cannot be read or parsed.
        InvalidSetting: An override is no ``key=value``, or the profile does not exist.
    """
    project = (file, yaml_layer(file, cwd)) if file else project_layer(cwd)
    files = [found for found in (user_layer(env, cwd), project) if found is not None]
    project_dir = project[0].absolute().parent if project else cwd
    dotenv, _ = variables_layer(dotenv_values(project_dir / DOTENV, cwd), DOTENV)
    environment, ignored = variables_layer(
        ((name, value, f"environment {name}") for name, value in env.items()), "environment"
    )
    bases = [_without_profiles(layer) for _, layer in files]
    profiles = [_profiles(layer) for _, layer in files]
    given = [dotenv, environment, overrides_layer(overrides)]
    chosen = profile or _chosen_profile([*bases, *given])
    if chosen is not None:
        _require_profile(chosen, {name for found in profiles for name in found})
    layers: list[Layer] = []
    for base, found in zip(bases, profiles, strict=True):
        layers += [base, found[chosen]] if chosen in found else [base]
    layers += [*given, Layer("--profile", {"profile": profile} if profile else {})]
    return Sources(
        layers=tuple(written_out(layer) for layer in layers if layer.tree),
        unused=tuple(
            written_out(layer)
            for found in profiles
            for name, layer in found.items()
            if name != chosen
        ),
        profile=chosen,
        project_dir=project_dir,
        files=tuple(path for path, _ in files),
        ignored=ignored,
    )


def variables_layer(
    variables: Iterable[tuple[str, str, str]], label: str
) -> tuple[Layer, tuple[str, ...]]:
    """The layer of ``(variable, value, origin)``, and the variables that are no settings.

    ``MASSGEN_A__B`` sets ``a.b`` and ``MASSGEN_A`` sets the section ``a``. A name without ``__``
    that is no section belongs to somebody else.
    """
    tree: Tree = {}
    origins: dict[KeyPath, str] = {}
    ignored: list[str] = []
    ours = [(name, *rest) for name, *rest in variables if name.startswith(ENV_PREFIX)]
    for name, value, origin in sorted(ours, key=lambda found: found[0].count("__")):
        key = name.removeprefix(ENV_PREFIX).lower()
        if "__" not in key and key not in _SECTIONS:
            ignored.append(name)
            continue
        path = tuple(key.split("__"))
        _put(tree, path, Raw(value))
        for stop in range(1, len(path)):
            origins.setdefault(path[:stop], origin)
        origins[path] = origin
    return Layer(label, tree, origins), tuple(ignored)


def overrides_layer(overrides: Sequence[str]) -> Layer:
    """The layer of ``key=value`` arguments; of two for one key the last wins.

    Raises:
        InvalidSetting: An argument has no ``=`` or no key.
    """
    tree: Tree = {}
    for number, text in enumerate(overrides, start=1):
        key, equals, value = text.partition("=")
        path = parse_path(key.strip())
        if not equals or path is None:
            known = path is not None and path[0] in _SECTIONS
            raise InvalidSetting(
                f"{OVERRIDE}: argument {number} is not key=value"
                + (f": {key.strip()!r}" if known else ""),
                path=key.strip() if known else "",
                source=OVERRIDE,
                expected="key=value",
                hint="For example: -c context.target_ratio=0.5 or -c strategies='[a, b]'.",
            )
        _put(tree, _model_path(path), Raw(value, quotes=True))
    return Layer(OVERRIDE, tree)


def _model_path(path: KeyPath) -> KeyPath:
    """The path with the dots of a model's name in it: ``models.gpt-4.1.window`` needs no quotes."""
    if path[0] != "models" or len(path) < 4:  # noqa: PLR2004 -- models, name, key
        return path
    return ("models", ".".join(str(key) for key in path[1:-1]), path[-1])


def _put(tree: Tree, path: KeyPath, value: Value) -> None:
    """Sets a value; ``strategy=a`` beside ``strategy.x=1`` sets the strategy's name."""
    *parents, last = (str(key) for key in path)
    if not parents and last in SELECTABLE and isinstance(tree.get(last), dict):
        value = _selection(value)
        said = tree[last]
        value = {**said, **value} if isinstance(said, dict) and isinstance(value, dict) else value
    for depth, key in enumerate(parents):
        inner = opened(tree.get(key))
        if depth == 0 and key in SELECTABLE:
            inner = _selection(inner)
        if not isinstance(inner, dict):
            inner = {}
        tree[key] = inner
        tree = inner
    tree[last] = value


def opened(value: Value) -> Value:
    """The mapping or list that a text stands for; anything else is returned unchanged."""
    if not isinstance(value, Raw):
        return value
    try:
        parsed, _ = parse_yaml(value.text)
    except YamlProblem:
        return value
    return parsed if isinstance(parsed, dict | list) else value


def plain_text(value: Value) -> Value:
    """The text of a value that is for a text field; anything else is returned unchanged."""
    if not isinstance(value, Raw):
        return value
    quote = value.text[:1]
    if value.quotes and quote and quote in "'\"" and value.text.endswith(quote):
        try:
            parsed, _ = parse_yaml(value.text)
        except YamlProblem:
            return value.text
        return parsed if isinstance(parsed, str) else value.text
    return value.text


def written_out(layer: Layer) -> Layer:
    """The layer with sections as mappings: ``strategy: a`` becomes ``strategy: {name: a}``."""
    tree: Tree = {}
    for key, value in layer.tree.items():
        if key in SELECTABLE:
            tree[key] = _selection(value)
        elif key == "strategies":
            chain = opened(value)
            tree[key] = (
                [_selection(item) for item in chain] if isinstance(chain, list) else _null(chain)
            )
        elif key == "profile":
            tree[key] = plain_text(value)
        else:
            section = opened(value)
            tree[key] = {} if _null(section) is None and key in _SECTIONS else section
    return replace(layer, tree=tree)


def _null(value: Value) -> Value:
    return None if isinstance(value, Raw) and value.text in {"", "null", "~"} else value


def _selection(value: Value) -> Value:
    section = _null(opened(value))
    if section is None:
        return {}
    if isinstance(section, Raw) and section.text[:1] in {"{", "["}:
        return section  # meant as YAML, and malformed
    if isinstance(section, str | Raw):
        return {"name": plain_text(section)}
    if isinstance(section, dict) and "name" in section:
        return {**section, "name": plain_text(section["name"])}
    return section


def _chosen_profile(layers: Sequence[Layer]) -> str | None:
    for layer in reversed(layers):
        value = plain_text(layer.tree.get("profile"))
        if value is None or value == "":
            continue
        if not isinstance(value, str):
            source = layer.origin(("profile",))
            raise InvalidSetting(
                f"{source}: 'profile' should be the name of a profile",
                path="profile",
                source=source,
                expected="the name of a profile",
            )
        return value
    return None


def _without_profiles(layer: Layer) -> Layer:
    return layer.only(lambda key: key != PROFILES)


def _profiles(layer: Layer) -> dict[str, Layer]:
    """The profiles a file defines, each as the layer that goes over the file's own.

    Raises:
        InvalidSetting: What stands there is no mapping of names to settings.
    """
    found = layer.tree.get(PROFILES) or {}
    profiles = found if isinstance(found, dict) else {"": found}
    return {name: _profile(layer, name, tree) for name, tree in profiles.items()}


def _profile(layer: Layer, name: str, tree: Value) -> Layer:
    start: KeyPath = (PROFILES, name) if name else (PROFILES,)
    if not isinstance(tree, dict | None):
        source = layer.origin(start)
        problem = invalid(start, source, "should be a mapping of settings")
        raise error_of([problem])
    mark = f" (profile {name})"
    for key in {"profile", PROFILES}.intersection(tree or {}):
        raise error_of([unknown((*start, key), layer.origin((*start, key)), [])])
    origins = {
        path[2:]: origin + mark for path, origin in layer.origins.items() if path[:2] == start
    }
    return Layer(layer.label + mark, tree or {}, origins)


def _require_profile(chosen: str, known: Collection[str]) -> None:
    if chosen in known:
        return
    near = difflib.get_close_matches(chosen, known, n=1)
    listed = ", ".join(repr(name) for name in sorted(known))
    raise InvalidSetting(
        f"there is no profile {chosen!r}"
        + (f"; did you mean {near[0]!r}?" if near else "")
        + (f" Profiles: {listed}." if known else " No file has profiles."),
        path="profile",
        expected=f"one of {listed}" if known else "",
        given=repr(chosen),
        hint="Profiles are the keys under `profiles:` of a settings file.",
    )
