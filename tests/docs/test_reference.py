"""The reference is complete and current: nothing public is undocumented."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import sys
from typing import get_args

import pytest

import massgen_core
from massgen_core import errors, events
from massgen_core.plugin import hookspecs

sys.path.insert(0, __file__.rpartition("/")[0])

from markup import ROOT, anchors, slug

sys.path.insert(0, str(ROOT / "docs" / "_tools"))

generate = pytest.importorskip("generate", reason="needs the source tree")
REFERENCE = ROOT / "docs" / "reference"


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
