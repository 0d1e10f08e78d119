"""Docstrings in Google style, as Markdown."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field

SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Examples|Yields):$")


@dataclass
class Doc:
    """A docstring in its parts: the prose, and each section's lines."""

    prose: str
    sections: dict[str, list[str]] = field(default_factory=dict)

    def items(self, name: str) -> list[tuple[str, str]]:
        """The ``name: text`` entries of a section."""
        items: list[tuple[str, str]] = []
        for line in self.sections.get(name, []):
            if match := re.match(r"([\w*]+)(?: \([^)]*\))?: (.*)", line):
                items.append((match[1], match[2]))
            elif items and line.strip():
                items[-1] = (items[-1][0], f"{items[-1][1]} {line.strip()}")
        return [(key, markdown(text)) for key, text in items]

    def bullets(self, name: str) -> str:
        return "\n".join(f"- `{key}`: {text}" for key, text in self.items(name))


def parse(text: str | None) -> Doc:
    prose: list[str] = []
    sections: dict[str, list[str]] = {}
    lines = prose
    for line in inspect.cleandoc(text or "").splitlines():
        if match := SECTION.match(line):
            lines = sections.setdefault(match[1], [])
        elif lines is prose or not line.strip() or line.startswith("    "):
            lines.append(line if lines is prose else line[4:])
        else:
            lines = prose
            lines.append(line)
    return Doc(markdown("\n".join(prose).strip()), sections)


def markdown(text: str) -> str:
    """Double backticks of reStructuredText as single ones."""
    return text.replace("``", "`")


def example(doc: Doc) -> str:
    """The doctest of a docstring as a fenced block; empty if it has none."""
    lines = "\n".join(doc.sections.get("Examples", [])).strip()
    return f"```pycon\n{lines}\n```\n" if lines else ""
