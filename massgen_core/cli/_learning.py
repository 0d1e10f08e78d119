"""``mgc memory``: what it learns from messages, and what it makes of what it learnt."""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that others start fast

from typing import TYPE_CHECKING, Annotated

import typer

from massgen_core.cli._codes import Code
from massgen_core.cli._command import command
from massgen_core.cli._memory_work import DryRun, ScopeOption, scope_from, with_app, with_memory
from massgen_core.cli._options import DatabasePath
from massgen_core.cli._reply import Reply, to_json
from massgen_core.cli._state import Cli
from massgen_core.cli._table import table_of
from massgen_core.errors import ExtractionFailed, InvalidArgument

if TYPE_CHECKING:
    from massgen_core.memory import Consolidated, Memory, Waiting

_DAY = 86_400.0
_STEP = 200
"""Messages between two notes of how far it is."""


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    command(app, "work")(work)
    command(app, "consolidate")(consolidate)


def work(
    cli: Cli,
    limit: Annotated[
        int | None, typer.Option(help="Messages at most; all that wait if omitted.", min=1)
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also what failed before, and what was given up.")
    ] = False,
    dry_run: DryRun = False,
    path: DatabasePath = None,
) -> Reply:
    """Lets the model of `memory.extraction` learn from the messages that wait for it.

    What it proposes is checked and added; messages stay. What fails waits for the next time.
    """
    app = cli.app(path)
    if dry_run:
        found = with_memory(cli, path, lambda memory: memory.waiting())
        return Reply({"shown": 0, "waiting": found._asdict()}, f"{_counted(found)}\n")
    if not app.settings.memory.extraction.enabled:
        raise InvalidArgument(
            "nobody learns from messages: memory.extraction.enabled is false",
            hint="Set it in the settings, or with -c memory.extraction.enabled=true.",
        )

    async def all_of(memory: "Memory") -> "tuple[int, Waiting, Waiting]":
        before = await memory.waiting()
        shown = step = await memory.work(limit=limit or _STEP, again=again)
        while step and limit is None:
            cli.note(f"{shown:,} messages so far")
            step = await memory.work(limit=_STEP)
            shown += step
        return shown, before, await memory.waiting()

    shown, before, after = with_app(cli, app, all_of, write=True)
    data = {"shown": shown, "waiting": after._asdict()}
    text = f"{shown:,} messages shown; {_counted(after)}\n"
    old = 0 if again else before.later + before.given_up
    if after.later + after.given_up > old:
        failed = ExtractionFailed(
            f"{after.later + after.given_up - old:,} messages could not be learnt from",
            hint="They wait on disk. Once what is told above is mended: mgc memory work --again",
        )
        return Reply(data, text, code=Code.FAILURE, error=failed)
    return Reply(data, text)


def _counted(found: "Waiting") -> str:
    return f"{found.due:,} wait, {found.later:,} are tried later, {found.given_up:,} given up"


def consolidate(
    cli: Cli,
    *,
    scope: ScopeOption = None,
    summaries: Annotated[
        bool,
        typer.Option("--summaries", help="Let the model of `memory.extraction` sum up old ones."),
    ] = False,
    older_than: Annotated[
        float, typer.Option(help="Days that messages must be old to be summarised.", min=0)
    ] = 30.0,
    dry_run: DryRun = False,
    path: DatabasePath = None,
) -> Reply:
    """Makes one memory of those that say the same, and summaries of old messages.

    Messages stay, what is replaced keeps its history, and `mgc memory undo` of one of the new
    memories takes all of it back.
    """
    from massgen_core.memory import Summaries

    whose, app = scope_from(scope), cli.app(path)
    writer = Summaries(app.asks) if summaries else None

    async def merge(memory: "Memory") -> "Consolidated":
        return await memory.consolidate(
            whose, summaries=writer, older_than=older_than * _DAY, dry_run=dry_run
        )

    done = with_app(cli, app, merge, write=not dry_run)
    rows = [
        ("said twice", len(done.superseded)),
        ("merged into", len(done.merged)),
        ("portions of old messages", done.portions),
        ("summaries", len(done.summaries)),
    ]
    return Reply(to_json(done), table_of(("", ""), rows))
