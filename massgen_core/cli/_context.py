"""``mgc context``: fitting a transcript, and what fits did to a session."""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that others start fast

from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from massgen_core.cli._command import command
from massgen_core.cli._events import cache_words, gauge, short
from massgen_core.cli._input import read_messages, whole_number
from massgen_core.cli._options import DatabasePath, SessionArgument
from massgen_core.cli._reply import Reply, dumps, to_json
from massgen_core.cli._sessions import with_store
from massgen_core.cli._state import Cli
from massgen_core.cli._table import table_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from massgen_core.context import FitReport
    from massgen_core.conversation import Fitted
    from massgen_core.events import ContextMeasured
    from massgen_core.messages import Message

app = typer.Typer(help="Fit a transcript; see what a session's fits did.", no_args_is_help=True)

Turn = Annotated[
    int | None,
    typer.Option(metavar="N", help="As it was at the end of this turn, from 1; now if omitted."),
]

_MODEL = "gpt-4o"
"""Whose tokenizer counts if neither the command line nor the settings name a model."""


@command(app, "fit")
def fit(
    cli: Cli,
    file: Annotated[
        Path, typer.Argument(help="JSON array of OpenAI chat messages; - for standard input.")
    ],
    budget: Annotated[str, typer.Option(metavar="TOKENS", help="Tokens the messages may have.")],
    model: Annotated[
        str | None, typer.Option(help="Whose tokenizer counts; backend.model if omitted.")
    ] = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option(help="Asked in this order; repeatable. The settings' chain if omitted."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only the report.")] = False,
) -> Reply:
    """Makes a list of messages fit a budget, and reports what was done.

    Standard output is the fitted array, standard error the report.
    """
    from massgen_core.conversation import Conversation

    loaded = cli.app()
    messages = read_messages(file)
    chosen = loaded.settings.backend and loaded.settings.backend.model
    with cli.busy("Fitting …"):
        conversation = Conversation(
            model=loaded.models.get(model or chosen or _MODEL),
            budget=whole_number("budget", budget),
            strategies=loaded.strategies(strategy),
            target=1.0,
            clip_system=loaded.settings.context.clip_system,
        )
        conversation.extend(messages)
        fitted = conversation.fit()
    return _answer(cli, fitted, dry_run=dry_run)


def _answer(cli: Cli, fitted: "Fitted", *, dry_run: bool) -> Reply:
    for event in fitted.report.events:
        cli.event(event)
    report = _report(fitted.report)
    text = partial(_summary, fitted.report)
    if dry_run:
        return Reply({"report": report}, text)
    cli.tell(text)
    return Reply({"messages": fitted.messages, "report": report}, array_text(fitted.messages))


def _report(report: "FitReport") -> dict[str, Any]:
    """The report as JSON values; messages are named by their place in the input."""
    operations = []
    for operation in report.operations:
        values = to_json(operation)
        values["messages"] = _places(values.pop("message_ids"))
        operations.append(values)
    return {**to_json(report), "operations": operations}


def _summary(report: "FitReport") -> "RenderableType":
    from rich.console import Group

    head = f"{report.tokens_before:,} → {report.tokens_after:,} tokens of {report.limit:,}"
    if not report.operations:
        return f"{head}: it fits as it is"
    head += cache_words(report.cache_cost)
    rows = [
        (
            operation.kind,
            ranges(_places(operation.message_ids)),
            f"{operation.tokens_before:,} → {operation.tokens_after:,}",
            operation.strategy,
            operation.reason,
            operation.handle,
        )
        for operation in report.operations
    ]
    headers = ("what", "messages", "tokens", "strategy", "reason", "handle")
    return Group(head, table_of(headers, rows)())


@command(app, "explain")
def explain(
    cli: Cli, session: SessionArgument, turn: Turn = None, path: DatabasePath = None
) -> Reply:
    """What the model sees of a session: each group of messages, and why others left.

    A group is a user message, a system message, or an answer with the results of its tool calls.
    """
    from massgen_core.cli._history import fates, until_turn, usage_of

    journal = with_store(cli, cli.app(path), lambda store: store.read(session))
    entries = until_turn(journal, turn)
    found, now = fates(entries), usage_of(entries)
    rows = [
        (
            fate.number,
            fate.role,
            fate.tokens,
            fate.tokens_in_view,
            fate.fate,
            fate.strategy,
            fate.reason,
            fate.handle,
            short(fate.text),
        )
        for fate in found
    ]
    seen = sum(fate.tokens_in_view for fate in found)
    cli.note(f"{seen:,} of {sum(fate.tokens for fate in found):,} tokens are in view")
    cli.note(gauge(now))
    headers = ("group", "role", "tokens", "in view", "fate", "strategy", "reason", "handle", "text")
    return Reply({"usage": now, "groups": found}, table_of(headers, rows))


@command(app, "show")
def show(cli: Cli, session: SessionArgument, turn: Turn = None, path: DatabasePath = None) -> Reply:
    """What the window is used for: instructions, tools, memory, summaries, messages, free room."""
    from massgen_core.cli._history import fates, until_turn, usage_of

    journal = with_store(cli, cli.app(path), lambda store: store.read(session))
    entries = until_turn(journal, turn)
    now = usage_of(entries)
    fits = sum(entry.kind == "fit" for entry in entries)
    became = Counter(fate.fate for fate in fates(entries))
    groups = ", ".join(f"{number:,} {word}" for word, number in became.most_common())
    cli.note(f"fits so far: {fits:,}; groups of messages: {groups or 'none'}")
    return Reply({"usage": now, "fits": fits, "groups": became}, table_of(_USE, _use(now)))


_USE = ("used for", "tokens", "of the window")


def _use(now: "ContextMeasured") -> list[tuple[str, int, str]]:
    parts = {
        "system": now.system,
        "tools": now.tools,
        "memory": now.memory,
        "summary": now.summary,
        "messages": now.messages,
    }
    if now.window:
        parts |= {"free": now.free, "kept for the answer": now.reserve}
        parts |= {"kept against miscounts": max(0, now.window - sum(parts.values()))}
        parts |= {"window": now.window}
    return [
        (name, tokens, f"{tokens / now.window:.1%}" if now.window else "")
        for name, tokens in parts.items()
    ]


_DIFF = ("group", "role", "what", "tokens", "strategy", "reason", "handle", "before", "after")


@command(app, "diff")
def diff(cli: Cli, session: SessionArgument, turn: Turn = None, path: DatabasePath = None) -> Reply:
    """What the last fit of a session changed: each group before and after."""
    from massgen_core.cli._history import last_fit, until_turn

    entries = with_store(cli, cli.app(path), lambda store: store.read(session))
    found = last_fit(until_turn(entries, turn))
    if found is None:
        cli.note("nothing was fitted: the model sees all that was said")
        return Reply(None)
    sizes = f"{found.tokens_before:,} → {found.tokens_after:,} tokens of {found.limit:,}"
    cli.note(f"fit {found.fit}: {sizes}{cache_words(found.cache_cost)}")
    rows = [
        (
            change.number,
            change.role,
            change.what,
            f"{change.tokens_before:,} → {change.tokens_after:,}",
            change.strategy,
            change.reason,
            change.handle,
            short(change.before),
            short(change.after),
        )
        for change in found.changes
    ]
    return Reply(found, table_of(_DIFF, rows))


@command(app, "restore")
def restore(
    cli: Cli,
    session: SessionArgument,
    handle: Annotated[str, typer.Argument(help="As markers, reports and `explain` name it.")],
    text: Annotated[bool, typer.Option("--text", help="Only the text, byte by byte.")] = False,
    path: DatabasePath = None,
) -> Reply:
    """Gives back what a fit took out of the view: the untouched messages, as they were said."""
    from massgen_core.cli._history import window_of
    from massgen_core.messages import message_to_json

    entries = with_store(cli, cli.app(path), lambda store: store.read(session))
    messages = window_of(entries).restore(handle)
    data = {"handle": handle, "messages": messages}
    if text:
        return Reply(data, "".join(map(all_text, messages)))
    return Reply(data, array_text(map(message_to_json, messages)))


def all_text(message: "Message") -> str:
    """The text of a message and of the results in it."""
    return message.text + "".join(result.text for result in message.results)


def _places(ids: Iterable[str]) -> list[int]:
    """Places in the input; a stand-in for a missing result has the place of its call."""
    return sorted({int(key[1:].partition("/")[0]) for key in ids})


def ranges(numbers: list[int]) -> str:
    """Ascending numbers as people write them: ``1-3, 7``."""
    out: list[list[int]] = []
    for number in numbers:
        if out and out[-1][1] == number - 1:
            out[-1][1] = number
        else:
            out.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in out)


def array_text(values: Iterable[object]) -> str:
    """A JSON array, one element per line."""
    lines = ",\n".join(map(dumps, values))
    return f"[\n{lines}\n]\n" if lines else "[]\n"
