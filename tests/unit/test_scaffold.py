"""What `write_plugin` writes, and what it refuses. That it works is tested by installing it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from massgen_core.errors import InvalidArgument
from massgen_core.plugin import PluginHost
from massgen_core.plugin._discovery import Candidate
from massgen_core.scaffold import write_plugin

ROOT = Path(__file__).parents[2]


def test_every_file_of_the_template_is_written_under_its_name(tmp_path):
    written = write_plugin("strategy", "keep_questions", tmp_path / "new")

    home = tmp_path / "new" / "massgen-keep-questions"
    assert sorted(path for path in home.rglob("*") if path.is_file()) == sorted(written)
    assert (home / "src" / "massgen_keep_questions" / "py.typed").read_bytes() == b""
    assert not [path for path in written if "$" in path.read_text("utf-8")]
    assert not [path for path in written if path.suffix == ".in" or "PACKAGE" in str(path)]


def test_the_distribution_registers_the_name(tmp_path, monkeypatch):
    write_plugin("strategy", "keep_questions", tmp_path)
    home = tmp_path / "massgen-keep-questions"
    monkeypatch.syspath_prepend(home / "src")
    project = tomllib.loads((home / "pyproject.toml").read_text("utf-8"))["project"]
    [(name, module)] = project["entry-points"]["massgen_core.plugins"].items()

    host = PluginHost(entry_points=[Candidate(project["name"], name, module, "0.1.0")])

    assert "keep_questions" in host.names("strategy")
    assert ["massgen-core>=0.1,<0.2"] == project["dependencies"]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("Keep-Questions", "'keep_questions'"),
        ("keepQuestions", "'keep_questions'"),
        ("massgen-keep", "'keep'"),
        ("a__b", "'a_b'"),
        ("9lives", "'lives'"),
        ("../up", "'up'"),
        ("", "'keep_questions'"),
        ("ünïcode", "'n_code'"),
        ("x" * 31, repr("x" * 30)),
        ("_a", "'a'"),
        ("a_", "'a'"),
        ("a\n", "'a'"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused_with_one_that_can(tmp_path, name, near):
    with pytest.raises(InvalidArgument, match="cannot be the name") as caught:
        write_plugin("strategy", name, tmp_path)

    assert f"For example {near}." == caught.value.hint
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["core", "digest", "local", "sliding_window"])
def test_a_name_of_another_distribution_is_refused(tmp_path, name):
    with pytest.raises(InvalidArgument, match="is taken"):
        write_plugin("strategy", name, tmp_path)


def test_what_is_there_is_never_overwritten(tmp_path):
    mine = tmp_path / "massgen-mine"
    mine.mkdir()

    with pytest.raises(InvalidArgument, match="is there already; nothing was written"):
        write_plugin("strategy", "mine", tmp_path)

    assert [] == list(mine.iterdir())


def test_a_kind_without_a_template_is_refused(tmp_path):
    with pytest.raises(InvalidArgument, match="no template of a 'memory_store' plugin") as caught:
        write_plugin("memory_store", "mine", tmp_path)

    assert "strategy" in caught.value.hint


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(InvalidArgument, match="cannot be written"):
        write_plugin("strategy", "mine", tmp_path / "file")


@pytest.mark.skipif(not (ROOT / "noxfile.py").is_file(), reason="needs the source tree")
def test_its_rules_of_style_are_ours(tmp_path):
    write_plugin("strategy", "mine", tmp_path)
    made = tomllib.loads((tmp_path / "massgen-mine" / "pyproject.toml").read_text("utf-8"))["tool"]
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]

    assert ours["ruff"]["line-length"] == made["ruff"]["line-length"]
    assert ours["ruff"]["lint"]["select"] == made["ruff"]["lint"]["select"]
    assert set(made["ruff"]["lint"]["ignore"]) <= set(ours["ruff"]["lint"]["ignore"])
    assert ours["mypy"]["strict"] is made["mypy"]["strict"] is True
