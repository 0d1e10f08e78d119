"""``mgc memory``: what it holds, why it finds what it finds, what it lets go of."""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that others start fast

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from massgen_core.cli._codes import Code
from massgen_core.cli._command import command
from massgen_core.cli._events import short
from massgen_core.cli._input import agreed
from massgen_core.cli._memory_work import DryRun, ScopeOption, scope_from, with_app, with_memory
from massgen_core.cli._options import DatabasePath, Yes
from massgen_core.cli._reply import Reply, to_json
from massgen_core.cli._screen import moment
from massgen_core.cli._state import Cli
from massgen_core.cli._table import table_of
from massgen_core.errors import InvalidArgument, LedgerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType

    from massgen_core.memory import Explained, Explanation, MemoryStats, Reindexed

_DAY = 86_400.0


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    command(app, "stats")(stats)
    command(app, "explain")(explain)
    command(app, "timeline")(timeline)
    command(app, "report")(report)
    command(app, "gc")(gc)
    command(app, "compact")(compact)
    command(app, "reindex")(reindex)


def stats(cli: Cli, scope: ScopeOption = None, path: DatabasePath = None) -> Reply:
    """What the memory is made of: kinds, growth, duplicates, what is never used, its weight."""
    whose = scope_from(scope)
    found = with_memory(cli, path, lambda memory: memory.stats(whose))
    data = to_json(found) | {
        "by_scope": [
            {"scope": to_json(one), **to_json(size)} for one, size in found.by_scope.items()
        ],
        "hit_rate": found.hit_rate,
        "bytes_per_record": found.bytes_per_record,
    }
    return Reply(data, table_of(("", ""), _facts(found)))


def _facts(found: "MemoryStats") -> "Sequence[tuple[str, object]]":
    rate = "" if found.hit_rate is None else f", {found.hit_rate:.0%} found something"
    disk = found.disk
    each = "" if found.bytes_per_record is None else f", {found.bytes_per_record:,.0f} a memory"
    used = ", ".join(f"{short(one.text)} ({uses:,})" for one, uses in found.top_used[:3])
    weights = f"log {disk.log:,}, long texts {disk.texts:,}, vectors {disk.vectors:,}{each}"
    newest = dict(list(found.days.items())[-7:])
    return [
        ("active", f"{found.active.records:,} memories, {found.active.size:,} bytes of text"),
        ("states", _counts(found.by_state)),
        ("kinds", _counts(found.by_kind)),
        ("newest days", _counts(newest)),
        ("scopes", len(found.by_scope)),
        ("said twice", sum(len(ids) - 1 for ids in found.duplicates)),
        ("said nearly the same", sum(len(ids) - 1 for ids in found.near_duplicates)),
        ("stale", len(found.stale)),
        ("most used", used),
        ("recalls", f"{found.recalls:,}{rate}"),
        ("waiting for extraction", f"{found.waiting:,}, given up {found.given_up:,}"),
        ("file", f"{disk.file:,} bytes, {disk.free:,} free"),
        ("of it", weights),
    ]


def _counts(counts: "Mapping[str, int]") -> str:
    return ", ".join(f"{name} {number:,}" for name, number in counts.items())


def explain(
    cli: Cli,
    query: Annotated[str, typer.Argument(help="What is asked, in words.")],
    scope: ScopeOption = None,
    limit: Annotated[int, typer.Option("--limit", "-k", help="How many are found.", min=1)] = 5,
    near: Annotated[int, typer.Option(help="Near misses to show as well.", min=0)] = 5,
    path: DatabasePath = None,
) -> Reply:
    """Why a search finds what it finds: every term of the scores, near misses, what is left out."""
    whose = scope_from(scope)
    found = with_memory(
        cli, path, lambda memory: memory.explain(query, scope=whose, k=limit, near=near), asks=True
    )
    return Reply(found, partial(_explained, found))


def _explained(found: "Explanation") -> "RenderableType":
    from rich.console import Group

    rows = [("always", "", short(one.text), f"pinned {one.kind}", "") for one in found.standing] + [
        _ranked(one) for one in (*found.candidates, *found.near)
    ]
    parts: list[RenderableType] = [
        table_of(("rank", "score", "text", "because of", "from"), rows)(),
        f"searched {found.searched:,} memories, {found.embedded:.0%} with a vector",
    ]
    if found.left_out:
        left = [(one.reason, f"{one.score:.2f}", short(one.record.text)) for one in found.left_out]
        parts += ["", table_of(("left out", "score", "text"), left)()]
    if found.hidden:
        parts.append(f"{found.hidden:,} more that the asker may not see")
    return Group(*parts)


def _ranked(one: "Explained") -> tuple[object, ...]:
    terms = ", ".join(f"{name} {value:.2f}" for name, value in one.terms.items() if value)
    sources = ", ".join(source.id for source in one.sources) or one.record.producer
    return one.rank, f"{one.score:.2f}", short(one.record.text), terms, sources


