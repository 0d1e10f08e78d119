"""``mgc backend``: which backends there are, and whether one works."""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that others start fast

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from massgen_core.cli._codes import code_of
from massgen_core.cli._command import command
from massgen_core.cli._events import dollars
from massgen_core.cli._reply import Reply, error_to_json, to_json
from massgen_core.cli._state import Cli
from massgen_core.cli._table import table_of
from massgen_core.errors import Fatal

if TYPE_CHECKING:
    from massgen_core.app import App
    from massgen_core.backends import Check

app = typer.Typer(help="Which backends there are, and whether one works.", no_args_is_help=True)


@command(app, "list")
def list_backends(cli: Cli) -> Reply:
    """Every backend that is installed; the one the settings choose is marked."""
    loaded = cli.app()
    chosen = loaded.providers.name
    items = [
        item
        for report in loaded.host.plugins()
        for item in report.provides
        if item.kind == "backend"
    ]
    data = [
        {
            "name": item.name,
            "chosen": item.name == chosen,
            "state": item.state,
            "dist": item.dist,
            "capabilities": sorted(item.provides.capabilities),
            "summary": item.provides.summary,
        }
        for item in items
    ]
    rows = [
        ("*" if one["chosen"] else "", one["name"], one["state"], one["dist"], one["summary"])
        for one in data
    ]
    return Reply(data, table_of(("", "name", "state", "distribution", "summary"), rows))


@command(app, "check")
def check(
    cli: Cli,
    name: Annotated[
        str | None, typer.Argument(help="Registered name; the backend of the settings if omitted.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model to ask.")] = None,
    overflow: Annotated[
        bool, typer.Option("--overflow", help="Also send twice the window; that may cost.")
    ] = False,
) -> Reply:
    """Asks the backend something real, and says what works: a few short requests that may cost.

    The first thing that does not work decides how the program ends.
    """
    import asyncio

    _choose(cli, name)
    checks = asyncio.run(_checked(cli, cli.app(), model, overflow=overflow))
    rows = [(one.outcome, one.name, f"{one.seconds:.2f} s", _words(one)) for one in checks]
    data = [_to_json(one) for one in checks]
    text = table_of(("outcome", "what", "time", "result"), rows)
    failed = next((one for one in checks if one.outcome == "failed"), None)
    if failed is None:
        return Reply(data, text)
    error = failed.error or Fatal(f"{failed.name}: {failed.detail}")
    return Reply(data, text, code=code_of(error), error=error)


async def _checked(cli: Cli, app: "App", model: str | None, *, overflow: bool) -> list["Check"]:
    from massgen_core.backends import Probe

    async with app:
        backend, asked = app.backend(), model or app.model
        with cli.busy(f"Asking {asked} …"):
            probe = Probe(backend, asked, cli.event)
            return [one async for one in probe.run(overflow=overflow)]


def _choose(cli: Cli, name: str | None) -> None:
    """Lets the settings choose this backend, so that ``-c`` can say how to reach it."""
    if name is not None:
        chosen = f"backend.name={json.dumps(name)}"
        cli.options = replace(cli.options, overrides=(*cli.options.overrides, chosen))


def _words(one: "Check") -> str:
    usage = one.usage if one.name == "usage" else None
    cost = "" if usage is None or usage.cost is None else f", {dollars(usage.cost)}"
    return one.detail + cost


def _to_json(one: "Check") -> dict[str, Any]:
    error = None if one.error is None else error_to_json(one.error)
    names = ("name", "outcome", "detail", "seconds", "first", "usage")
    return {key: to_json(getattr(one, key)) for key in names} | {"error": error}
