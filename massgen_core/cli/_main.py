"""From words to an exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import typer
import typer.main

from massgen_core.cli._app import app
from massgen_core.cli._codes import Code
from massgen_core.cli._fence import guarded
from massgen_core.cli._state import Cli, Options

if TYPE_CHECKING:
    from collections.abc import Sequence

_USAGE: Final[Any] = typer.BadParameter.__mro__[1]
"""What typer raises for a wrong command line; it has no public name for it."""


def run(words: Sequence[str]) -> int:
    """Runs the command the words name; returns the exit code."""
    own = words[: words.index("--")] if "--" in words else words
    cli = Cli(Options(json="--json" in own))
    return guarded(cli, lambda: _run(cli, list(words)))


def _run(cli: Cli, words: list[str]) -> int:
    command = typer.main.get_command(app)
    try:
        code = command.main(words, prog_name="mgc", standalone_mode=False, obj=cli)
    except _USAGE as exc:
        return _misused(cli, exc)
    except typer.Abort:
        raise KeyboardInterrupt from None
    return code if isinstance(code, int) else Code.OK


def _misused(cli: Cli, error: Any) -> int:
    """Tells of a wrong command line; without any words that is the help."""
    if error.ctx is not None:
        cli.command = " ".join(error.ctx.command_path.split()[1:])
    if not cli.options.json or not error.format_message():
        error.show()
        return Code.USAGE
    cli.fail(error.format_message(), error={"code": "usage"})
    return Code.USAGE
