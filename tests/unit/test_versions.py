"""All distributions of the workspace move in lockstep until 1.0."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGINS = sorted((ROOT / "plugins").glob("*/pyproject.toml"))

pytestmark = pytest.mark.skipif(not (ROOT / "noxfile.py").is_file(), reason="needs the source tree")


def project(path):
    return tomllib.loads(path.read_text("utf-8"))["project"]


def core():
    return project(ROOT / "pyproject.toml")


def next_minor(version):
    major, minor, _ = version.split(".")
    return f"{major}.{int(minor) + 1}"


def core_range():
    minor = core()["version"].rpartition(".")[0]
    return f"massgen-core>={minor},<{next_minor(core()['version'])}"


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.parent.name)
def test_a_plugin_has_the_version_of_the_core(path):
    assert core()["version"] == project(path)["version"]


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.parent.name)
def test_a_plugin_asks_for_this_minor_version_of_the_core(path):
    asked = [d.replace(" ", "") for d in project(path)["dependencies"] if "massgen-core" in d]

    assert [core_range()] == asked


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.parent.name)
def test_a_plugin_is_found_by_the_name_of_its_folder(path):
    assert path.parent.name == project(path)["name"]
    assert project(path)["entry-points"]["massgen_core.plugins"]


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.parent.name)
def test_a_plugin_shares_licence_and_python_versions_with_the_core(path):
    for key in ("license", "requires-python"):
        assert core()[key] == project(path)[key]


def test_the_core_recommends_only_what_is_in_the_workspace():
    names = {d.partition(">")[0] for d in core()["optional-dependencies"]["recommended"]}

    assert names <= {path.parent.name for path in PLUGINS}


def test_every_member_of_the_workspace_is_a_source_of_it_and_measured():
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
    members = {"massgen-core", *(path.parent.name for path in PLUGINS)}

    assert members == set(tool["uv"]["sources"])
    assert members == {name.replace("_", "-") for name in tool["coverage"]["run"]["source_pkgs"]}
