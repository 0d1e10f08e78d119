"""``mgc config``: what is set, where it comes from, and what is wrong with it."""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that others start fast

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from massgen_core.cli._codes import Code
from massgen_core.cli._command import command
from massgen_core.cli._input import agreed
from massgen_core.cli._options import Yes
from massgen_core.cli._reply import Reply
from massgen_core.cli._state import Cli
from massgen_core.cli._table import table_of
from massgen_core.errors import InvalidArgument, SettingsError

if TYPE_CHECKING:
    from massgen_core.plugin import PluginHost
    from massgen_core.settings import Loaded, Lookup

app = typer.Typer(help="What is set, where it comes from, what is wrong.", no_args_is_help=True)

_FILE = Path("massgen.yaml")


@command(app, "show")
def show(cli: Cli) -> Reply:
    """All settings in force, as a massgen.yaml would say them; secrets are stars."""
    import yaml

    loaded = cli.app().loaded
    tree = loaded.show()
    return Reply(tree, yaml.safe_dump(tree, sort_keys=False, allow_unicode=True))


@command(app, "explain")
def explain(
    cli: Cli,
    prefix: Annotated[
        str, typer.Argument(metavar="PATH", help="Only this setting or section, e.g. context.")
    ] = "",
) -> Reply:
    """Every value with where it comes from; secrets are stars."""
    loaded = cli.app().loaded
    found = [
        one
        for one in loaded.explain()
        if not prefix or one.path == prefix or one.path.startswith((f"{prefix}.", f"{prefix}["))
    ]
    if not found:
        raise InvalidArgument(
            f"there is no setting {prefix!r}", hint="`mgc config explain` lists all there are."
        )
    _tell_ignored(cli, loaded)
    rows = [(one.path, one.value, one.source) for one in found]
    return Reply(found, table_of(("setting", "value", "source"), rows))


def _tell_ignored(cli: Cli, loaded: "Loaded") -> None:
    if loaded.ignored:
        cli.note(f"no settings: {', '.join(loaded.ignored)}")


@command(app, "schema")
def schema(cli: Cli) -> Reply:
    """JSON Schema of massgen.yaml, the installed plugins' keys included; editors check with it."""
    from massgen_core.settings import json_schema

    host = cli.plugins()
    found = json_schema(lookup=_lookup(host), installed=_installed(host))
    return Reply(found, json.dumps(found, indent=2, ensure_ascii=False) + "\n")


@command(app, "validate")
def validate(cli: Cli) -> Reply:
    """Names everything that is wrong with the settings; exit code 3 if anything is."""
    from massgen_core.settings import check_settings

    options = cli.options
    try:
        lookup = _lookup(cli.plugins())
    except SettingsError:  # it is among the problems
        lookup = None
    problems = check_settings(
        lookup=lookup,
        overrides=options.overrides,
        profile=options.profile,
        file=options.config,
    )
    if not problems:
        return Reply([], "the settings are valid\n")
    rows = [(one.kind, one.path, one.message) for one in problems]
    return Reply(
        problems,
        table_of(("what", "setting", "problem"), rows),
        code=Code.CONFIG,
        error=SettingsError(
            f"{len(problems)} problem{'s' * (len(problems) > 1)} in the settings",
            problems=[one.message for one in problems],
        ),
    )


@command(app, "init")
def init(
    cli: Cli,
    file: Annotated[Path, typer.Argument(help="File to write.")] = _FILE,
    yes: Yes = False,
) -> Reply:
    """Writes a massgen.yaml to start from: every key with its default and its meaning."""
    from massgen_core.settings import template

    host = cli.plugins()
    text = template(lookup=_lookup(host), installed=_installed(host))
    if file.exists():
        agreed(f"{file} exists. Replace it?", yes=yes)
    try:
        file.write_text(text, "utf-8")
    except OSError as exc:
        raise InvalidArgument(f"{str(file)!r} cannot be written: {exc.strerror}") from exc
    cli.note(f"wrote {file}; keep what you change")
    return Reply({"file": file})


def _lookup(host: "PluginHost") -> "Lookup":
    return cast("Lookup", host.settings_class)  # kinds are just text to the settings


def _installed(host: "PluginHost") -> dict[str, tuple[str, ...]]:
    from massgen_core.plugin import KINDS

    return {kind: host.names(kind) for kind in KINDS}
