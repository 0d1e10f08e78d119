"""`import massgen_core` is light, and every name of the facade leads somewhere."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import massgen_core

LOADED = """
import json, sys
before = set(sys.modules)
import massgen_core
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def run(code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    return json.loads(done.stdout)


def test_importing_the_package_loads_no_third_party_module():
    roots = {name.partition(".")[0] for name in run(LOADED)}

    assert {"massgen_core"} == roots - sys.stdlib_module_names


def test_importing_the_package_loads_none_of_its_modules():
    assert ["massgen_core"] == [name for name in run(LOADED) if name.startswith("massgen_core")]


@pytest.mark.parametrize("name", massgen_core.__all__)
def test_every_public_name_is_found_where_the_table_says(name):
    value = getattr(massgen_core, name)

    assert value is vars(massgen_core)[name]


def test_the_public_names_are_sorted_and_in_the_table_of_homes():
    assert sorted(massgen_core.__all__) == massgen_core.__all__
    assert set(massgen_core.__all__) == set(massgen_core._HOME_OF)


def test_type_checkers_see_the_same_names_from_the_same_modules():
    tree = ast.parse(inspect.getsource(massgen_core))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module.removeprefix("massgen_core.")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert massgen_core._HOME_OF == seen


def test_the_names_are_offered_before_they_are_loaded():
    assert set(massgen_core.__all__) <= set(dir(massgen_core))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'massgen_core' has no attribute 'fitt'"):
        _ = massgen_core.fitt


def test_the_package_is_marked_as_typed():
    assert (Path(massgen_core.__file__).parent / "py.typed").is_file()
