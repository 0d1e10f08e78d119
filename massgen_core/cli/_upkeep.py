"""``mgc memory``: checking, mending, copying and moving the whole of it."""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that others start fast

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from massgen_core.cli._codes import Code
from massgen_core.cli._command import command
from massgen_core.cli._input import STDIN, agreed
from massgen_core.cli._memory import listed, memories
from massgen_core.cli._memory_work import DryRun, ScopeOption, scope_from, with_memory
from massgen_core.cli._options import DatabasePath, Yes
from massgen_core.cli._reply import Reply
from massgen_core.cli._screen import moment
from massgen_core.cli._state import Cli
from massgen_core.cli._table import table_of
from massgen_core.errors import (
    InvalidArgument,
    LedgerCorrupt,
    SchemaTooNew,
    StorageCorrupt,
    StorageReadOnly,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from massgen_core.memory import Brought, Imported, Memory, MemoryReport, Mended, Snapshot
    from massgen_core.memory._bringing import Format


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    command(app, "verify")(verify)
    command(app, "repair")(repair)
    command(app, "migrate")(migrate)
    command(app, "snapshot")(snapshot)
    command(app, "restore")(restore)
    command(app, "rewind")(rewind)
    command(app, "export")(export)
    command(app, "import")(import_)


def verify(cli: Cli, path: DatabasePath = None) -> Reply:
    """Checks every entry of the ledger, the tables and the indexes. Damage ends with 5."""
    report = with_memory(cli, path, lambda memory: memory.verify(), asks=True)
    return _checked(report)


def _checked(report: "MemoryReport") -> Reply:
    size = f"{report.entries:,} log entries of {report.records:,} memories"
    if report.ok:
        others = "".join(
            f"index {name}: not checked, another process has it open\n" for name in report.unchecked
        )
        return Reply(report, f"{size}: no damage\n{others}")
    rows = [(one.place, one.what, "yes" if one.lost else "no") for one in report.problems]
    return Reply(
        report,
        table_of(("place", "what is wrong", "content lost"), rows),
        code=Code.INTEGRITY,
        error=LedgerCorrupt(
            f"{len(rows)} problems in {size}",
            hint="`mgc memory repair` mends what can be mended, after a copy was put aside.",
        ),
    )


def repair(
    cli: Cli,
    salvage: Annotated[
        bool,
        typer.Option(
            "--salvage",
            help="Make a new file of what can be read, where the damaged one cannot be opened.",
        ),
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    path: DatabasePath = None,
) -> Reply:
    """Mends what `verify` finds: the damaged file is copied aside first.

    With --salvage the file is read page by page, what is missing is taken from the newest sound
    snapshot, the damaged file is kept beside the new one, and what is lost is told. It is for files
    that cannot be opened, sessions included; nobody may use the file meanwhile.
    """
    if salvage:
        return _salvage(cli, path, yes=yes, dry_run=dry_run)
    if dry_run:
        return _checked(with_memory(cli, path, lambda memory: memory.verify(), asks=True))
    done = with_memory(cli, path, lambda memory: memory.repair(), write=True)
    text = f"{done.entries:,} damaged log entries, {done.vectors:,} damaged vectors\n"
    return _mended(cli, done, Reply(done, text))


def _salvage(cli: Cli, path: Path | None, *, yes: bool, dry_run: bool) -> Reply:
    from massgen_core.salvage import salvage

    if dry_run:
        raise InvalidArgument("--salvage has no dry run: the damaged file is kept as it is")
    agreed("Put a new file of what can be read in the place of the database?", yes=yes)
    with cli.busy("Reading every page …"):
        done = salvage(cli.app(path).path)
    cli.note(f"the damaged file is kept as {done.kept}")
    if done.snapshot is not None:
        cli.note(f"lost entries were taken from {done.snapshot}")
    if done.unread:
        pages = f"{done.unread:,} of {done.pages:,} pages"
        cli.note(f"nothing could be read in {pages}, free ones among them")
    for session, what in done.sessions.items():
        cli.note(f"session {session}: {what}")
    counts = [f"{number:,} of {name}" for name, number in done.rows.items() if number]
    return _mended(cli, done.mended, Reply(done, f"read {', '.join(counts)}\n"))


def _mended(cli: Cli, mended: "Mended", reply: Reply) -> Reply:
    """The reply, with what is back and what is lost told; what is lost ends with 5."""
    for record_id in mended.restored:
        cli.note(f"{record_id} is back at its last intact revision")
    for record_id in mended.lost:
        cli.note(f"{record_id} is lost: no revision of it is intact")
    if not mended.lost:
        return reply
    error = LedgerCorrupt(
        f"memories that are lost: {len(mended.lost)}; all others are mended",
        hint="`mgc memory restore` or `mgc memory import` brings back what a snapshot or an "
        "archive has of them.",
    )
    return replace(reply, code=Code.INTEGRITY, error=error)


def migrate(cli: Cli, dry_run: DryRun = False, path: DatabasePath = None) -> Reply:
    """Brings the database to the newest schema, after a backup; opening it does that, too."""
    from massgen_core.storage import SCHEMA, database_path, refuse_newer, stored_schema

    file = database_path(cli.app(path).path)
    if not file.exists():
        raise InvalidArgument(f"there is no database at {str(file)!r}", hint="Pass --path.")
    before = stored_schema(file)
    refuse_newer(before, SCHEMA, file)
    if not dry_run and before < len(SCHEMA):
        with_memory(cli, path, lambda memory: memory.verify(), write=True)
    data = {"file": file, "before": before, "after": len(SCHEMA), "done": not dry_run}
    return Reply(data, f"schema {before} → {len(SCHEMA)}\n")


def snapshot(
    cli: Cli,
    into: Annotated[
        Path | None, typer.Option(help="Folder; massgen.db.snapshots beside the file if omitted.")
    ] = None,
    keep: Annotated[
        int | None, typer.Option(help="How many to keep there; all if omitted.", min=1)
    ] = None,
    show: Annotated[
        bool, typer.Option("--list", help="List those there are, and make none.")
    ] = False,
    path: DatabasePath = None,
) -> Reply:
    """Makes a complete copy of the database while others write to it. Prints its file."""
    if show:
        found = with_memory(cli, path, lambda memory: memory.snapshots(into))
        rows = [_described(one) for one in found]
        return Reply(found, table_of(("file", "made", "memories", "sessions", "bytes"), rows))
    made = with_memory(cli, path, lambda memory: memory.snapshot(into, keep=keep), write=True)
    return Reply(made, f"{made.path}\n")


def _described(one: "Snapshot") -> tuple[object, ...]:
    return one.path, moment(one.created_at), one.records, one.sessions, one.size


def restore(
    cli: Cli,
    file: Annotated[Path, typer.Argument(metavar="SNAPSHOT", help="The file of a snapshot.")],
    yes: Yes = False,
    dry_run: DryRun = False,
    path: DatabasePath = None,
) -> Reply:
    """Puts a snapshot in the place of the database, sessions included, after checking it."""
    from massgen_core import salvage
    from massgen_core.memory import check_snapshot

    checked = check_snapshot(file)
    if dry_run:
        return Reply(checked, f"{file} is whole: {checked.records:,} memories\n")
    agreed(f"Replace the database by the snapshot of {moment(checked.created_at)}?", yes=yes)
    try:
        kept = with_memory(cli, path, lambda memory: memory.restore(file), write=True, new=True)
    except (StorageCorrupt, StorageReadOnly, SchemaTooNew) as exc:  # as damage may look
        try:
            kept, whole = salvage.restore(cli.app(path).path, file)
        except InvalidArgument:  # it is sound, or no database of ours
            raise exc from None
        if not whole:
            cli.note("what was forgotten since the snapshot may be back: the file did not say it")
    cli.note(f"the database as it was is kept as {kept}")
    return Reply({"restored": file, "kept": kept})


def rewind(
    cli: Cli,
    until: Annotated[
        str,
        typer.Argument(help="A log entry's number, which `history` tells, or a date in ISO 8601."),
    ],
    dry_run: DryRun = False,
    path: DatabasePath = None,
) -> Reply:
    """Brings every memory back to what it was at a point of the log; `undo` takes it back."""
    point: int | str = int(until) if until.isdecimal() else until
    done = with_memory(
        cli, path, lambda memory: memory.rewind(point, dry_run=dry_run), write=not dry_run
    )
    cli.note(f"{memories(len(done))} {'would change' if dry_run else 'changed'}")
    return Reply(done, listed(done) if done else None)


def export(
    cli: Cli,
    file: Annotated[Path, typer.Argument(help="The archive to write.")],
    scope: ScopeOption = None,
    path: DatabasePath = None,
) -> Reply:
    """Writes all memories, or those of a scope, with their history as JSON lines."""
    if str(file) == STDIN:
        raise InvalidArgument("an archive is written to a file", hint="Name one.")
    whose = scope_from(scope) if scope else None
    lines = with_memory(cli, path, lambda memory: memory.export(file, scope=whose))
    return Reply({"file": file, "lines": lines}, f"{lines:,} lines\n")


def import_(
    cli: Cli,
    source: Annotated[
        Path, typer.Argument(metavar="FILE|FOLDER", help="What to import; a zip archive will do.")
    ],
    origin: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FORMAT",
            help="massgen, mem0, langgraph, chatgpt or claude; told from the content if omitted.",
        ),
    ] = None,
    scope: ScopeOption = None,
    dry_run: DryRun = False,
    path: DatabasePath = None,
) -> Reply:
    """Takes in what `mgc memory export` wrote, or what another program remembers.

    Doing it twice adds nothing. --scope, --from and --dry-run are for other programs: MassGen's
    `.massgen` folder or its memory files, mem0's `get_all` as JSON, a LangGraph store as SQLite
    file or JSON lines, the exports of ChatGPT and Claude.
    """
    from massgen_core.storage import database_path

    if not source.exists():
        raise InvalidArgument(f"there is no file {str(source)!r}")
    if origin is None and _is_archive(source):
        if scope or dry_run:
            raise InvalidArgument("an archive of a memory has its own scopes, and no dry run")
        done = with_memory(cli, path, lambda memory: memory.import_(source), write=True, new=True)
        return Reply(done, f"{_counted(done)}\n")
    whose = scope_from(scope)

    def progress(done: int, of: int) -> None:
        if done < of:
            cli.note(f"{done:,} of {of:,} memories")

    def bring(memory: "Memory") -> "Awaitable[Brought]":
        return memory.import_from(
            source,
            format=cast("Format | None", origin),
            scope=whose,
            dry_run=dry_run,
            progress=progress,
        )

    with tempfile.TemporaryDirectory() as nothing:
        if dry_run and not database_path(cli.app(path).path).exists():
            path = Path(nothing)  # so that none is made
        brought = with_memory(cli, path, bring, write=True, new=True)
    for reason, number in brought.skipped.items():
        cli.note(f"left out: {number:,} ({reason})")
    would = "would be " if dry_run else ""
    counts = f"{brought.new:,} {would}new, {brought.changed:,} of them {would}changed"
    return Reply(brought, f"{brought.format}: {counts}, {brought.same:,} there already\n")


def _is_archive(source: Path) -> bool:
    """Whether `mgc memory export` wrote it."""
    if not source.is_file():
        return False
    with source.open("rb") as file:
        head = file.readline(1_000)
    return head.startswith(b"{") and b'"massgen-memory"' in head


def _counted(done: "Imported") -> str:
    counts = f"{done.new:,} new, {done.continued:,} continued, {done.same:,} there already"
    if not done.conflicts:
        return counts
    return f"{counts}; another memory is there under: {', '.join(done.conflicts)}"
