"""The examples in the docstrings run, and each is a plugin the host would accept."""

import doctest
import importlib

import pytest

import massgen_core.memory
from massgen_core.plugin import KINDS, Provides, hookspecs
from massgen_core.plugin._protocols import PROTOCOLS, missing_members

MODULES = [
    "massgen_core.memory._stores",
    "massgen_core.plugin._fence",
    "massgen_core.plugin._host",
    "massgen_core.plugin._provides",
    "massgen_core.plugin.hookspecs",
    "massgen_core.testing._packaging",
    "massgen_core.testing._suite",
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name):
    results = doctest.testmod(importlib.import_module(name))
    assert 0 == results.failed
    assert results.attempted > 0


def example(owner: object) -> dict[str, object]:
    """The names that the example in the docstring defines."""
    globs: dict[str, object] = {}
    (test,) = doctest.DocTestFinder(recurse=False).find(owner, "example", globs=globs)
    assert 0 == doctest.DocTestRunner().run(test, clear_globs=False).failed
    return test.globs


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_a_hook_is_a_complete_plugin(kind, context):
    names = example(getattr(hookspecs, f"massgen_{kind}"))
    provides = names[f"massgen_{kind}"]()
    assert isinstance(provides, Provides)
    settings = names[provides.settings.partition(":")[2]]() if provides.settings else None
    made = names[provides.factory.partition(":")[2]](settings, context)
    assert missing_members(kind, made) == ()


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_without_any_member_lacks_those_of_the_protocol(kind):
    assert len(missing_members(kind, object())) >= 2


def test_every_kind_has_a_protocol():
    assert list(KINDS) == list(PROTOCOLS)


@pytest.mark.parametrize("protocol", ["MemoryStore", "Embedder"])
def test_every_protocol_of_memory_has_an_example(protocol):
    assert example(getattr(massgen_core.memory, protocol))
