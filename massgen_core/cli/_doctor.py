"""``mgc doctor``: whether everything a run needs is there."""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that others start fast

import platform
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import typer

from massgen_core.cli._codes import Code
from massgen_core.cli._command import command
from massgen_core.cli._options import DatabasePath
from massgen_core.cli._reply import Reply
from massgen_core.cli._screen import no_color
from massgen_core.cli._state import Cli
from massgen_core.cli._table import table_of
from massgen_core.errors import MassgenError

if TYPE_CHECKING:
    from massgen_core.app import App

_SQLITE: Final = (3, 40)
"""Oldest SQLite the database is tested with."""
_HELLO: Final = {"cl100k_base": [15339, 1917], "o200k_base": [24912, 2375]}
"""Token ids of ``hello world``, as OpenAI's tokenizer gives them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: The thing.
        state: Whether it is as it should be.
        detail: What was found.
        hint: What to do, if it is not.
    """

    what: str
    state: Literal["ok", "warning", "problem"]
    detail: str
    hint: str = ""


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "doctor")(doctor)


def doctor(cli: Cli, path: DatabasePath = None) -> Reply:
    """Examines all that a run needs, and says what to do about what is missing."""
    with cli.busy("Examining …"):
        findings = list(_examine(cli, path))
    rows = [(one.state, one.what, one.detail, one.hint) for one in findings]
    text = table_of(("", "what", "found", "what to do"), rows)
    bad = [one.what for one in findings if one.state == "problem"]
    if not bad:
        return Reply(findings, text)
    problem = MassgenError(f"{len(bad)} problems: {', '.join(bad)}")
    return Reply(findings, text, code=Code.FAILURE, error=problem)


def _examine(cli: Cli, path: Path | None) -> Iterator[Finding]:
    import asyncio

    yield _python()
    yield _sqlite()
    yield from map(_tokenizer, _HELLO)
    yield from _plugins(cli)
    try:
        app = cli.app(path)
    except MassgenError as exc:
        yield Finding("settings", "problem", exc.message, exc.hint)
    else:
        files = ", ".join(map(str, app.loaded.files)) or "no file, all defaults"
        yield Finding("settings", "ok", files)
        yield from asyncio.run(_opened(app))
    yield _terminal()


def _python() -> Finding:
    from massgen_core import __version__

    detail = f"{platform.python_version()} on {platform.system()}, massgen-core {__version__}"
    return Finding("python", "ok", detail)


def _sqlite() -> Finding:
    import sqlite3

    if sqlite3.sqlite_version_info >= _SQLITE:
        return Finding("sqlite", "ok", sqlite3.sqlite_version)
    wanted = ".".join(map(str, _SQLITE))
    hint = f"Tested from {wanted} on; use a Python that comes with it."
    return Finding("sqlite", "warning", sqlite3.sqlite_version, hint)


def _tokenizer(name: str) -> Finding:
    from massgen_core.tokens import encoding

    try:
        ids = encoding(name).encode_ordinary("hello world")
    except MassgenError as exc:
        return Finding(f"tokenizer {name}", "problem", exc.message, exc.hint)
    if ids == _HELLO[name]:
        return Finding(f"tokenizer {name}", "ok", "loads, and counts as its maker does")
    hint = "Another tiktoken has replaced its ranks; reinstall tiktoken."
    return Finding(f"tokenizer {name}", "problem", f"'hello world' is {ids}", hint)


def _plugins(cli: Cli) -> Iterator[Finding]:
    try:
        reports = cli.plugins().plugins()
    except MassgenError as exc:
        yield Finding("plugins", "problem", exc.message, exc.hint)
        return
    for report in reports:
        what = f"plugin {report.dist}" + (f" {report.version}" if report.version else "")
        if report.state in {"active", "disabled"}:
            yield Finding(what, "ok", report.state)
        else:
            yield Finding(what, "warning", f"{report.state}: {report.error}", report.hint)


async def _opened(app: "App") -> list[Finding]:
    async with app:
        return [await _backend(app), _strategies(app), await _storage(app)]


async def _backend(app: "App") -> Finding:
    try:
        info = await app.model_info()
    except MassgenError as exc:
        return Finding("backend", "problem", exc.message, exc.hint)
    window = f"window {info.window:,} tokens"
    return Finding("backend", "ok", f"{app.backend().name}, model {info.name}, {window}")


def _strategies(app: "App") -> Finding:
    try:
        names = [strategy.name for strategy in app.strategies()]
    except MassgenError as exc:
        return Finding("strategies", "problem", exc.message, exc.hint)
    if names:
        return Finding("strategies", "ok", " → ".join(names))
    hint = "pip install massgen-sliding-window"
    return Finding("strategies", "warning", "none, only the built-in floor", hint)


async def _storage(app: "App") -> Finding:
    """Whether sessions can be kept; an existing database is only read."""
    from massgen_core.storage import database_path

    file = database_path(app.path)
    try:
        _write_in(next(folder for folder in file.parents if folder.exists()))
        if not file.exists():
            return Finding("storage", "ok", f"{file} can be created")
        number = len(await (await app.store(read_only=True)).list())
    except OSError as exc:
        hint = "Choose another place: --path, or storage.path in the settings."
        return Finding("storage", "problem", f"{file} cannot be written: {exc.strerror}", hint)
    except MassgenError as exc:
        return Finding("storage", "problem", exc.message, exc.hint)
    return Finding("storage", "ok", f"{file} holds {number:,} sessions")


def _write_in(folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"mgc doctor")


def _terminal() -> Finding:
    streams = {"input": sys.stdin, "output": sys.stdout, "errors": sys.stderr}
    on = [name for name, stream in streams.items() if stream.isatty()]
    encoding = (sys.stdout.encoding or "").lower()
    detail = f"{', '.join(on) or 'none'}; {encoding}; colours {'off' if no_color() else 'on'}"
    if encoding.replace("-", "") == "utf8":
        return Finding("terminal", "ok", detail)
    return Finding("terminal", "warning", detail, "Set PYTHONIOENCODING=utf-8 to see every letter.")
