"""Makes the object a record promises: its settings, its factory, a check of the result."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, TypeGuard

from pydantic import BaseModel, ValidationError

from massgen_core.errors import InvalidArgument, InvalidSetting, UnknownSetting
from massgen_core.plugin._imports import UnusablePlugin, resolve
from massgen_core.plugin._protocols import missing_members

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_core.messages import JSONValue
    from massgen_core.plugin._provides import PluginContext, Provided


def settings_class(provided: Provided) -> type[BaseModel] | None:
    """The settings class of the record, imported; None if it has none.

    Raises:
        UnusablePlugin: What the import string names is no pydantic model.
        BaseException: Whatever importing it raises.
    """
    path = provided.provides.settings
    if path is None:
        return None
    target = resolve(path)
    if not _is_model(target):
        raise UnusablePlugin(f"settings {path!r} is {target!r}, not a pydantic BaseModel class")
    return target


def make(
    provided: Provided,
    settings: BaseModel | Mapping[str, JSONValue] | None,
    ctx: PluginContext,
) -> object:
    """The object the factory makes, with all members of the kind's Protocol.

    Raises:
        InvalidSetting: A setting has a value the plugin does not accept.
        UnknownSetting: The plugin has no such setting.
        UnusablePlugin: The factory is no callable, or what it made lacks members.
        BaseException: Whatever the plugin raises.
    """
    checked = _checked(provided, settings_class(provided), settings)
    path = provided.provides.factory
    factory = resolve(path)
    if not callable(factory):
        raise UnusablePlugin(f"factory {path!r} is {factory!r}, which cannot be called")
    made: object = factory(checked, ctx)
    missing = missing_members(provided.kind, made)
    if missing:
        raise UnusablePlugin(
            f"factory {path!r} made a {type(made).__name__}, which is no {provided.kind}: "
            f"it lacks {', '.join(missing)}"
        )
    return made


def _is_model(target: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(target, type) and issubclass(target, BaseModel)


def _checked(
    provided: Provided,
    model: type[BaseModel] | None,
    settings: BaseModel | Mapping[str, JSONValue] | None,
) -> BaseModel | None:
    """The settings as an instance of the plugin's class; the section's ``name`` is no setting."""
    if model is not None and isinstance(settings, model):
        return settings
    if isinstance(settings, BaseModel):
        raise InvalidArgument(
            f"settings of {provided.kind} {provided.name!r} must be {model!r}, not {settings!r}"
        )
    values = dict(settings or {})
    fields = _field_names(model)
    if "name" not in fields:
        values.pop("name", None)
    _refuse_unknown(provided, model, values, fields)
    return None if model is None else _validated(provided, model, values)


def _field_names(model: type[BaseModel] | None) -> set[str]:
    fields = {} if model is None else model.model_fields
    return {*fields, *(field.alias for field in fields.values() if field.alias)}


def _refuse_unknown(
    provided: Provided,
    model: type[BaseModel] | None,
    values: Mapping[str, JSONValue],
    fields: set[str],
) -> None:
    if model is not None and model.model_config.get("extra") == "allow":
        return
    for key in values:
        if key not in fields:
            close = difflib.get_close_matches(key, sorted(fields), n=3)
            known = ", ".join(sorted(fields)) or "none"
            raise UnknownSetting(
                f"{provided.kind} {provided.name!r} has no setting {key!r}",
                path=f"{provided.kind}.{key}",
                suggestions=close,
                hint=f"Did you mean {close[0]!r}?" if close else f"Its settings: {known}.",
            )


def _validated(
    provided: Provided, model: type[BaseModel], values: Mapping[str, JSONValue]
) -> BaseModel:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join([provided.kind, *map(str, first["loc"])])
        raise InvalidSetting(f"{path}: {first['msg']}", path=path) from error
