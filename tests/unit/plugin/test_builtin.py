import importlib.metadata
import subprocess
import sys

import pytest

from massgen_core.messages import user
from massgen_core.plugin import PluginHost


@pytest.mark.parametrize(
    ("name", "tokens", "exact"), [("cl100k_base", 2, True), ("o200k_base", 2, True)]
)
def test_the_counters_of_the_core_count(name, tokens, exact, context):
    counter = PluginHost(entry_points=()).create("token_counter", name, None, context)
    assert name == counter.name
    assert (tokens, exact) == counter.count_text("hello world")


def test_the_estimator_of_the_core_never_claims_to_be_exact(context):
    counter = PluginHost(entry_points=()).create("token_counter", "estimate", None, context)
    count = counter.count(user("hello world"))
    assert count.tokens > 3
    assert not count.exact


def test_the_core_is_reported_first_and_needs_no_metadata(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    first = PluginHost(entry_points=()).plugins()[0]
    assert ("massgen-core", "builtin", "active", True) == (
        first.dist,
        first.entry_point,
        first.state,
        first.builtin,
    )
    assert {"cl100k_base", "estimate", "o200k_base"} == {item.name for item in first.provides}


def loaded_by(program: str) -> set[str]:
    code = f"{program}\nimport sys; print(*{{m.partition('.')[0] for m in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


HEAVY = {"pydantic", "structlog", "tiktoken", "yaml", "pytest"}


def test_making_a_host_imports_nothing_heavy():
    program = "from massgen_core.plugin import PluginHost; PluginHost().names('token_counter')"
    assert set() == loaded_by(program) & HEAVY


def test_importing_the_package_does_not_import_pluggy():
    assert set() == loaded_by("import massgen_core.plugin") & {*HEAVY, "pluggy"}


def test_importing_the_conformance_kit_imports_nothing_heavy():
    assert set() == loaded_by("import massgen_core.testing") & {*HEAVY, "hypothesis"}
