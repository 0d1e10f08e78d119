"""Options that several commands take."""

from pathlib import Path
from typing import Annotated, Final

import typer

from massgen_core.cli._state import Options

GLOBAL: Final = "Global options"
"""The panel of options that every command takes."""

DatabasePath = Annotated[
    Path | None,
    typer.Option(
        "--path",
        help="Database file or its folder; storage.path of the settings if omitted "
        "(.massgen/massgen.db).",
    ),
]
SessionArgument = Annotated[str, typer.Argument(metavar="SESSION", help="Id of the session.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]


def options(
    json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON envelope.", rich_help_panel=GLOBAL),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Only errors.", rich_help_panel=GLOBAL)
    ] = False,
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose",
            "-v",
            count=True,
            help="More; tracebacks of unexpected errors. Twice: debug logs.",
            rich_help_panel=GLOBAL,
        ),
    ] = 0,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "-c",
            metavar="KEY=VALUE",
            help="A setting, stronger than files and environment; repeatable.",
            rich_help_panel=GLOBAL,
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option("--profile", help="Profile of the settings.", rich_help_panel=GLOBAL),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Settings file to use.", rich_help_panel=GLOBAL),
    ] = None,
) -> Options:
    """The global options as they were given."""
    return Options(
        json=json,
        verbosity=-1 if quiet else verbose,
        overrides=tuple(overrides or ()),
        profile=profile,
        config=config,
    )
