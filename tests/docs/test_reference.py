"""The reference is complete and current: nothing public is undocumented."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
import sys
from typing import get_args

import pytest

import massgen_core
from massgen_core import errors, events
from massgen_core.plugin import PluginHost, hookspecs

sys.path.insert(0, __file__.rpartition("/")[0])

from markup import ROOT, anchors, slug

sys.path.insert(0, str(ROOT / "docs" / "_tools"))

generate = pytest.importorskip("generate", reason="needs the source tree")
REFERENCE = ROOT / "docs" / "reference"
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/README.md"))


def read(name):
    return (REFERENCE / name).read_text("utf-8")


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_generated_page_is_current(name):
    assert generate.render(name) == read(name), "run: nox -s docs"


ERRORS = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, errors.MassgenError)
]


@pytest.mark.parametrize("cls", ERRORS)
def test_an_error_is_documented_under_its_code(cls):
    assert cls.code in anchors(read("errors.md"))
    assert f"`massgen_core.errors.{cls.__name__}`" in read("errors.md")


@pytest.mark.parametrize("cls", get_args(events.Event))
def test_an_event_is_documented_with_every_field(cls):
    section = read("events.md").partition(f"### {cls.__name__}\n")[2].partition("\n#")[0]

    assert f"kind `{cls.kind}`" in section
    assert [] == [f.name for f in dataclasses.fields(cls) if f"| `{f.name}` |" not in section]


HOOKS = [name for name in vars(hookspecs) if name.startswith("massgen_")]


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_is_documented_with_an_example(hook):
    section = read("hooks.md").partition(f"## {hook}\n")[2].partition("\n## ")[0]

    assert ">>> " in section


STRATEGIES = PluginHost().names("strategy")


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_has_a_page_with_each_of_its_settings(name):
    page = read(f"strategies/{name}.md")

    assert f"[`{name}`]({name}.md)" in read("strategies/index.md")
    assert f"strategies/{name}.md" in generate.PAGES
    for key, field in PluginHost().settings_class("strategy", name).model_fields.items():
        assert field.description
        assert f"| `{key}` |" in page


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda path: path.name)
def test_the_readme_of_a_plugin_names_each_of_its_settings_and_no_other(folder):
    module = importlib.import_module(f"{folder.name.replace('-', '_')}.settings")
    classes = [cls for name, cls in vars(module).items() if name.endswith("Settings")]
    readme = (folder / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \|", readme, re.MULTILINE)

    assert [list(cls.model_fields) for cls in classes] == [rows]


OWN_PAGE = {"errors", "events"}


@pytest.mark.parametrize(
    "name", [name for name, home in massgen_core._HOME_OF.items() if home not in OWN_PAGE]
)
def test_a_public_name_is_in_the_reference_of_the_api(name):
    home = importlib.import_module(f"massgen_core.{massgen_core._HOME_OF[name]}")
    api = "\n".join(page.read_text("utf-8") for page in (REFERENCE / "api").glob("*.md"))

    assert hasattr(home, name)
    assert f"::: {home.__name__}\n" in api


def test_headings_become_anchors_as_on_the_site():
    assert "what-it-does" == slug("What it *does*")
    assert "contextfitted" == slug("`ContextFitted`")
