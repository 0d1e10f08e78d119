"""The settings page of the reference, made from the classes so that it cannot lie."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from massgen_core.settings._check import OWN
from massgen_core.settings._model import Settings
from massgen_core.settings._secrets import redacted
from massgen_core.settings._sections import ModelOverride, Section, Selected, SelectedBackend

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_HEAD: Final = """\
<!-- Made by docs/_tools/generate.py from the classes in massgen_core/settings; edit those. -->

# Settings

Settings are joined from these sources; the first that gives a value wins.

| Source | How a value is written |
| --- | --- |
| command line | `-c context.target_ratio=0.5`, as often as needed |
| environment | `MASSGEN_CONTEXT__TARGET_RATIO=0.5` |
| `.env` beside the project file | `MASSGEN_CONTEXT__TARGET_RATIO=0.5` |
| `massgen.yaml`, found upward from the current folder | `context: {target_ratio: 0.5}` |
| or `pyproject.toml` in its place | `[tool.massgen.context]`, then `target_ratio = 0.5` |
| user file: `massgen/massgen.yaml` in `$XDG_CONFIG_HOME`, else `~/.config` | as above |
| defaults | the tables below |

`mgc config explain` shows every value with the file and line, variable or option it comes from.
`mgc config init` writes a `massgen.yaml` with every default.

## Rules

- **Unknown keys are errors**, with the nearest known key and the place of the mistake.
- **Sections that select a plugin** (`backend`, `strategy`, `memory_store`, `embedder`, `tools`)
  have a `name`; their other keys are those of the plugin. `strategy: sliding_window` is short for
  `strategy: {name: sliding_window}`.
- **A source that changes a section's `name` voids what weaker sources say in that section**: it was
  meant for another plugin.
- **Lists are replaced**, never joined. `strategies` voids a weaker source's `strategy`, and a
  `strategy` with a name voids a weaker source's `strategies`.
- **Variables** start with `MASSGEN_`; two underscores part section and key. A name without two
  underscores is a setting only if the rest is a section (`MASSGEN_LOG='{level: debug}'`). Any other
  `MASSGEN_` name belongs to somebody else and is ignored; with two underscores a name that matches
  nothing is an error.
- **Values on the command line and in variables** are taken literally by text fields, and read as
  YAML (so also as JSON) by fields that hold lists or mappings. `null` stands for no value where a
  field allows that. On the command line, a text in quotes is what is between them.
- **Keys with dots** are quoted on the command line (`-c 'a."b.c"=1'`), except the names of models:
  `-c models.gpt-4.1.window=1000000`.
- **Profiles** are sets of settings under `profiles:` in a file. `--profile NAME`, `MASSGEN_PROFILE`
  or the key `profile` chooses one; its keys overlay those of the file it is in.
- **`.env`** values are literal: `$NAME` in them is not expanded.
- **Secrets** are never shown: `config show` and `config explain` print stars, and no message
  repeats one.
- **YAML** is read as YAML 1.1 with safe types only. A key that is given twice, a key that is no
  text, and merge keys (`<<`) are errors.
"""


def reference() -> str:
    """The page as Markdown."""
    return "\n".join([_HEAD, *_sections()]).rstrip() + "\n"


def _sections() -> Iterator[str]:
    schema = Settings.model_json_schema()
    for name, field in Settings.model_fields.items():
        yield f"## `{name}`\n"
        yield f"{field.description}\n"
        match name:
            case "models":
                yield from _table(ModelOverride, "models.NAME")
            case "backend":
                yield from _table(SelectedBackend, name)
            case "strategy" | "memory_store" | "embedder" | "tools":
                yield from _table(Selected, name)
            case _ if isinstance(field.annotation, type) and issubclass(
                field.annotation, BaseModel
            ):
                yield from _table(field.annotation, name)
            case _:
                default = _default(schema["properties"][name])
                yield f"Default: {default}. Variable: `MASSGEN_{name.upper()}`.\n"


def _table(model: type[BaseModel], section: str) -> Iterator[str]:
    yield "| Key | Type | Default | Meaning |"
    yield "| --- | --- | --- | --- |"
    yield from _rows(model, section)
    yield ""


def _rows(model: type[BaseModel], section: str) -> Iterator[str]:
    for key, found in model.model_json_schema()["properties"].items():
        inner = model.model_fields[key].annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            yield from _rows(inner, f"{section}.{key}")
        elif key != OWN:
            path, kind = f"{section}.{key}", _type(found).replace("|", "\\|")
            yield f"| `{path}` | {kind} | {_default(found)} | {found['description']} |"


def _default(schema: Mapping[str, Any]) -> str:
    if "default" not in schema:
        return "none"
    return f"`{json.dumps(redacted(schema['default']))}`"


def _type(schema: Mapping[str, Any]) -> str:
    """The type in words, with its bounds."""
    if "anyOf" in schema:
        return " or ".join(_type(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f"`{choice}`" for choice in schema["enum"])
    if "$ref" in schema:
        return "mapping"
    if schema["type"] == "array":
        return f"list of {_type(schema['items'])}"
    words = {"string": "text", "integer": "whole number", "boolean": "true or false"}
    kind = "path" if schema.get("format") == "path" else words.get(schema["type"], schema["type"])
    return ", ".join([kind, *_bounds(schema)])


def _bounds(schema: Mapping[str, Any]) -> Iterator[str]:
    for key, words in (
        ("exclusiveMinimum", "over"),
        ("minimum", "at least"),
        ("exclusiveMaximum", "under"),
        ("maximum", "at most"),
    ):
        if key in schema:
            yield f"{words} {schema[key]:g}"
