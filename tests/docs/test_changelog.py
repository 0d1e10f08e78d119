"""Changelog fragments are well formed and come out in the release."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "docs" / "_tools"
sys.path.insert(0, str(TOOLS))

changelog = pytest.importorskip("changelog", reason="needs the source tree")


def test_the_fragments_of_the_tree_are_well_formed():
    assert [] == changelog.problems()


def test_the_changelog_has_the_place_where_releases_go():
    assert changelog.MARK in (changelog.ROOT / "CHANGELOG.md").read_text("utf-8")


def test_a_bad_name_and_an_empty_text_are_reported(tmp_path):
    (tmp_path / "Resume.added.md").write_text("x")
    (tmp_path / "resume.improved.md").write_text("x")
    (tmp_path / "resume.fixed.md").write_text(" \n")
    (tmp_path / "fork.added.md").write_text("# Fork\n")
    (tmp_path / "README.md").write_text("# How\n")

    found = {line.partition(":")[0] for line in changelog.problems(tmp_path)}
    assert {"Resume.added.md", "resume.improved.md", "resume.fixed.md", "fork.added.md"} == found


def test_a_release_lists_the_changes_by_kind(tmp_path):
    (tmp_path / "b.fixed.md").write_text("Mended\nthe tail.\n")
    (tmp_path / "c.added.md").write_text("Forks.\n")
    (tmp_path / "a.added.md").write_text("Sessions.\n")

    assert (
        "## 0.2.0 (2026-12-01)\n\n### Added\n\n- Sessions.\n- Forks.\n\n"
        "### Fixed\n\n- Mended the tail.\n"
    ) == changelog.section("0.2.0", "2026-12-01", tmp_path)
