"""Every code block of README and docs runs.

Python and console blocks of a page run in order, in one namespace and one empty folder. The comment
above a block can say otherwise: `<!-- skip: reason -->`, `<!-- exit: 4 -->`,
`<!-- file: massgen.yaml -->`, which writes the block to that file, or `<!-- install: FOLDER -->`,
in place of a pip install of what the page wrote there: only the blocks below see it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from markup import ROOT, blocks, pages

PAGES = {str(path.relative_to(ROOT)): blocks(path.read_text("utf-8")) for path in pages()}
RUN = {"python", "console", "bash", "sh"}
ORDERS = {"", "skip", "exit", "file", "install"}


def runnable(page):
    return [block for block in PAGES[page] if block.language in RUN or block.order == "file"]


def run_python(block, page, namespace):
    source = "\n" * block.line + block.body
    exec(compile(source, page, "exec", dont_inherit=True), namespace)  # noqa: S102 - our own pages


def run_shell(script, expected, folder):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=os.environ | {"PATH": path, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    code = done.returncode if done.returncode >= 0 else 128 - done.returncode  # as a shell says it
    assert expected == code, f"{script}\n{done.stdout}\n{done.stderr}"


def script_of(block):
    """The commands of a block; in a console block they stand after `$ ` and go on after `> `."""
    if block.language != "console":
        return block.body
    prompts = [line for line in block.body.splitlines() if re.match(r"[$>] ", line)]
    return "\n".join(line[2:] for line in prompts)


def install(project):
    """Makes a distribution known to the processes of later blocks, and to nobody else."""
    about = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
    info = project / "src" / f"{about['name']}-{about['version']}.dist-info"
    info.mkdir()
    names = f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n"
    (info / "METADATA").write_text(names, "utf-8")
    groups = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
        for group, points in about["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("".join(groups), "utf-8")
    return str(project / "src")


def run(block, page, namespace, folder):
    if block.order == "file":
        target = folder / block.value
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(block.body, "utf-8")
    elif block.language == "python":
        run_python(block, page, namespace)
    else:
        run_shell(script_of(block), int(block.value) if block.order == "exit" else 0, folder)


@pytest.mark.parametrize("page", [page for page in PAGES if runnable(page)])
def test_the_blocks_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    for block in runnable(page):
        if block.order == "install":
            monkeypatch.setenv("PYTHONPATH", install(tmp_path / block.value), prepend=os.pathsep)
        elif block.order != "skip":
            run(block, page, namespace, tmp_path)


@pytest.mark.parametrize("page", PAGES)
def test_what_a_comment_orders_is_known(page):
    assert {block.order for block in PAGES[page]} <= ORDERS


@pytest.mark.parametrize("page", PAGES)
def test_a_skipped_block_gives_a_reason(page):
    short = [b.line for b in PAGES[page] if b.order == "skip" and len(b.value.split()) < 3]

    assert [] == short


def test_there_are_blocks_to_run():
    assert sum(len(runnable(page)) for page in PAGES) >= 10