def timeline(
    cli: Cli,
    scope: ScopeOption = None,
    since: Annotated[str | None, typer.Option(help="From then on: ISO 8601, or seconds.")] = None,
    until: Annotated[str | None, typer.Option(help="Before then: ISO 8601, or seconds.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only of this kind; repeatable.")] = None,
    path: DatabasePath = None,
) -> Reply:
    """Memories by when they happened, oldest first; what was superseded among them."""
    whose = scope_from(scope)
    found = with_memory(
        cli,
        path,
        lambda memory: memory.timeline(whose, since=since, until=until, kinds=kind or ()),
    )
    rows = [
        (one.id, moment(one.happened_at), one.kind, one.state, one.speaker, short(one.text))
        for one in found
    ]
    return Reply(found, table_of(("id", "when", "kind", "state", "who", "text"), rows))


def report(
    cli: Cli,
    html: Annotated[Path, typer.Option("--html", help="The page to write.")],
    scope: ScopeOption = None,
    path: DatabasePath = None,
) -> Reply:
    """Writes one page about the memory, with charts; it needs no network to be looked at."""
    whose = scope_from(scope)
    page = with_memory(cli, path, lambda memory: memory.report_html(whose))
    try:
        html.write_text(page, "utf-8")
    except OSError as exc:
        raise InvalidArgument(f"{str(html)!r} cannot be written: {exc.strerror}") from exc
    return Reply({"file": html, "bytes": len(page.encode())}, f"{html}\n")


def gc(
    cli: Cli,
    *,
    scope: ScopeOption = None,
    max_records: Annotated[
        int | None, typer.Option(help="Memories that one owner may have.", min=1)
    ] = None,
    max_bytes: Annotated[
        int | None, typer.Option(help="Bytes of text that one owner may have.", min=1)
    ] = None,
    grace: Annotated[float, typer.Option(help="Days from the mark to the erasure.", min=0)] = 7.0,
    keep_superseded: Annotated[
        float | None, typer.Option(help="Days to keep what was superseded; for ever if omitted.")
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    path: DatabasePath = None,
) -> Reply:
    """Lets go of what expired and of what is over a cap: marked first, erased after the grace."""
    from massgen_core.memory import Retention

    whose = scope_from(scope)
    policy = Retention(
        max_records=max_records,
        max_bytes=max_bytes,
        grace=grace * _DAY,
        keep_superseded=None if keep_superseded is None else keep_superseded * _DAY,
    )
    if not dry_run:
        agreed("Let go of memories?", yes=yes)
    done = with_memory(
        cli,
        path,
        lambda memory: memory.gc(policy, dry_run=dry_run, scope=whose),
        write=not dry_run,
    )
    would = "would be " if dry_run else ""
    cli.note(f"{len(done.marked):,} {would}marked, {len(done.purged):,} {would}erased")
    rows = [
        (what, one.reason, one.record.id, short(one.record.text))
        for what, removals in (("marked", done.marked), ("erased", done.purged))
        for one in removals
    ]
    return Reply(done, table_of(("", "why", "id", "text"), rows) if rows else None)


def compact(cli: Cli, path: DatabasePath = None) -> Reply:
    """Writes the database file anew, packed, without what is left of deleted texts."""
    freed = with_memory(cli, path, lambda memory: memory.compact(), write=True)
    return Reply({"freed": freed}, f"{freed:,} bytes given back\n")


def reindex(cli: Cli, path: DatabasePath = None) -> Reply:
    """Makes missing vectors, and every index anew; recall works meanwhile. Can be interrupted.

    It ends with 1 if some could not be made; what was made stays.
    """
    app = cli.app(path)

    def progress(what: str, done: int, of: int) -> None:
        cli.note(f"{what}: {done:,} of {of:,}")

    done = with_app(cli, app, lambda memory: memory.reindex(progress), write=True)
    why = {event.name: event.reason for event in app.degraded}
    failed = [f"index {name} was not made: {why.get(name, 'it failed')}" for name in done.failed]
    if done.missing:
        reason = why.get("embedder", "they are damaged, `mgc memory verify` says where")
        failed.append(f"{done.missing:,} memories have no vector: {reason}")
    if not failed:
        return Reply(done, f"{_made(done)}\n")
    error = LedgerError(
        "; ".join(failed),
        hint="Mend that and run it again: it goes on where it stopped. Recall works without.",
    )
    return Reply(done, f"{_made(done)}\n", code=Code.FAILURE, error=error)


def _made(done: "Reindexed") -> str:
    parts = [f"{done.vectors:,} vectors made", f"{done.missing:,} missing"]
    parts += [f"{done.dropped:,} old ones dropped"] if done.dropped else []
    parts += [f"rebuilt {', '.join(done.rebuilt)}"] if done.rebuilt else []
    parts += [f"failed {', '.join(done.failed)}"] if done.failed else []
    return ", ".join(parts)
