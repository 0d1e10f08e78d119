"""The JSON Schema of a settings file, over the core and every installed plugin."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import GenerateJsonSchema

from massgen_core.errors import PluginError
from massgen_core.settings._check import OWN
from massgen_core.settings._model import SELECTABLE, Settings
from massgen_core.settings._sections import Selected, SelectedBackend

if TYPE_CHECKING:
    from pydantic import BaseModel

    from massgen_core.settings._load import Lookup

    Schema = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_TREE: Final = "settings"


class _Quiet(GenerateJsonSchema):
    """Leaves out defaults that JSON cannot say, without a warning."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 -- the name and type are pydantic's


def json_schema(
    *, lookup: Lookup | None = None, installed: Mapping[str, Sequence[str]] | None = None
) -> dict[str, Any]:
    """What ``massgen.yaml`` may contain, as JSON Schema (draft 2020-12).

    A file may leave out what another source gives, so no plugin's key is required in it.

    Args:
        lookup: Gives the settings class of a plugin by kind and name.
        installed: Names of the installed plugins by kind. A kind that is missing takes any name.
    """
    defs: Schema = {}
    tree = _tree(lookup, installed or {}, defs)
    profile = tree["properties"].pop("profile")
    defs[_TREE] = tree
    properties = {
        name: {"$ref": f"#/$defs/{_TREE}/properties/{name}"} for name in tree["properties"]
    }
    profiles = {
        "description": "Named sets of settings; the chosen one overlays the rest of the file.",
        "type": ["object", "null"],
        "additionalProperties": {"anyOf": [{"$ref": f"#/$defs/{_TREE}"}, {"type": "null"}]},
    }
    return {
        "$schema": DIALECT,
        "title": "massgen.yaml",
        "type": ["object", "null"],
        "properties": {"profile": profile, "profiles": profiles, **properties},
        "additionalProperties": False,
        "not": tree["not"],
        "$defs": defs,
    }


def _tree(
    lookup: Lookup | None, installed: Mapping[str, Sequence[str]], defs: Schema
) -> dict[str, Any]:
    """The sections, without profiles; classes they refer to are added to `defs`."""
    core = _class_schema(Settings, "core", defs)["properties"]
    properties: Schema = {}
    for name, field in Settings.model_fields.items():
        if name in SELECTABLE:
            schema = _selection(name, lookup, installed.get(SELECTABLE[name]), defs)
            properties[name] = {"type": ["object", "string", "null"], **schema}
        elif name == "strategies":
            item = _selection("strategy", lookup, installed.get("strategy"), defs)
            item = {"type": ["object", "string"], "required": ["name"], **item}
            properties[name] = {"type": ["array", "null"], "items": item}
        elif "$ref" in core[name]:
            properties[name] = {"anyOf": [{"$ref": core[name]["$ref"]}, {"type": "null"}]}
        else:
            properties[name] = core[name]
        properties[name]["description"] = field.description
    both: Schema = {
        "type": "object",
        "required": ["strategy", "strategies"],
        "properties": {
            "strategy": {"type": ["object", "string"], "minProperties": 1},
            "strategies": {"type": "array"},
        },
    }
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "not": both,
    }


def _selection(
    section: str, lookup: Lookup | None, names: Sequence[str] | None, defs: Schema
) -> Schema:
    """A section whose allowed keys depend on the ``name`` in it."""
    if names is None:
        return {"properties": {"name": {"type": "string"}}}
    kind = SELECTABLE[section]
    core = SelectedBackend if section == "backend" else Selected
    branches = []
    for name in names:
        at = _safe(f"{kind}.{name}")
        defs[at] = _plugin(core, kind, name, lookup, defs)
        named = {"properties": {"name": {"const": name}}, "required": ["name"], "type": "object"}
        branches.append({"if": named, "then": {"$ref": f"#/$defs/{at}"}})
    return {
        "properties": {"name": {"enum": list(names)}},
        "if": {"type": "string"},
        "then": {"enum": list(names)},
        **({"allOf": branches} if branches else {}),
    }


def _plugin(
    core: type[Selected], kind: str, name: str, lookup: Lookup | None, defs: Schema
) -> Schema:
    """The section when it selects one plugin; open to any key if its class cannot be read."""
    ours = _class_schema(core, f"core.{kind}", defs)["properties"]
    ours = {key: schema for key, schema in ours.items() if key != OWN}
    own: Schema | None = None
    try:
        model = lookup(kind, name) if lookup is not None else None
        own = {} if model is None else _class_schema(model, f"{kind}.{name}", defs)
    except (PluginError, PydanticInvalidForJsonSchema):
        own = None
    known = lookup is not None and own is not None
    properties = {**ours, **(own or {}).get("properties", {}), "name": {"const": name}}
    is_open = not known or (own or {}).get("additionalProperties", False)
    return {"type": "object", "properties": properties, "additionalProperties": is_open}


def _class_schema(model: type[BaseModel], prefix: str, defs: Schema) -> Schema:
    """The schema of one class; the classes inside it go to `defs` under names of their own."""
    safe = _safe(prefix)
    schema = model.model_json_schema(
        ref_template=f"#/$defs/{safe}.{{model}}", schema_generator=_Quiet
    )
    for name, inner in schema.pop("$defs", {}).items():
        defs[f"{safe}.{name}"] = _closed(inner)
    if "$ref" in schema:
        schema = defs[schema["$ref"].removeprefix("#/$defs/")]
    return dict(_closed(schema))


def _closed(schema: Any) -> Any:
    """The schema without keys nobody declared: what loading refuses, an editor should mark."""
    if isinstance(schema, Mapping):
        out = {key: _closed(inner) for key, inner in schema.items()}
        if isinstance(out.get("properties"), dict) and out.get("type") == "object":
            out.setdefault("additionalProperties", False)
        return out
    if isinstance(schema, list):
        return [_closed(inner) for inner in schema]
    return schema


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name)
