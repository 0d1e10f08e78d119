"""``mgc plugins``: what is installed, and whether it works."""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that others start fast

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from massgen_core.cli._codes import Code
from massgen_core.cli._command import command
from massgen_core.cli._reply import Reply
from massgen_core.cli._state import Cli
from massgen_core.cli._table import table_of
from massgen_core.errors import (
    InvalidSetting,
    MassgenError,
    PluginBroken,
    PluginNotFound,
    UnknownSetting,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from massgen_core.plugin import PluginHost, PluginReport, Provided
    from massgen_core.testing import CheckResult

app = typer.Typer(help="What is installed, and whether it works.", no_args_is_help=True)

_UNUSABLE = frozenset({"broken", "incompatible", "conflict"})


@command(app, "list")
def list_plugins(cli: Cli) -> Reply:
    """Every plugin with its state, and what it provides."""
    host = cli.plugins()
    reports = host.plugins()
    for report in reports:
        if report.state in _UNUSABLE:
            cli.note(f"{report.dist} is {report.state}: {report.error}")
    return Reply([report.to_json() for report in reports], table_of(_HEADERS, _rows(reports)))


_HEADERS = ("kind", "name", "state", "distribution", "version", "summary")


def _rows(reports: "tuple[PluginReport, ...]") -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for report in reports:
        for item in report.provides:
            of = (report.dist, report.version, item.provides.summary)
            rows.append((item.kind, item.name, item.state, *of))
        if not report.provides:
            what = "observer" if report.observes else ""
            of = (report.dist, report.version, report.error)
            rows.append((what, report.entry_point, report.state, *of))
    return rows


@command(app, "show")
def show(
    cli: Cli,
    name: Annotated[str, typer.Argument(help="Registered name, distribution or entry point.")],
) -> Reply:
    """One plugin: what it provides, its settings, and what is wrong with it."""
    host = cli.plugins()
    reports = [report for report in host.plugins() if _is_called(report, name)]
    if not reports:
        raise _not_found(host, name)
    settings = {
        f"{item.kind}.{item.name}": _settings(host, item)
        for report in reports
        for item in report.provides
        if name in {item.name, report.dist, report.entry_point}
    }
    data = {"plugins": [report.to_json() for report in reports], "settings": settings}
    return Reply(data, "\n\n".join(map(_described, reports)) + _listed(settings) + "\n")


def _is_called(report: "PluginReport", name: str) -> bool:
    return name in {report.dist, report.entry_point, *(item.name for item in report.provides)}


def _not_found(host: "PluginHost", name: str) -> PluginNotFound:
    import difflib

    known = {report.dist for report in host.plugins()}
    known |= {item.name for report in host.plugins() for item in report.provides}
    close = difflib.get_close_matches(name, sorted(known), n=1)
    hint = f"Did you mean {close[0]!r}?" if close else "`mgc plugins list` shows what there is."
    return PluginNotFound(f"no plugin is called {name!r}", name=name, hint=hint)


def _settings(host: "PluginHost", item: "Provided") -> dict[str, Any] | None:
    """The JSON Schema of the settings' keys; None if there are none or they cannot be loaded."""
    if item.state != "active" or item.provides.settings is None:
        return None
    model = host.settings_class(item.kind, item.name)
    return None if model is None else model.model_json_schema()["properties"]


def _described(report: "PluginReport") -> str:
    facts = [
        ("entry point", report.entry_point),
        ("state", report.state),
        ("error", report.error),
        ("hint", report.hint),
        ("observes", "events" if report.observes else ""),
    ]
    for item in report.provides:
        facts.append((item.kind, f"{item.name} ({item.state}): {item.provides.summary}"))
        facts.append(("  factory", item.provides.factory))
        facts.append(("  can", ", ".join(sorted(item.provides.capabilities))))
    lines = [f"  {key}: {value}" for key, value in facts if value]
    return "\n".join([f"{report.dist} {report.version}".rstrip(), *lines])


def _listed(settings: dict[str, dict[str, Any] | None]) -> str:
    lines = []
    for where, keys in settings.items():
        for key, field in (keys or {}).items():
            words = " ".join(str(field.get("description", "")).split())
            default = f" (default {field['default']!r})" if "default" in field else ""
            lines.append(f"  {where.partition('.')[0]}.{key}{default}: {words}")
    return "".join(f"\n{line}" for line in ["settings:", *lines]) if lines else ""


@command(app, "doctor")
def doctor(cli: Cli) -> Reply:
    """Loads every plugin completely, and says what to do about those that cannot be used."""
    host = cli.plugins()
    findings = [_examined(host, report) for report in host.plugins()]
    bad = [one for one in findings if one.problem]
    rows = [(one.dist, one.state, one.problem or "ok", one.hint) for one in findings]
    text = table_of(("distribution", "state", "finding", "what to do"), rows)
    if not bad:
        return Reply(findings, text)
    names = ", ".join(sorted({one.dist for one in bad}))
    problem = PluginBroken(f"{len(bad)} of {len(findings)} plugins cannot be used: {names}")
    return Reply(findings, text, code=Code.FAILURE, error=problem)


@dataclass(frozen=True, slots=True)
class _Finding:
    dist: str
    version: str
    state: str
    problem: str
    hint: str


def _examined(host: "PluginHost", report: "PluginReport") -> _Finding:
    problem, hint = report.error, report.hint
    if report.state not in _UNUSABLE:
        problem = ""
        for item in report.provides:
            if item.state == "active" and not problem:
                problem, hint = _tried(host, item)
    return _Finding(report.dist, report.version, report.state, problem, hint)


def _tried(host: "PluginHost", item: "Provided") -> tuple[str, str]:
    """What is wrong with one thing when it is made with its default settings, and what to do."""
    import asyncio
    from tempfile import TemporaryDirectory

    from massgen_core.clock import SYSTEM_CLOCK
    from massgen_core.plugin import PluginContext
    from massgen_core.tokens import ModelCatalogue

    with TemporaryDirectory(prefix="massgen-doctor-") as folder:
        ctx = PluginContext(SYSTEM_CLOCK, Path(folder), ModelCatalogue.shipped())
        try:
            made = host.create(item.kind, item.name, None, ctx)
        except (InvalidSetting, UnknownSetting) as exc:
            return "", f"{item.name} needs settings: {exc.message}"
        except MassgenError as exc:
            return exc.message, exc.hint
        close = getattr(made, "aclose", None) or getattr(made, "close", None)
        if close is not None:
            asyncio.run(close())
    return "", ""


@command(app, "new")
def new(
    cli: Cli,
    kind: Annotated[
        str, typer.Argument(help="It provides a strategy, embedder, memory-store or backend.")
    ],
    name: Annotated[str, typer.Argument(help="Its registered name, e.g. keep_questions.")],
    into: Annotated[
        Path, typer.Option(help="Folder that gets the distribution's folder.", show_default=".")
    ] = Path(),
) -> Reply:
    """Writes a distribution that installs, registers and passes its suite as it is."""
    from massgen_core.scaffold import dist_of, write_plugin

    written = write_plugin(kind, name, into)
    folder = into / dist_of(name)
    own = f"cd {folder} && pytest" if kind == "backend" else f"mgc plugins check {name}"
    needs = "pytest hypothesis llmock" if kind == "backend" else "pytest hypothesis"
    cli.note(f"next: pip install -e {folder} {needs} && {own}")
    text = "".join(f"{path}\n" for path in written)
    return Reply({"folder": str(folder), "files": [str(path) for path in written]}, text)


@command(app, "check")
def check(
    cli: Cli, name: Annotated[str, typer.Argument(help="Registered name of the plugin.")]
) -> Reply:
    """Runs the conformance suite against an installed plugin, and says what holds.

    Of a backend only its distribution is checked: `mgc backend check` asks it something.
    Needs pytest and hypothesis.
    """
    from functools import partial

    from massgen_core.testing import check_plugin

    provided = _provided(cli.plugins(), name)
    with cli.busy(f"Checking {name} …"):
        results = check_plugin(provided)
    failed = [one for one in results if one.outcome == "failed"]
    data = {"kind": provided.kind, "name": name, "dist": provided.dist, "results": results}
    if provided.kind == "backend":
        cli.note(
            f"this was about the distribution. `mgc backend check {name}` asks the backend "
            "something; BackendSuite, in its own tests, makes its provider fail."
        )
    text = partial(_checked, results)
    if results and not failed:
        return Reply(data, text)
    for one in failed if cli.options.verbosity > 0 else ():
        cli.note(f"\n{one.suite} {one.test}\n{one.detail}")
    problem = PluginBroken(
        f"{len(failed)} of {len(results)} tests failed with {name!r}",
        dist=provided.dist,
        hint="" if cli.options.verbosity > 0 else "With -v: the examples that break it.",
    )
    return Reply(data, text, code=Code.FAILURE, error=problem)


def _provided(host: "PluginHost", name: str) -> "Provided":
    """What has the name; a strategy, if several kinds know it."""
    found = [item for report in host.plugins() for item in report.provides if item.name == name]
    if not found:
        raise _not_found(host, name)
    kinds = [item.kind for item in found]
    return host.get("strategy" if "strategy" in kinds else kinds[0], name)


def _checked(results: "tuple[CheckResult, ...]") -> "RenderableType":
    rows = [
        (
            one.outcome,
            one.suite,
            one.test.removeprefix("test_"),
            ", ".join(one.capabilities),
            one.reason or one.about,
        )
        for one in results
    ]
    return table_of(("outcome", "suite", "test", "capability", "what"), rows)()
