"""Just enough Markdown to test pages: fenced blocks, headings, links."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(
    r"(?:^ *<!-- (?P<order>\w+): (?P<value>.+?) -->\n\n?)?"
    r"^(?P<indent> *)```(?P<language>\w+)[^\n]*\n(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
FENCED = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (?P<text>.+?)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block with the order in the HTML comment above it: skip, exit or file."""

    language: str
    body: str
    line: int
    order: str = ""
    value: str = ""


def pages() -> list[Path]:
    """The pages people read: README, CONTRIBUTING and docs, without fragments and templates."""
    docs = [path for path in ROOT.glob("docs/**/*.md") if "changelog.d" not in path.parts]
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("plugins/*/README.md"), *docs])


def blocks(text: str) -> list[Block]:
    return [
        Block(
            language=match["language"],
            body=textwrap.dedent(match["body"]),
            line=text.count("\n", 0, match.start("body")),
            order=match["order"] or "",
            value=match["value"] or "",
        )
        for match in FENCE.finditer(text)
    ]


def prose(text: str) -> str:
    """The text without its fenced blocks and code spans."""
    return re.sub(r"`[^`\n]*`", "", FENCED.sub("", text))


def anchors(text: str) -> set[str]:
    """Ids of the headings, as the site makes them."""
    return {slug(match["text"]) for match in HEADING.finditer(FENCED.sub("", text))}


def slug(heading: str) -> str:
    words = re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower()
    return re.sub(r"[-\s]+", "-", words)


def links(text: str) -> list[str]:
    return [match["target"] for match in LINK.finditer(prose(text))]
