"""``mgc context bench``: what strategies preserve and what they cost, on any transcript."""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that others start fast

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from massgen_core.cli._codes import Code
from massgen_core.cli._command import command
from massgen_core.cli._input import read_text
from massgen_core.cli._reply import Reply
from massgen_core.cli._state import Cli
from massgen_core.cli._table import table_of
from massgen_core.errors import ContextError, InvalidArgument

if TYPE_CHECKING:
    from rich.console import RenderableType

    from massgen_core.measure import Subject, Transcript

SUITES: Final = ("retention", "canary", "cache", "edges")

_LONG: Final = (8_000.0, 16_000.0, 32_000.0, 64_000.0)
_SHORT: Final = (0.75, 0.5)
_ABSURD: Final = 1e12
_MODEL: Final = "gpt-4o"
"""Whose tokenizer counts if neither the command line nor the settings name a model."""


def add_to(app: typer.Typer) -> None:
    """Adds ``bench``."""
    command(app, "bench")(bench)


def bench(
    cli: Cli,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE",
            help="OpenAI chat messages (JSON array or lines), tau-bench episodes, pi sessions; - "
            "for standard input. None is needed for the suite edges.",
        ),
    ] = None,
    suite: Annotated[
        list[str] | None,
        typer.Option(
            metavar="|".join(SUITES), help="What to measure; repeatable. Everything if omitted."
        ),
    ] = None,
    budget: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TOKENS|SHARE",
            help="Tokens, or a share of the history as in 0.5; repeatable. For sessions 8000 to "
            "64000, for short episodes 0.75 and 0.5 if omitted.",
        ),
    ] = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option(help="Asked in this order; repeatable. The settings' chain if omitted."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Whose tokenizer counts; backend.model if omitted.")
    ] = None,
) -> Reply:
    """Measures what the strategies preserve of transcripts, and what they cost.

    retention: of the paths, identifiers and numbers that the agent went on to use, the share still
    in the fitted context; with 25 original characters around them; and of what users said, word by
    word. canary: a rule, a prohibition, a task and a fact, planted early, after 1, 3 and 10 fits.
    cache: the cost of a session where providers cache prompts, against trimming just enough each
    turn. edges: histories that break trimmers. Views over the budget and calls without their
    results are counted everywhere; if there is one, the command fails.
    """
    from massgen_core.measure import is_long

    chosen = _suites(suite)
    subject = _subject(cli, model, strategy)
    transcripts = _read(files or [], subject)
    if not transcripts and set(chosen) != {"edges"}:
        raise InvalidArgument("no transcript to measure", hint="Name files, or use --suite edges.")
    default = _LONG if any(map(is_long, transcripts)) else _SHORT
    budgets = tuple(map(_budget, budget)) if budget else default
    with cli.busy("Measuring …"):
        tables = {name: _MEASURES[name](subject, transcripts, budgets) for name in chosen}
    return _answer(subject, transcripts, tables)


def _subject(cli: Cli, model: str | None, strategy: list[str] | None) -> "Subject":
    from massgen_core.measure import Subject
    from massgen_core.tokens import counter_for

    loaded = cli.app()
    configured = loaded.settings.backend and loaded.settings.backend.model
    info = loaded.models.get(model or configured or _MODEL)
    target = loaded.settings.context.target_ratio
    return Subject(loaded.strategies(strategy), counter_for(info), target)


def _read(files: Sequence[Path], subject: "Subject") -> "list[Transcript]":
    from massgen_core.measure import read_transcripts

    return [
        transcript
        for file in files
        for transcript in read_transcripts(read_text(file), subject.counter, name=file.name)
    ]


def _suites(names: list[str] | None) -> tuple[str, ...]:
    unknown = [name for name in names or () if name not in SUITES]
    if unknown:
        raise InvalidArgument(
            f"--suite is {unknown[0]!r}, expected one of {', '.join(SUITES)}",
            hint="Repeat --suite for several.",
        )
    return tuple(name for name in SUITES if not names or name in names)


def _budget(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if 0 < value <= 1 or (1 < value < _ABSURD and value.is_integer()):
        return value
    raise InvalidArgument(
        f"--budget is {text!r}, expected tokens or a share of the history",
        hint="For example --budget 8000, or --budget 0.5.",
    )


def _retention(
    subject: "Subject", of: "Sequence[Transcript]", at: Sequence[float]
) -> Sequence[Any]:
    from massgen_core.measure import retention

    return retention(subject, of, at)


def _canary(subject: "Subject", of: "Sequence[Transcript]", at: Sequence[float]) -> Sequence[Any]:
    from massgen_core.measure import canaries

    return canaries(subject, of, at)


def _cache(subject: "Subject", of: "Sequence[Transcript]", at: Sequence[float]) -> Sequence[Any]:
    from massgen_core.measure import TARGETS, cache_costs

    marks = sorted({*TARGETS, subject.target}, reverse=True)
    return cache_costs(subject, of, at, targets=marks)


def _edges(subject: "Subject", of: "Sequence[Transcript]", at: Sequence[float]) -> Sequence[Any]:
    from massgen_core.measure import edges

    del of, at
    return edges(subject)


_MEASURES: Final[dict[str, Callable[["Subject", "Sequence[Transcript]", Sequence[float]], Any]]] = {
    "retention": _retention,
    "canary": _canary,
    "cache": _cache,
    "edges": _edges,
}


@dataclass(frozen=True, slots=True)
class _Source:
    name: str
    messages: int
    tokens: int


def _answer(
    subject: "Subject", transcripts: "Sequence[Transcript]", tables: dict[str, Sequence[Any]]
) -> Reply:
    sources = [_Source(one.name, len(one.messages), one.tokens) for one in transcripts]
    rows = [row for table in tables.values() for row in table]
    over, alone = sum(row.over for row in rows), sum(row.unpaired for row in rows)
    lost = [row.case for row in tables.get("edges", ()) if not row.survived]
    data = {
        "strategies": [strategy.name for strategy in subject.strategies],
        "tokenizer": subject.counter.name,
        "transcripts": sources,
        "violations": {"over": over, "unpaired": alone, "edges": lost},
        "suites": tables,
    }
    text = partial(_shown, tables)
    if not (over or alone or lost):
        return Reply(data, text)
    problem = ContextError(
        f"{over} views over the budget, {alone} with calls and results apart, "
        f"{len(lost)} edge cases lost{': ' if lost else ''}{', '.join(lost)}"
    )
    return Reply(data, text, code=Code.FAILURE, error=problem)


def _shown(tables: dict[str, Sequence[Any]]) -> "RenderableType":
    from rich.console import Group

    parts: list[RenderableType] = []
    for name, rows in tables.items():
        if not rows:
            parts.append(f"{name}: nothing to measure at these budgets")
            continue
        headers = [field.name.replace("_", " ") for field in fields(rows[0])]
        cells = [[_cell(row, field.name) for field in fields(row)] for row in rows]
        parts += [name, table_of(tuple(headers), [tuple(line) for line in cells])(), ""]
    return Group(*parts)


_SHARES: Final = {
    "retained",
    "in_context",
    "user_text",
    "system_text",
    "used",
    "verbatim",
    "key",
    "cached",
}


def _cell(row: object, name: str) -> object:
    value = getattr(row, name)
    if name in _SHARES:
        return f"{value:.1%}"
    if name == "budget":
        return int(value) if value > 1 else f"{value:.0%}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if isinstance(value, float) else value
