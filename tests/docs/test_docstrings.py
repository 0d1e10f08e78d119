"""The examples in docstrings run, and every module of the core says what it is for."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import massgen_core

MODULES = sorted(
    info.name
    for info in pkgutil.walk_packages(massgen_core.__path__, "massgen_core.")
    if not info.name.startswith("massgen_core._templates") and not info.name.endswith("__main__")
)


@pytest.mark.parametrize("name", ["massgen_core", *MODULES])
def test_the_examples_of_a_module_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)

    assert module.__doc__
    assert 0 == doctest.testmod(module).failed
