"""Writes the reference pages that are made from the code.

Usage: generate.py           writes them
       generate.py --check   names those that are stale, and fails if there are any
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from typing import TYPE_CHECKING

import page_cli
import page_errors
import page_events
import page_hooks
import page_provider_faults
import page_strategies

from massgen_core.settings import reference as settings_page

if TYPE_CHECKING:
    from collections.abc import Callable

REFERENCE = Path(__file__).parents[1] / "reference"
PAGES: dict[str, Callable[[], str]] = {
    "cli.md": page_cli.page,
    "errors.md": page_errors.page,
    "events.md": page_events.page,
    "hooks.md": page_hooks.page,
    "provider-faults.md": page_provider_faults.page,
    "settings.md": settings_page,
    **{
        f"strategies/{name}.md": partial(page_strategies.page, name)
        for name in page_strategies.NAMES
    },
}


def render(name: str) -> str:
    """What the page must say now."""
    text = PAGES[name]()
    if text.startswith("<!--") or name.startswith("strategies/"):
        return text
    maker = f"page_{Path(name).stem.replace('-', '_')}"
    note = f"<!-- Made by docs/_tools/{maker}.py; edit the code it describes. -->"
    title, _, rest = text.partition("\n")
    return f"{title}\n\n{note}\n{rest.rstrip()}\n"


def stale() -> list[str]:
    return [
        name
        for name in PAGES
        if not (REFERENCE / name).is_file() or (REFERENCE / name).read_text("utf-8") != render(name)
    ]


def main(words: list[str]) -> None:
    if words == ["--check"]:
        sys.exit(f"stale: {', '.join(names)}" if (names := stale()) else 0)
    for name in PAGES:
        (REFERENCE / name).write_text(render(name), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
