"""Links inside README and docs lead somewhere."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from markup import ROOT, anchors, links, pages


def broken(page):
    """Targets of relative links of a page that do not exist."""
    found = []
    for target in links(page.read_text("utf-8")):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        other = page.parent / name if name else page
        lacks = anchor and other.is_file() and anchor not in anchors(other.read_text("utf-8"))
        if not other.exists() or lacks:
            found.append(target)
    return found


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page):
    assert [] == broken(page)


def test_a_broken_link_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# Title\n\n[a](#title) [b](#nope) [c](other.md) [d](https://example.org) `[e](f)`\n"
    )

    assert ["#nope", "other.md"] == broken(page)


def test_every_page_of_the_site_is_in_its_navigation():
    nav = (ROOT / "zensical.toml").read_text("utf-8")
    docs = ROOT / "docs"
    listed = [str(path.relative_to(docs)) for path in pages() if docs in path.parents]

    assert [] == [name for name in listed if f'"{name}"' not in nav and "template" not in name]
