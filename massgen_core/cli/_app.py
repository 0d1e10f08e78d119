"""The commands, put together."""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that others start fast

import inspect
from typing import TYPE_CHECKING, Annotated

import typer

from massgen_core.cli import (
    _backend,
    _bench,
    _config,
    _context,
    _doctor,
    _grants,
    _insight,
    _learning,
    _memory,
    _models,
    _plugins,
    _run,
    _sessions,
    _upkeep,
    _usage,
)
from massgen_core.cli._codes import MEANINGS
from massgen_core.cli._command import shaped, take_options
from massgen_core.cli._fence import guarded
from massgen_core.cli._reply import Reply

if TYPE_CHECKING:
    from massgen_core.cli._state import Cli

__all__ = ["app"]

_CODES = "\n".join(f"{code.value:>5}  {meaning}" for code, meaning in MEANINGS.items())
_VERSION = inspect.Parameter(
    "version",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[bool, typer.Option("--version", help="Print the version and end.")],
)

app = typer.Typer(
    name="mgc",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help costs half the time, and looks the same everywhere
)


def _root(ctx: typer.Context, *, version: bool, **given: object) -> None:
    cli: Cli = ctx.obj
    cli.before = take_options(given)
    if version:
        cli.options = cli.before
        raise typer.Exit(guarded(cli, lambda: cli.answer(_version())))


def _version() -> Reply:
    from massgen_core import __version__

    return Reply({"version": __version__}, f"mgc {__version__}\n")


app.callback(
    help="The context and memory engine for teams of LLM agents.",
    epilog=f"\b\nExit codes:\n{_CODES}",
    invoke_without_command=True,
    no_args_is_help=True,
)(shaped(_root, [_VERSION]))
_run.add_to(app)
_usage.add_to(_sessions.app)
app.add_typer(_sessions.app, name="session")
_insight.add_to(_memory.app)
_learning.add_to(_memory.app)
_grants.add_to(_memory.app)
_upkeep.add_to(_memory.app)
app.add_typer(_memory.app, name="memory")
_bench.add_to(_context.app)
app.add_typer(_context.app, name="context")
app.add_typer(_plugins.app, name="plugins")
app.add_typer(_config.app, name="config")
app.add_typer(_backend.app, name="backend")
app.add_typer(_models.app, name="models")
_doctor.add_to(app)
