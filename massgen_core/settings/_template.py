"""A settings file to start from: every key with its default, its meaning in a comment."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from massgen_core._redact import looks_secret
from massgen_core.errors import PluginError
from massgen_core.settings import _types
from massgen_core.settings._model import PROFILES, SELECTABLE, Settings
from massgen_core.settings._secrets import redacted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic.fields import FieldInfo

    from massgen_core.settings._load import Lookup

_WIDTH: Final = 88  # columns
_HEAD: Final = """\
Settings of massgen-core. Every key stands here with its default; keep what you change.
`mgc config explain` shows where each value comes from."""
_PROFILES: Final = (
    "Named sets of settings; `mgc --profile NAME` lays one over the rest of this file."
)


def template(
    *, lookup: Lookup | None = None, installed: Mapping[str, Sequence[str]] | None = None
) -> str:
    """The text of a ``massgen.yaml`` that says what is the default anyway.

    Args:
        lookup: Gives the settings class of a plugin by kind and name.
        installed: Names of plugins by kind; their keys are shown in comments.
    """
    lines = [*_comment(_HEAD)]
    defaults = Settings()
    for name, field in Settings.model_fields.items():
        lines += ["", *_comment(field.description or "")]
        value = getattr(defaults, name)
        if name in SELECTABLE:
            lines += _examples(name, lookup, (installed or {}).get(SELECTABLE[name], ()))
        elif name == "strategies":
            lines += ["# strategies: [sliding_window]"]
        elif isinstance(value, BaseModel):
            lines += [f"{name}:", *_indented(_keys(type(value)))]
        else:
            lines += [f"{name}: {_yaml(value)}"]
    lines += ["", *_comment(_PROFILES), f"# {PROFILES}:", "#   debug: {log: {level: debug}}"]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> list[str]:
    return [f"# {line}" for part in text.splitlines() for line in textwrap.wrap(part, _WIDTH)]


def _indented(lines: Iterator[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def _keys(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield from _comment(field.description or "")
        yield f"{_types.keys_of(model, name)[0]}: {_default(name, field)}".rstrip()


def _default(name: str, field: FieldInfo) -> str:
    """The default as YAML; nothing for what must be given, and for secrets."""
    if field.is_required() or _types.is_secret(field.annotation) or looks_secret(name):
        return ""
    return _yaml(field.get_default(call_default_factory=True, validated_data={}))


def _yaml(value: Any) -> str:
    return json.dumps(redacted(value), ensure_ascii=False)  # JSON is YAML


def _examples(section: str, lookup: Lookup | None, names: Sequence[str]) -> Iterator[str]:
    """The section for each installed plugin, commented out."""
    if not names:
        yield f"# {section}:"
        yield "#   name:"
    for index, name in enumerate(names):
        if index:
            yield "# or"
        yield f"# {section}:"
        yield f"#   name: {_yaml(name)}"
        if section == "backend":
            yield "#   model:"
        yield from (f"#   {line}" for line in _own_keys(section, name, lookup))


def _own_keys(section: str, name: str, lookup: Lookup | None) -> Iterator[str]:
    try:
        model = lookup(SELECTABLE[section], name) if lookup is not None else None
    except PluginError:
        yield "# This plugin cannot be loaded; see `mgc plugins doctor`."
        return
    if model is not None:
        yield from (line for line in _keys(model) if not line.startswith("model:"))
