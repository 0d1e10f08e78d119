"""``mgc session``: what is kept, copied, moved, removed and checked."""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that others start fast

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from massgen_core.cli._codes import Code
from massgen_core.cli._command import command
from massgen_core.cli._events import short
from massgen_core.cli._input import agreed, read_lines
from massgen_core.cli._options import DatabasePath, SessionArgument, Yes
from massgen_core.cli._output import write_lines
from massgen_core.cli._reply import Reply, dumps, to_json
from massgen_core.cli._run import Instructions, MaxSteps, Tools, run
from massgen_core.cli._screen import moment, write
from massgen_core.cli._state import Cli
from massgen_core.cli._table import table_of
from massgen_core.errors import StorageCorrupt

if TYPE_CHECKING:
    from rich.console import RenderableType

    from massgen_core.app import App
    from massgen_core.sessions import Entry, SessionInfo, SessionStore

T = TypeVar("T")

app = typer.Typer(help="List, show, copy, move, remove and check sessions.", no_args_is_help=True)


def with_store(
    cli: Cli,
    app: "App",
    work: Callable[["SessionStore"], Awaitable[T]],
    *,
    write: bool = False,
) -> T:
    """What `work` makes of the sessions; a spinner turns if it takes long."""
    import asyncio

    async def main() -> T:
        async with app:
            return await work(await app.store(read_only=not write))

    with cli.busy("Writing …" if write else "Reading …"):
        return asyncio.run(main())


@command(app, "list")
def list_sessions(cli: Cli, path: DatabasePath = None) -> Reply:
    """All sessions, the most recently active first."""
    from massgen_core.storage import database_path

    loaded = cli.app(path)
    if path is None and not database_path(loaded.path).exists():
        cli.note("no session was written here yet")
        return Reply([])
    infos = with_store(cli, loaded, lambda store: store.list())
    headers = ("session", "active", "entries", "messages", "tokens", "title")
    return Reply(infos, table_of(headers, map(_row, infos)))


def _row(info: "SessionInfo") -> tuple[object, ...]:
    title = f"(damaged: {', '.join(info.damage)}) {info.title}" if info.damage else info.title
    active = moment(info.active_at)
    return info.id, active, info.entries, info.messages, info.tokens, title


@command(app, "show")
def show(
    cli: Cli,
    session: SessionArgument,
    last: Annotated[
        int, typer.Option(help="How many entries, counted from the end; 0 for all.", min=0)
    ] = 20,
    path: DatabasePath = None,
) -> Reply:
    """One session: what is known about it, and its newest entries."""

    async def read(store: "SessionStore") -> tuple["SessionInfo", list["Entry"]]:
        info = await store.info(session)
        start = max(1, info.entries - last + 1) if last else 1
        return info, await store.read(session, start=start)

    info, entries = with_store(cli, cli.app(path), read)
    data = {**to_json(info), "newest": [_entry_to_json(entry) for entry in entries]}
    return Reply(data, partial(_shown, info, entries))


def _entry_to_json(entry: "Entry") -> dict[str, object]:
    names = ("seq", "id", "kind", "created_at", "tokens", "tokenizer", "body")
    return {name: getattr(entry, name) for name in names}


def _shown(info: "SessionInfo", entries: Sequence["Entry"]) -> "RenderableType":
    from rich.console import Group

    facts = [
        ("session", info.id),
        ("title", info.title),
        ("created", moment(info.created_at)),
        ("active", moment(info.active_at)),
        ("forked from", info.parent_id and f"{info.parent_id}, entry {info.parent_seq}"),
        ("size", f"{info.entries:,} entries, {info.messages:,} messages, {info.tokens:,} tokens"),
        ("damage", ", ".join(info.damage)),
    ]
    rows = [
        (entry.seq, entry.kind, moment(entry.created_at), entry.tokens, _gist(entry))
        for entry in entries
    ]
    head = table_of(("", ""), [fact for fact in facts if fact[1]])
    return Group(head(), "", table_of(("entry", "kind", "when", "tokens", "what"), rows)())


def _gist(entry: "Entry") -> str:
    if entry.kind == "message":
        message = entry.message
        calls = "".join(f" {call.name}({short(call.arguments)})" for call in message.calls)
        results = " ".join(short(result.text) for result in message.results)
        return f"{message.role}: {short(message.text)}{calls}{results}"
    if entry.kind == "fit":
        return f"{entry.body['tokens_before']:,} → {entry.body['tokens_after']:,} tokens"
    return short(dumps(entry.body))


