"""The page of the command line, from the commands themselves."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import docstrings
import typer.main

from massgen_core import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = """\
# Command line

`mgc` and `python -m massgen_core` are the same program. It comes with
`pip install "massgen-core[cli]"`.
"""
NAMES = {int: "INT", float: "FLOAT", Path: "PATH"}
SHARED = "Global options"


def commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Every visible command with its full name, a group before its commands."""
    yield " ".join(path), command
    for name, child in sorted(getattr(command, "commands", {}).items()):
        if not child.hidden:
            yield from commands(child, (*path, name))


def is_option(parameter: Any) -> bool:
    return parameter.param_type_name == "option"


def is_shared(parameter: Any) -> bool:
    return getattr(parameter, "rich_help_panel", None) == SHARED


def visible(command: Any) -> list[Any]:
    return [p for p in command.params if not getattr(p, "hidden", False) and p.name != "help"]


def metavar(parameter: Any) -> str:
    """What stands for the value of a parameter; empty for a flag."""
    if not is_option(parameter):
        name = parameter.metavar or parameter.name.upper()
        name = name if parameter.nargs == 1 else f"{name}..."
        return name if parameter.required else f"[{name}]"
    if parameter.is_flag or parameter.count:
        return ""
    annotation = parameter.type_descriptor.annotation
    choices = get_args(annotation) if get_origin(annotation) is Literal else None
    return parameter.metavar or "|".join(map(str, choices or [NAMES.get(annotation, "TEXT")]))


def row(parameter: Any) -> str:
    names = [metavar(parameter)]
    if is_option(parameter):
        names = [f"{name} {metavar(parameter)}".strip() for name in parameter.opts]
        names += parameter.secondary_opts
    shown = ", ".join(f"`{name}`" for name in names).replace("|", "\\|")
    return f"| {shown} | {text(parameter.help)}{default(parameter)} |"


def default(parameter: Any) -> str:
    value = parameter.default
    if parameter.required:
        return " Required." if is_option(parameter) else ""
    if value in (None, False, "", (), 0) or callable(value):
        return ""
    return f" Default: `{value}`."


def table(parameters: list[Any]) -> list[str]:
    return ["| | |", "| --- | --- |", *map(row, parameters), ""] if parameters else []


def text(value: str | None) -> str:
    """One paragraph, without the marks that only a terminal needs."""
    return " ".join(inspect.cleandoc(value or "").replace("\b", "").split()).replace("|", "\\|")


def prose(value: str | None) -> str:
    """Paragraphs; one that the terminal does not wrap is a block of text."""
    out = []
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(value or "")):
        kept = paragraph.startswith("\b\n")
        out.append(f"```text\n{paragraph[2:]}\n```" if kept else text(paragraph))
    return "\n\n".join(out)


def usage(name: str, command: Any) -> str:
    words = [name, "[OPTIONS]", *(metavar(p) for p in command.params if not is_option(p))]
    if getattr(command, "commands", None):
        words += ["COMMAND", "[ARGS]..."]
    return f"```text\n{' '.join(words)}\n```"


def entry(name: str, command: Any) -> str:
    own = [p for p in visible(command) if not is_shared(p)]
    lines = [f"## {name}", "", usage(name, command), "", prose(command.help), "", *table(own)]
    if command.epilog:
        lines += [prose(command.epilog), ""]
    return "\n".join(lines)


def page() -> str:
    root = typer.main.get_command(cli.app)
    about = docstrings.markdown(inspect.cleandoc(cli.__doc__ or "").partition("\n\n")[2])
    shared = ["## Every command", "", "takes these as well:", ""]
    shared += table([p for p in visible(root) if is_shared(p)])
    entries = [entry(name, command) for name, command in commands(root, ("mgc",))]
    return "\n".join([HEAD, about, "", *shared, *entries])
