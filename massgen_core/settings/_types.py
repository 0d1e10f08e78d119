"""What an annotation of a settings class says about the values and keys below it."""

from __future__ import annotations

import types
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Union, get_args, get_origin

from pydantic import AliasChoices, AliasPath, BaseModel, Secret, SecretBytes, SecretStr

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from massgen_core.settings._tree import KeyPath

_SECRETS: Final = (Secret, SecretStr, SecretBytes)


def members(annotation: Any) -> tuple[Any, ...]:
    """The types a value may have: unions are flattened, ``Annotated`` and aliases are opened."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return members(get_args(annotation)[0])
    if origin in {Union, types.UnionType}:
        return tuple(part for arg in get_args(annotation) for part in members(arg))
    if hasattr(annotation, "__value__"):
        return members(annotation.__value__)
    return (annotation,)


def runtime_class(annotation: Any) -> type | None:
    """The class of a type: ``dict`` for ``dict[str, int]``; None for a special form."""
    found = get_origin(annotation) or annotation
    return found if isinstance(found, type) else None


def is_a(annotation: Any, *classes: type) -> bool:
    """Whether any type a value may have is one of the classes."""
    found = (runtime_class(member) for member in members(annotation))
    return any(cls is not None and issubclass(cls, classes) for cls in found)


def is_secret(annotation: Any) -> bool:
    """Whether the value is declared to be a secret."""
    return is_a(annotation, *_SECRETS)


def models(annotation: Any) -> tuple[type[BaseModel], ...]:
    """The settings classes a value may be of."""
    return tuple(
        member
        for member in members(annotation)
        if isinstance(member, type) and issubclass(member, BaseModel)
    )


def keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The keys people may write for a class, each with its field; the preferred one first."""
    out: dict[str, FieldInfo] = {}
    by_name = model.model_config.get("validate_by_name") or model.model_config.get(
        "populate_by_name"
    )
    for name, field in model.model_fields.items():
        aliases = list(_aliases(field))
        for key in (*aliases, name) if by_name or not aliases else aliases:
            out.setdefault(key, field)
    return out


def _aliases(field: FieldInfo) -> Iterator[str]:
    alias = field.validation_alias or field.alias
    for choice in alias.choices if isinstance(alias, AliasChoices) else (alias,):
        if isinstance(choice, str):
            yield choice
        elif isinstance(choice, AliasPath) and isinstance(choice.path[0], str):
            yield choice.path[0]


def keys_of(model: type[BaseModel], name: str) -> tuple[str, ...]:
    """The keys that set one field."""
    field = model.model_fields[name]
    return tuple(key for key, found in keys(model).items() if found is field) or (name,)


def child(annotation: Any, key: str | int) -> Any:
    """The annotation of a part of a value; None if the types say nothing about it."""
    for member in members(annotation):
        cls = runtime_class(member)
        args = get_args(member)
        if cls is None:
            continue
        if issubclass(cls, BaseModel) and isinstance(key, str):
            field = keys(cls).get(key) or cls.model_fields.get(key)
            if field is not None:
                return field.annotation
        elif issubclass(cls, Mapping) and isinstance(key, str):
            return args[1] if len(args) > 1 else Any
        elif issubclass(cls, Collection) and isinstance(key, int) and args:
            fixed = issubclass(cls, tuple) and ... not in args
            return args[min(key, len(args) - 1)] if fixed else args[0]
    return None


def at(root: Any, path: KeyPath) -> Any:
    """The annotation of what is at a path; None if the types say nothing about it."""
    for key in path:
        root = child(root, key)
    return root


def allows_any_key(annotation: Any) -> bool:
    """Whether a class among the types takes keys it does not declare."""
    return any(model.model_config.get("extra") == "allow" for model in models(annotation))


def real_path(root: Any, location: Sequence[str | int]) -> KeyPath:
    """The keys of an error location, without the names of union members that pydantic adds."""
    path: list[str | int] = []
    annotation = root
    for key in location:
        inner = child(annotation, key)
        if inner is not None:
            path.append(key)
            annotation = inner
    return tuple(path)