@command(app, "resume")
def resume(
    cli: Cli,
    session: SessionArgument,
    instructions: Instructions = None,
    tool: Tools = None,
    max_steps: MaxSteps = None,
    path: DatabasePath = None,
) -> Reply:
    """Goes on where an interrupted run was: the same as `mgc run --resume --session SESSION`."""
    return run(
        cli,
        session=session,
        resume=True,
        instructions=instructions,
        tool=tool,
        max_steps=max_steps,
        path=path,
    )


@command(app, "fork")
def fork(
    cli: Cli,
    session: SessionArgument,
    at: Annotated[
        int | None, typer.Option(help="Last entry to share; the newest if omitted.", min=0)
    ] = None,
    new_id: Annotated[str | None, typer.Option("--id", help="Id of the copy.")] = None,
    path: DatabasePath = None,
) -> Reply:
    """Copies a session up to an entry; texts are shared on disk. Prints the copy's id."""
    info = with_store(
        cli, cli.app(path), lambda store: store.fork(session, at=at, new_id=new_id), write=True
    )
    cli.note(f"forked {session} after entry {info.parent_seq}")
    return Reply(info, f"{info.id}\n")


@command(app, "export")
def export(
    cli: Cli,
    session: SessionArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File; standard output if omitted.")
    ] = None,
    salvage: Annotated[
        bool, typer.Option("--salvage", help="Leave out damaged entries instead of failing.")
    ] = False,
    path: DatabasePath = None,
) -> Reply:
    """Writes a session as JSON lines, complete in themselves; `mgc session import` reads them.

    With --json, and without --output, the lines are in the envelope.
    """
    kept: list[str] = []

    async def lines(store: "SessionStore") -> int:
        exported = store.export(session, salvage=salvage)
        if output is not None:
            return await write_lines(output, exported)
        async for line in exported:
            if cli.options.json:
                kept.append(line)
            else:
                write(f"{line}\n")
        return len(kept)

    number = with_store(cli, cli.app(path), lines)
    if output is None:
        return Reply({"lines": kept})
    cli.note(f"wrote {number:,} lines to {output}")
    return Reply({"file": output, "lines": number})


@command(app, "import")
def import_(
    cli: Cli,
    file: Annotated[Path, typer.Argument(help="What `mgc session export` wrote; - for input.")],
    new_id: Annotated[str | None, typer.Option("--id", help="Another id.")] = None,
    path: DatabasePath = None,
) -> Reply:
    """Reads a session; doing it twice changes nothing. Prints its id."""
    with read_lines(file) as lines:
        info = with_store(
            cli, cli.app(path), lambda store: store.import_(lines, new_id=new_id), write=True
        )
    cli.note(f"imported {info.entries:,} entries")
    return Reply(info, f"{info.id}\n")


@command(app, "delete")
def delete(
    cli: Cli, session: SessionArgument, yes: Yes = False, path: DatabasePath = None
) -> Reply:
    """Removes a session and every text that no other one refers to."""

    async def remove(store: "SessionStore") -> "SessionInfo":
        info = await store.info(session)
        await store.delete(session)
        return info

    agreed(f"Delete session {session}?", yes=yes)
    info = with_store(cli, cli.app(path), remove, write=True)
    cli.note(f"deleted {session}: {info.entries:,} entries")
    return Reply({"deleted": session, "entries": info.entries})


@command(app, "verify")
def verify(
    cli: Cli,
    session: Annotated[
        str | None, typer.Argument(metavar="SESSION", help="Only this one; all if omitted.")
    ] = None,
    path: DatabasePath = None,
) -> Reply:
    """Checks every byte on disk: structure, chains, checksums, references. Damage ends with 5."""
    report = with_store(cli, cli.app(path), lambda store: store.verify(session))
    size = f"{report.sessions:,} sessions, {report.entries:,} entries, {report.blobs:,} blobs"
    if report.ok:
        return Reply(report, f"{size}: no damage\n")
    rows = [(one.session_id, one.seq, one.field, one.what) for one in report.problems]
    return Reply(
        report,
        table_of(("session", "entry", "field", "what is wrong"), rows),
        code=Code.INTEGRITY,
        error=StorageCorrupt(
            f"{len(rows)} problems in {size}",
            hint="`mgc session export --salvage SESSION` writes what is intact.",
        ),
    )
