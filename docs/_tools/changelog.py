"""The changelog: one small file per change, gathered into CHANGELOG.md at a release.

Usage: changelog.py check            names and contents of the fragments
       changelog.py release VERSION  moves them into CHANGELOG.md
"""

from __future__ import annotations

import datetime as dt
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "changelog.d"
TITLES = {"added": "Added", "changed": "Changed", "fixed": "Fixed", "removed": "Removed"}
NAME = re.compile(rf"[a-z0-9][a-z0-9-]*\.({'|'.join(TITLES)})\.md")
MARK = "<!-- releases below -->\n"


def fragments(folder: Path = FOLDER) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name != "README.md")


def problems(folder: Path = FOLDER) -> list[str]:
    """What is wrong with the fragments, a line each."""
    found = []
    for path in fragments(folder):
        if not NAME.fullmatch(path.name):
            found.append(f"{path.name}: expected <id>.<{'|'.join(TITLES)}>.md")
        elif not (text := path.read_text("utf-8").strip()):
            found.append(f"{path.name}: is empty")
        elif text.startswith(("#", "-", "*")):
            found.append(f"{path.name}: is a sentence or two, not a heading or a list")
    return found


def section(version: str, day: str, folder: Path = FOLDER) -> str:
    """The text of a release: the fragments by kind, in the order of their names."""
    lines = [f"## {version} ({day})", ""]
    for kind, title in TITLES.items():
        texts = [path.read_text("utf-8") for path in fragments(folder) if f".{kind}." in path.name]
        if texts:
            items = [f"- {' '.join(text.split())}" for text in texts]
            lines += [f"### {title}", "", *items, ""]
    return "\n".join(lines)


def release(version: str) -> None:
    page = ROOT / "CHANGELOG.md"
    text = page.read_text("utf-8")
    day = dt.datetime.now(tz=dt.UTC).date().isoformat()
    page.write_text(text.replace(MARK, f"{MARK}\n{section(version, day)}", 1), "utf-8")
    for path in fragments():
        path.unlink()


def main(words: list[str]) -> None:
    match words:
        case ["check"]:
            sys.exit("\n".join(problems()) or 0)
        case ["release", version]:
            release(version)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
