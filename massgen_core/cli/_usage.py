"""``mgc session usage``: what sessions used, and what it cost."""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that others start fast

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from massgen_core.cli._command import command
from massgen_core.cli._events import dollars
from massgen_core.cli._options import DatabasePath
from massgen_core.cli._reply import Reply
from massgen_core.cli._sessions import with_store
from massgen_core.cli._state import Cli
from massgen_core.cli._table import table_of

if TYPE_CHECKING:
    from massgen_core.agents import Spent
    from massgen_core.sessions import SessionStore

_HEADERS = ("session", "agent", "model", "answers", "prompt", "cached", "answer", "cost")


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "usage")(usage)


def usage(
    cli: Cli,
    session: Annotated[
        str | None, typer.Argument(metavar="SESSION", help="Only this one; all if omitted.")
    ] = None,
    path: DatabasePath = None,
) -> Reply:
    """Tokens and money that sessions used, by agent and model.

    Read from the journals, so runs of earlier days count. The cost was that of the catalogue when
    an answer came; answers of models without a price are left out of it.
    """
    from massgen_core.agents import spent
    from massgen_core.storage import database_path

    loaded = cli.app(path)
    if path is None and session is None and not database_path(loaded.path).exists():
        cli.note("no session was written here yet")
        return Reply({"rows": [], "cost": 0, "unpriced": 0})

    async def read(store: "SessionStore") -> list["Spent"]:
        ids = [info.id for info in await store.list()] if session is None else [session]
        return [row for one in ids for row in spent(one, await store.read(one))]

    rows = with_store(cli, loaded, read)
    cost = _cost(rows)
    unpriced = sum(row.unpriced for row in rows)
    data = {"rows": rows, "cost": cost, "unpriced": unpriced}
    if unpriced:
        cli.note(f"the cost of {unpriced:,} answers is not known: set models.NAME.input_price …")
    return Reply(data, table_of(_HEADERS, [*map(_row, rows), _total(rows)]))


def _cost(rows: Sequence["Spent"]) -> int | None:
    """Millionths of a dollar; None if there were answers, and the cost of none is known."""
    if rows and all(row.unpriced == row.answers for row in rows):
        return None
    return sum(row.usage.cost or 0 for row in rows)


def _shown(rows: Sequence["Spent"]) -> str:
    cost = _cost(rows)
    return "unknown" if cost is None else dollars(cost)


def _row(row: "Spent") -> tuple[object, ...]:
    used = row.usage
    counts = (row.answers, used.prompt, used.cached, used.completion)
    return row.session, row.agent, row.model, *counts, _shown([row])


def _total(rows: Sequence["Spent"]) -> tuple[object, ...]:
    counts = (
        sum(row.answers for row in rows),
        sum(row.usage.prompt for row in rows),
        sum(row.usage.cached for row in rows),
        sum(row.usage.completion for row in rows),
    )
    return "all", "", "", *counts, _shown(rows)
