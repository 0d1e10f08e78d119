"""The page of the command line, from the commands themselves."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

import typer
import typer.main

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = """\
# Command line

`mgc` and `python -m massgen_core` are the same program. It comes with
`pip install "massgen-core[cli]"`.
"""


def commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Every visible command with its full name, a group before its commands."""
    yield " ".join(path), command
    for name, child in sorted(getattr(command, "commands", {}).items()):
        if not child.hidden:
            yield from commands(child, (*path, name))


def text(value: str | None) -> str:
    """One paragraph, without the markup for terminals."""
    plain = re.sub(r"\[/?[a-z ]+\]", "", inspect.cleandoc(value or "").replace("\b", ""))
    return " ".join(plain.split()).replace("|", "\\|")


def row(parameter: Any) -> str:
    names = [parameter.metavar or parameter.name.upper()]
    if parameter.param_type_name == "option":
        names = [*parameter.opts, *parameter.secondary_opts]
    words = text(getattr(parameter, "help", None))
    return f"| {', '.join(f'`{name}`' for name in names)} | {words}{default(parameter)} |"


def default(parameter: Any) -> str:
    value = parameter.default
    if parameter.required:
        return " Required."
    if value is None or value == () or value is False or callable(value) or value == "":
        return ""
    return f" Default: `{value}`."


def entry(name: str, command: Any) -> str:
    usage = " ".join([name, *command.collect_usage_pieces(typer.Context(command))])
    shown = [p for p in command.params if not getattr(p, "hidden", False) and p.name != "help"]
    lines = [f"## {name}", "", f"```text\n{usage}\n```", "", prose(command.help), ""]
    if shown:
        lines += ["| | |", "| --- | --- |", *map(row, shown), ""]
    return "\n".join(lines)


def prose(value: str | None) -> str:
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(value or ""))
    return "\n\n".join(text(paragraph) for paragraph in paragraphs)


def page() -> str:
    from massgen_core.cli import app

    root = typer.main.get_command(app)
    return "\n".join([HEAD, *(entry(name, command) for name, command in commands(root, ("mgc",)))])
