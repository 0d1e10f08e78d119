"""``mgc memory``: who may read and write which scope."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from massgen_core.cli._command import command
from massgen_core.cli._memory_work import ScopeOption, scope_from, with_memory
from massgen_core.cli._options import DatabasePath
from massgen_core.cli._reply import Reply, to_json
from massgen_core.cli._state import Cli
from massgen_core.cli._table import table_of
from massgen_core.errors import InvalidArgument

if TYPE_CHECKING:
    from massgen_core.memory import Grant

Principal = Annotated[str, typer.Argument(help="Who: the name that programs pass as principal.")]


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    command(app, "grant")(grant)
    command(app, "revoke")(revoke)
    command(app, "grants")(grants)


def grant(
    cli: Cli,
    principal: Principal,
    scope: ScopeOption = None,
    write: Annotated[bool, typer.Option("--write", help="To write as well as to read.")] = False,
    path: DatabasePath = None,
) -> Reply:
    """Gives a right to a scope and all narrower ones, in the place of earlier ones to that scope.

    A principal may use the scopes whose user or agent it is anyway.
    """
    if not scope:
        raise InvalidArgument("whose memory is it?", hint="Pass --scope, e.g. --scope team=red.")
    whose = scope_from(scope)
    given = with_memory(
        cli,
        path,
        lambda memory: memory.grant(principal, whose, ["write" if write else "read"]),
        write=True,
        new=True,
    )
    return Reply(given, _table([given]))


def revoke(
    cli: Cli, principal: Principal, scope: ScopeOption = None, path: DatabasePath = None
) -> Reply:
    """Takes a principal's rights to exactly one scope back; all of them without --scope."""
    whose = scope_from(scope) if scope else None
    taken = with_memory(cli, path, lambda memory: memory.revoke(principal, whose), write=True)
    return Reply({"revoked": taken}, f"{taken:,} taken back\n")


def grants(
    cli: Cli,
    principal: Annotated[
        str | None, typer.Argument(help="Only this principal's; everybody's if omitted.")
    ] = None,
    path: DatabasePath = None,
) -> Reply:
    """Who may use whose memory, beside their own."""
    found = with_memory(cli, path, lambda memory: memory.grants(principal))
    return Reply(found, _table(found))


def _table(found: "list[Grant]") -> Any:
    rows = [
        (
            one.principal,
            ", ".join(f"{k}={v}" for k, v in to_json(one.scope).items() if v),
            ", ".join(one.rights),
        )
        for one in found
    ]
    return table_of(("who", "whose", "may"), rows)
