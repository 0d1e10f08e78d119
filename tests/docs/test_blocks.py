"""Every code block of README and docs runs.

Python and console blocks of a page run in order, in one namespace and one empty folder. The comment
above a block can say otherwise: `<!-- skip: reason -->`, `<!-- exit: 4 -->`, or
`<!-- file: massgen.yaml -->`, which writes the block to that file.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from markup import ROOT, blocks, pages

PAGES = {str(path.relative_to(ROOT)): blocks(path.read_text("utf-8")) for path in pages()}
RUN = {"python", "console", "bash", "sh"}
ORDERS = {"", "skip", "exit", "file"}


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
        if block.order != "skip":
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
