"""Imports point down: the contracts of pyproject.toml hold for the source tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT = Path(sys.executable).with_name("lint-imports")

pytestmark = pytest.mark.skipif(not (ROOT / "noxfile.py").is_file(), reason="needs the source tree")


def lint(folder):
    return subprocess.run(
        [str(LINT), "--no-cache", "--config", "pyproject.toml"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "NO_COLOR": "1", "COLUMNS": "200"},
        timeout=50,
    )


def test_imports_point_down():
    done = lint(ROOT)

    assert 0 == done.returncode, done.stdout + done.stderr


def test_an_import_that_points_up_is_found(tmp_path):
    for source in (ROOT / "massgen_core").rglob("*.py"):
        copy = tmp_path / source.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copy)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "massgen_core" / "clock.py").open("a") as file:
        file.write("\nimport massgen_core.tokens\n")

    done = lint(tmp_path)

    assert 1 == done.returncode, done.stderr
    assert "massgen_core.clock -> massgen_core.tokens" in done.stdout
