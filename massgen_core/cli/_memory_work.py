"""What the commands of memory share: the memory, opened, and whose it is."""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that others start fast

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from massgen_core.cli._state import Cli
from massgen_core.errors import InvalidArgument

if TYPE_CHECKING:
    from massgen_core.app import App
    from massgen_core.memory import Memory, Scope

T = TypeVar("T")

_EXAMPLES = {"scope": "user=ada", "meta": "page=7"}

ScopeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--scope",
        metavar="FIELD=VALUE",
        help="Whose memory, e.g. user=ada; repeatable: tenant, team, user, agent, session, run.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


def with_memory(
    cli: Cli,
    path: Path | None,
    work: Callable[["Memory"], Awaitable[T]],
    *,
    write: bool = False,
    new: bool = False,
    asks: bool = False,
) -> T:
    """What `work` makes of the memory; a spinner turns if it takes long.

    Args:
        cli: Where the settings come from.
        path: The database, over the settings.
        work: What is done.
        write: Whether it changes the memory.
        new: Whether there may be no database yet; a path that is mistyped makes none otherwise.
        asks: Whether it asks the indexes, which have to catch up with the log then.
    """
    loaded = cli.app(path)
    indexed = bool(loaded.settings.memory.indexes) or loaded.settings.memory_store is not None
    return with_app(cli, loaded, work, write=write or (asks and indexed), new=new)


def with_app(
    cli: Cli,
    app: "App",
    work: Callable[["Memory"], Awaitable[T]],
    *,
    write: bool = False,
    new: bool = False,
) -> T:
    """The same with an app that is loaded already."""
    import asyncio

    from massgen_core.storage import database_path

    write = write and (new or database_path(app.path).exists())

    async def main() -> T:
        async with app:
            return await work(await app.memory(read_only=not write))

    with cli.busy("Writing …" if write else "Reading …"):
        done = asyncio.run(main())
    for event in app.degraded:
        cli.event(event)
    return done


def scope_from(pairs: list[str] | None) -> "Scope":
    """The scope that ``FIELD=VALUE`` texts name; the whole memory if there are none.

    Raises:
        InvalidArgument: A text is no such pair, names no field, or nobody: an empty value, which
            a shell variable that is not set leaves, would mean everybody.
    """
    from massgen_core.memory import scope_of

    named = pairs_of("scope", pairs)
    for name, value in named.items():
        if not value.strip():
            raise InvalidArgument(
                f"--scope {name}= names nobody", hint=f"Leave it out to mean every {name}."
            )
    return scope_of(named)


def pairs_of(option: str, pairs: list[str] | None) -> dict[str, str]:
    """``FIELD=VALUE`` texts by field.

    Raises:
        InvalidArgument: A text has no ``=``, or a field is given twice.
    """
    out: dict[str, str] = {}
    for pair in pairs or ():
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise InvalidArgument(
                f"--{option} is {pair!r}, expected FIELD=VALUE",
                hint=f"E.g. --{option} {_EXAMPLES[option]}.",
            )
        if name in out:
            raise InvalidArgument(
                f"--{option} gives {name} twice: {out[name]!r} and {value!r}",
                hint="One value can be meant.",
            )
        out[name] = value
    return out
