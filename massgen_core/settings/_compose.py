"""Phase two: one model of the core's sections and the selected plugins' own settings classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, Field, ValidationError, create_model
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from massgen_core._redact import STARS, looks_secret
from massgen_core.errors import SettingsError
from massgen_core.settings import _types
from massgen_core.settings._check import OWN, OwnSettings
from massgen_core.settings._model import SELECTABLE, Settings
from massgen_core.settings._problems import Problem, invalid
from massgen_core.settings._secrets import given, scrubbed
from massgen_core.settings._sections import Selected, SelectedBackend

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

    from massgen_core.settings._choose import Choice
    from massgen_core.settings._tree import KeyPath, Layer, Tree, Value


DEFAULT: Final = "default"
"""The source of a value that no source gives."""


class _LayerSource(PydanticBaseSettingsSource):
    """One layer as pydantic-settings wants it."""

    def __init__(self, settings_cls: type[BaseSettings], tree: Tree) -> None:
        super().__init__(settings_cls)
        self._tree = tree

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        del field
        return self._tree.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return dict(self._tree)


def compose(
    choice: Choice, sections: Mapping[str, OwnSettings], chain: Sequence[OwnSettings]
) -> type[Settings]:
    """The settings class for a choice of plugins.

    Raises:
        SettingsError: A plugin's class claims a key of the core.
    """
    fields: dict[str, Any] = {}
    for section, name in choice.sections.items():
        core = SelectedBackend if section == "backend" else Selected
        fields[section] = (selected(core, section, name, sections[section]) | None, None)
    if choice.chain is not None:
        items = tuple(
            selected(Selected, "strategy", name, own)
            for name, own in zip(choice.chain, chain, strict=True)
        )
        fields["strategies"] = (tuple[items] if items else tuple[()], ...)  # type: ignore[valid-type] # known at run time only
    return create_model("Settings", __base__=Settings, **fields)


def selected(core: type[Selected], kind: str, name: str, own: OwnSettings) -> type[Selected]:
    """The class of a section that selects a plugin: its name is fixed, its settings are typed.

    Raises:
        SettingsError: The plugin's class has a field with a key that the core uses.
    """
    fields: dict[str, Any] = {"name": (Literal[name], name)}
    if own.model is not None:
        taken = {*core.model_fields} - {"model"}
        for key in sorted(taken.intersection(_types.keys(own.model))):
            raise SettingsError(
                f"the settings class of {kind} {name!r} has a field {key!r}",
                hint="That key is taken; the plugin's author must call the field something else.",
            )
        fields[OWN] = (own.model, Field(default_factory=dict, validate_default=True))
        if core is SelectedBackend:
            fields["model"] = (str | None, _default_model(own.model))
    return create_model(f"{kind}.{name}", __base__=core, **fields)


def _default_model(own: type[BaseModel]) -> Any:
    """The model a backend uses if none is asked for; None if its settings do not say."""
    found = _types.keys(own).get("model")
    if found is None or found.is_required():
        return None
    return found.get_default(call_default_factory=True, validated_data={})


def validate(
    composed: type[Settings], layers: Sequence[Layer], secrets: frozenset[str]
) -> tuple[Settings | None, tuple[Problem, ...]]:
    """The settings that the layers give, or what is wrong with them.

    Args:
        composed: What `compose` made.
        layers: Checked layers, lowest first.
        secrets: Texts that no message may repeat.
    """
    trees = [_folded(layer.tree, composed) for layer in reversed(layers)]

    class Layered(composed):  # type: ignore[misc, valid-type] # made at run time
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_: Any, **__: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return tuple(_LayerSource(settings_cls, tree) for tree in trees)

    Layered.__name__ = Layered.__qualname__ = Settings.__name__
    try:
        settings = Layered()
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_context=False)
    else:
        return settings, ()
    return None, tuple(_problem(error, composed, layers, secrets) for error in errors)


def _folded(tree: Tree, composed: type[Settings]) -> Tree:
    """The tree with plugins' own keys where the composed model has them."""
    out = dict(tree)
    for section in SELECTABLE:
        value = tree.get(section)
        if isinstance(value, dict):
            out[section] = _fold(value, composed.model_fields[section].annotation)
    chain = tree.get("strategies")
    if isinstance(chain, list):
        annotation = composed.model_fields["strategies"].annotation
        out["strategies"] = [
            _fold(item, _types.child(annotation, index)) if isinstance(item, dict) else item
            for index, item in enumerate(chain)
        ]
    return out


def _fold(section: Tree, annotation: Any) -> Tree:
    core = next(model for model in _types.models(annotation))
    own = next(iter(_types.models(core.model_fields[OWN].annotation)), BaseModel)
    known = core.model_fields.keys() - {OWN}
    if "model" in known and "model" in section and section["model"] is None:
        section = {**section, "model": _default_model(own)}
    ours: Tree = {key: value for key, value in section.items() if key in known}
    theirs: dict[str, Value] = {
        key: value for key, value in section.items() if key not in known or key in _types.keys(own)
    }
    if own is not BaseModel and theirs:
        ours[OWN] = theirs
    return ours


def _problem(
    error: ErrorDetails,
    composed: type[Settings],
    layers: Sequence[Layer],
    secrets: frozenset[str],
) -> Problem:
    path = _types.real_path(composed, error["loc"])
    hidden = _is_hidden(composed, path)
    shown = _without_own(path)
    what = error["msg"]
    own_words = error["type"] in {"value_error", "assertion_error"}
    if hidden and own_words:
        what = "is not accepted"
    quoted = ""
    if error["type"] != "missing" and not (own_words and _is_container(error["input"])):
        quoted = scrubbed(
            _quoted(error["input"], _types.at(composed, path), hidden=hidden), secrets
        )
    return invalid(shown, origin(layers, shown), scrubbed(_phrase(what), secrets), quoted)


def _is_container(value: object) -> bool:
    return isinstance(value, dict | list | tuple | set | BaseModel)


def _quoted(value: Any, annotation: Any, *, hidden: bool) -> str:
    """The refused value as it may be shown: text where a mapping is due may hold anything."""
    if isinstance(value, str) and _types.is_a(annotation, dict, list, tuple, set, BaseModel):
        return "text"
    return STARS if hidden and isinstance(value, str | int | float) else given(value)


def _phrase(message: str) -> str:
    """What pydantic says, as a phrase that follows the key."""
    for start in ("Value error, ", "Assertion failed, "):
        message = message.removeprefix(start)
    message = message.replace("Field required", "is missing")
    if message.startswith("Input should"):
        return message.removeprefix("Input ")
    return message


def _is_hidden(root: Any, path: KeyPath) -> bool:
    return any(
        _types.is_secret(_types.at(root, path[:stop])) or looks_secret(str(path[stop - 1]))
        for stop in range(1, len(path) + 1)
    )


def _without_own(path: KeyPath) -> KeyPath:
    """The path as people write it, without the key that holds a plugin's own settings."""
    start = 2 if path[:1] == ("strategies",) else 1
    selects = path[:1] == ("strategies",) or (path[:1] and path[0] in SELECTABLE)
    if selects and path[start : start + 1] == (OWN,):
        return (*path[:start], *path[start + 1 :])
    return path


def origin(layers: Sequence[Layer], path: KeyPath) -> str:
    """Where the winning value at a path was given; ``default`` if nowhere."""
    for layer in reversed(layers):
        if layer.gives(path):
            return layer.origin(path)
    return DEFAULT
