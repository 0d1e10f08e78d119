"""``mgc memory``: what is remembered: added, found, changed, forgotten."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from massgen_core.cli._command import command
from massgen_core.cli._events import short
from massgen_core.cli._input import agreed, read_text
from massgen_core.cli._memory_work import (
    DryRun,
    ScopeOption,
    pairs_of,
    scope_from,
    with_memory,
)
from massgen_core.cli._options import DatabasePath, Yes
from massgen_core.cli._reply import Reply, to_json
from massgen_core.cli._screen import moment
from massgen_core.cli._state import Cli
from massgen_core.cli._table import table_of
from massgen_core.errors import InvalidArgument

if TYPE_CHECKING:
    from massgen_core.memory import Hit, Memory, MemoryRecord, Revision

app = typer.Typer(
    help="Remember, recall, change, forget, check and move long-term memories.",
    no_args_is_help=True,
)

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the memory.")]


@command(app, "add")
def add(
    cli: Cli,
    text: Annotated[str, typer.Argument(help="What to remember; - for standard input.")],
    *,
    scope: ScopeOption = None,
    kind: Annotated[
        str, typer.Option(help="message, fact, preference, instruction, summary, note …")
    ] = "message",
    speaker: Annotated[str | None, typer.Option(help="Who said it.")] = None,
    when: Annotated[
        str | None, typer.Option(help="When it happened: ISO 8601, or seconds.")
    ] = None,
    pin: Annotated[
        bool,
        typer.Option(
            "--pin", help="No cap drops it; a preference or instruction is always recalled."
        ),
    ] = False,
    importance: Annotated[float | None, typer.Option(help="From 0 to 1.")] = None,
    expires: Annotated[
        str | None, typer.Option(help="When to drop it: ISO 8601, or seconds.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A word to keep with it.")] = None,
    meta: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A JSON value or text to keep with it; repeatable."),
    ] = None,
    supersedes: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="A memory it takes the place of; repeatable."),
    ] = None,
    private_to: Annotated[
        str | None, typer.Option(metavar="NAME", help="The only one who may see it.")
    ] = None,
    new_id: Annotated[str | None, typer.Option("--id", help="Its id; made if omitted.")] = None,
    path: DatabasePath = None,
) -> Reply:
    """Remembers a text. Prints its id."""
    whose, said = scope_from(scope), _said(text)
    fields: dict[str, Any] = {
        "kind": kind,
        "speaker": speaker,
        "event_time": when,
        "pinned": pin,
        "importance": importance,
        "expires_at": expires,
        "tags": tag,
        "meta": {key: _value(value) for key, value in pairs_of("meta", meta).items()},
        "supersedes": supersedes,
        "owner": private_to,
        "visibility": None if private_to is None else "private",
        "id": new_id,
    }
    record_id = with_memory(
        cli, path, lambda memory: memory.remember(said, scope=whose, **fields), write=True, new=True
    )
    return Reply({"id": record_id}, f"{record_id}\n")


def _said(text: str) -> str:
    said = read_text(Path(text)).removesuffix("\n") if text == "-" else text
    if not said.strip():
        raise InvalidArgument(
            "there is nothing to remember", hint="Pass a text that says something."
        )
    return said


@command(app, "search")
def search(
    cli: Cli,
    query: Annotated[str, typer.Argument(help="What to look for, in words.")],
    scope: ScopeOption = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-k", help="How many at most, besides pinned ones.", min=1),
    ] = None,
    tokens: Annotated[int | None, typer.Option(help="Tokens all may have together.", min=1)] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only of this kind; repeatable.")] = None,
    path: DatabasePath = None,
) -> Reply:
    """Recalls what answers a question best; pinned preferences first. Counts as no use."""
    whose = scope_from(scope)
    retrieval = cli.app(path).settings.memory.retrieval
    most = limit or (None if tokens else retrieval.limit)

    async def ask(memory: "Memory") -> "list[Hit]":
        return await memory.recall(
            query,
            scope=whose,
            k=most,
            tokens=tokens or retrieval.tokens,
            kinds=kind or (),
            counts=False,
        )

    hits = with_memory(cli, path, ask, asks=True)
    if not hits:
        cli.note("nothing was found")
    rows = [
        (hit.record.id, f"{hit.score:.2f}", hit.record.kind, hit.record.speaker, hit.record.text)
        for hit in hits
    ]
    return Reply(
        [{"score": one.score, "reasons": one.reasons, **to_json(one.record)} for one in hits],
        table_of(("id", "score", "kind", "speaker", "text"), rows),
    )


@command(app, "show")
def show(
    cli: Cli, record: IdArgument, scope: ScopeOption = None, path: DatabasePath = None
) -> Reply:
    """One memory with all its fields, in whatever state it is."""
    whose = scope_from(scope)
    found = with_memory(cli, path, lambda memory: memory.get(record, scope=whose))
    return Reply(found, table_of(("", ""), facts_of(found)))


@command(app, "history")
def history(
    cli: Cli, record: IdArgument, scope: ScopeOption = None, path: DatabasePath = None
) -> Reply:
    """What happened to one memory, oldest first; `mgc memory undo` takes the last change back."""
    whose = scope_from(scope)
    found = with_memory(cli, path, lambda memory: memory.history(record, scope=whose))
    return Reply(found, table_of(("entry", "when", "who", "what", "text"), map(_changed, found)))


@command(app, "undo")
def undo(
    cli: Cli, record: IdArgument, scope: ScopeOption = None, path: DatabasePath = None
) -> Reply:
    """Takes back the last change of a memory, with all that the same call changed."""
    whose = scope_from(scope)
    done = with_memory(cli, path, lambda memory: memory.undo(record, scope=whose), write=True)
    return Reply(done, listed(done))


@command(app, "update")
def update(
    cli: Cli,
    record: IdArgument,
    *,
    text: Annotated[str | None, typer.Option(help="What it says from now on.")] = None,
    kind: Annotated[str | None, typer.Option(help="Another kind.")] = None,
    pin: Annotated[
        bool | None, typer.Option("--pin/--unpin", help="Whether no cap drops it.")
    ] = None,
    importance: Annotated[float | None, typer.Option(help="From 0 to 1.")] = None,
    expires: Annotated[
        str | None, typer.Option(help="When to drop it: ISO 8601, or seconds.")
    ] = None,
    rev: Annotated[
        int | None, typer.Option(help="Only if it has this revision, which `show` names.")
    ] = None,
    scope: ScopeOption = None,
    path: DatabasePath = None,
) -> Reply:
    """Changes a memory; what it was stays in its history."""
    whose = scope_from(scope)
    given = {
        "text": text,
        "kind": kind,
        "pinned": pin,
        "importance": importance,
        "expires_at": expires,
    }
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise InvalidArgument("nothing is to be changed", hint="Pass --text or another option.")
    if text is not None and not text.strip():
        raise InvalidArgument(
            "there is nothing to remember", hint="`mgc memory forget` erases a memory."
        )

    async def change(memory: "Memory") -> "MemoryRecord":
        return await memory.update(record, expected_rev=rev, scope=whose, **changes)

    done = with_memory(cli, path, change, write=True)
    return Reply(done, table_of(("", ""), facts_of(done)))


@command(app, "forget")
def forget(
    cli: Cli,
    records: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of memories.")],
    scope: ScopeOption = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    path: DatabasePath = None,
) -> Reply:
    """Erases memories and what was derived from them, byte by byte; cannot be undone."""
    whose = scope_from(scope)
    if not dry_run:
        agreed(f"Erase {memories(len(records))} for good?", yes=yes)
    receipt = with_memory(
        cli,
        path,
        lambda memory: memory.forget(records, scope=whose, dry_run=dry_run),
        write=not dry_run,
    )
    cli.note(f"{'would erase' if dry_run else 'erased'} {memories(len(receipt.ids))}")
    if not receipt.scrubbed:
        cli.note("stale copies may be left in the file, which is in use: mgc memory compact")
    for session in receipt.sessions:
        cli.note(f"{'would erase' if dry_run else 'erased'} it in session {session}")
    for place in receipt.mentions:
        cli.note(f"the same words stand in session entry {place}: a memory of its own")
    for copy in receipt.copies:
        cli.note(f"may still be in {copy}")
    for snapshot in receipt.snapshots:
        cli.note(f"still in the snapshot {snapshot}")
    for name in receipt.behind:
        cli.note(f"the index {name} does not answer; it is told when it works again")
    return Reply(receipt, "".join(f"{one}\n" for one in receipt.ids))


def facts_of(record: "MemoryRecord") -> Sequence[tuple[str, object]]:
    """What is known of a memory, in lines for people; what is not set is left out."""
    scope = ", ".join(f"{k}={v}" for k, v in to_json(record.scope).items() if v)
    times = ("event_time", "valid_from", "valid_to", "expires_at", "recorded_at", "last_used_at")
    dates = [
        (name.replace("_", " "), moment(value))
        for name in times
        if (value := getattr(record, name)) is not None
    ]
    facts: list[tuple[str, object]] = [
        ("id", record.id),
        ("text", record.text),
        ("kind", record.kind),
        ("state", f"{record.state}, revision {record.rev}"),
        ("scope", scope),
        ("speaker", record.speaker),
        ("pinned", "yes" if record.pinned else ""),
        *dates,
        ("importance", record.importance),
        ("uses", record.use_count),
        ("tags", ", ".join(record.tags)),
        ("made by", record.producer),
        ("derived from", ", ".join(record.source_ids)),
        ("supersedes", ", ".join(record.supersedes)),
        ("meta", json.dumps(to_json(record.meta)) if record.meta else ""),
    ]
    return [fact for fact in facts if fact[1] not in ("", None)]


def _changed(revision: "Revision") -> tuple[object, ...]:
    text = "(forgotten)" if revision.record is None else short(revision.record.text)
    return revision.seq, moment(revision.at), revision.actor, revision.op, text


def listed(records: "Sequence[MemoryRecord]") -> Any:
    """Memories in a table, one line each, with their ids and states."""
    rows = [(one.id, one.state, one.rev, short(one.text)) for one in records]
    return table_of(("id", "state", "revision", "text"), rows)


def memories(number: int) -> str:
    """So many of them: ``1 memory``, ``2 memories``."""
    return f"{number:,} {'memory' if number == 1 else 'memories'}"


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text
