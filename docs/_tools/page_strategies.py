"""The table of settings in the page of each strategy; what stands around it is written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from massgen_core.plugin import PluginHost

if TYPE_CHECKING:
    from pydantic import BaseModel

PAGES = Path(__file__).parents[1] / "reference" / "strategies"
NAMES = tuple(
    sorted(path.stem for path in PAGES.glob("*.md") if path.stem not in {"index", "floor"})
)
BEGIN, END = "<!-- made from the settings class -->", "<!-- end of what is made -->"


def page(name: str) -> str:
    """The page as it is, with the table as it must be."""
    text = (PAGES / f"{name}.md").read_text("utf-8")
    before, begins, rest = text.partition(BEGIN)
    _, ends, after = rest.partition(END)
    if not (begins and ends):
        raise ValueError(f"{name}.md has no place for the table of its settings: {BEGIN} {END}")
    made = table(PluginHost().settings_class("strategy", name))
    return f"{before}{BEGIN}\n\n{made}\n\n{END}{after}"


def table(settings: type[BaseModel]) -> str:
    """Key, default and meaning of each setting."""
    rows = [
        f"| `{key}` | `{default(field.default)}` | {field.description} |"
        for key, field in settings.model_fields.items()
    ]
    return "\n".join(["| Key | Default | Meaning |", "| --- | --- | --- |", *rows])


def default(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return "[]" if value == () else str(value)
