"""Who may read and write which scope."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

from massgen_core.errors import AccessDenied, InvalidArgument
from massgen_core.memory._scope import FIELDS, Scope, is_text

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

    from massgen_core.memory._record import MemoryRecord, NewMemory

Right: TypeAlias = Literal["read", "write"]

_COLUMNS: Final = ", ".join(FIELDS)
_SELECT: Final = f"SELECT principal, {_COLUMNS}, rights, sum FROM memory_grant"  # noqa: S608 - our own words


@dataclass(frozen=True, slots=True)
class Grant:
    """What a principal may do beyond its own scopes.

    Attributes:
        principal: Who.
        scope: Where: there and in every narrower scope.
        rights: ``read``, or ``read`` and ``write``.
    """

    principal: str
    scope: Scope
    rights: tuple[Right, ...]


def check(
    conn: sqlite3.Connection, principal: str | None, scopes: Iterable[Scope], right: Right
) -> None:
    """Nothing, if the principal has the right to all of the scopes.

    Without a principal it is the program itself that asks, which may do everything. A principal's
    own scopes are those whose user or agent it is.

    Raises:
        AccessDenied: It has not.
    """
    for scope in scopes:
        if not allowed(conn, principal, scope, right):
            raise AccessDenied(
                f"{principal!r} may not {right} {scope}",
                principal=str(principal),
                right=right,
                hint="Memory.grant() gives a right to a scope and all narrower ones.",
            )


def allowed(conn: sqlite3.Connection, principal: str | None, scope: Scope, right: Right) -> bool:
    """Whether the principal has the right to the whole scope."""
    if principal is None or (principal and principal in (scope.user, scope.agent)):
        return True
    return is_text(principal) and any(
        right in grant.rights and grant.scope.covers(scope) for grant in grants(conn, principal)
    )


def may(
    conn: sqlite3.Connection, principal: str | None, record: MemoryRecord, right: Right
) -> bool:
    """Whether the principal has the right to this record."""
    return allowed(conn, principal, record.scope, right) and sees(principal, record)


def sees(principal: str | None, record: MemoryRecord) -> bool:
    """Whether a principal that may read the scope may see this record of it."""
    return principal is None or record.visibility != "private" or record.owner == principal


def owned(new: NewMemory, principal: str | None) -> NewMemory:
    """The memory with an owner, if it is private: else nobody would see it.

    Raises:
        InvalidArgument: It is private, and nobody's.
        AccessDenied: The principal names another owner than itself.
    """
    if principal is not None and new.owner not in ("", principal):
        raise _not_its_own(principal, f"give {new.owner!r} a memory")
    if new.visibility != "private" or new.owner:
        return new
    if not principal:
        raise InvalidArgument(
            "a private memory needs an owner", hint="Pass owner=, or the principal whose it is."
        )
    return replace(new, owner=principal)


def owned_after(
    record: MemoryRecord, changes: Mapping[str, Any], principal: str | None
) -> Mapping[str, Any]:
    """The changes, with an owner for a memory that becomes private; see `owned`.

    Raises:
        InvalidArgument: It would be private, and nobody's.
        AccessDenied: The principal may not change whose it is, or who sees it.
    """
    if not changes.keys() & {"owner", "visibility"}:
        return changes
    scope = record.scope
    its_own = principal in (record.owner, scope.user, scope.agent)
    if principal is not None and not its_own:
        raise _not_its_own(principal, f"change whose memory {record.id!r} is")
    new = replace(
        record,
        owner=changes.get("owner", record.owner) or "",
        visibility=changes.get("visibility", record.visibility) or "scope",
    )
    return {**changes, "owner": owned(new, principal).owner}


def _not_its_own(principal: str, what: str) -> AccessDenied:
    return AccessDenied(
        f"{principal!r} may not {what}",
        principal=principal,
        right="write",
        hint="A principal owns what it remembers, and decides on that and on its own scopes.",
    )


def grant(conn: sqlite3.Connection, principal: str, scope: Scope, rights: Iterable[Right]) -> Grant:
    """Give rights to a scope and all narrower ones, in the place of those given before.

    Raises:
        InvalidArgument: There is no such right, or no principal.
    """
    wanted = {*rights, "read"}
    _check_name(principal)
    if unknown := wanted - set(get_args(Right)):
        raise InvalidArgument(f"there is no right {min(unknown)!r}", hint="Rights: read, write.")
    given = _rights(",".join(wanted))
    row = (principal, *scope.values(), ",".join(given))
    values = (*row, _sum(row))
    conn.execute("INSERT OR REPLACE INTO memory_grant VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    return Grant(principal, scope, given)


def revoke(conn: sqlite3.Connection, principal: str, scope: Scope | None) -> int:
    """Take a principal's rights back: to exactly this scope, or all of them; returns how many."""
    _check_name(principal)
    if scope is None:
        return conn.execute("DELETE FROM memory_grant WHERE principal = ?", (principal,)).rowcount
    same = " AND ".join(f"{name} = ?" for name in FIELDS)
    query = f"DELETE FROM memory_grant WHERE principal = ? AND {same}"  # noqa: S608 - our own words
    return conn.execute(query, (principal, *scope.values())).rowcount


def grants(conn: sqlite3.Connection, principal: str | None = None) -> list[Grant]:
    """The grants of one principal, or all of them; damaged ones give no right.

    Raises:
        InvalidArgument: A principal is given that is no text.
    """
    if principal is not None and not is_text(principal):
        raise InvalidArgument(f"principal is {principal!r}, expected a name")
    rows = (
        conn.execute(f"{_SELECT} ORDER BY principal, {_COLUMNS}")
        if principal is None
        else conn.execute(f"{_SELECT} WHERE principal = ? ORDER BY {_COLUMNS}", (principal,))
    )
    return [
        Grant(name, Scope(*scope), _rights(rights))
        for name, *scope, rights, sum_ in rows
        if sum_ == _sum((name, *scope, rights))
    ]


def damaged_grants(conn: sqlite3.Connection) -> int:
    """How many grants are not what was given."""
    rows = conn.execute(_SELECT)
    return sum(sum_ != _sum(tuple(row)) for *row, sum_ in rows)


def drop_damaged_grants(conn: sqlite3.Connection) -> int:
    """Delete the grants that are not what was given; how many."""
    bad = [row for *row, sum_ in conn.execute(_SELECT).fetchall() if sum_ != _sum(tuple(row))]
    same = " AND ".join(f"{name} IS ?" for name in ("principal", *FIELDS))
    query = f"DELETE FROM memory_grant WHERE {same}"  # noqa: S608 - our own words
    return conn.executemany(query, [row[:-1] for row in bad]).rowcount if bad else 0


def _check_name(principal: str) -> None:
    if not principal or not is_text(principal):
        raise InvalidArgument(f"principal is {principal!r}, expected a name")


def _sum(row: tuple[str, ...]) -> int:
    return zlib.crc32(repr(row).encode("utf-8", "backslashreplace"))


def _rights(stored: str) -> tuple[Right, ...]:
    return tuple(right for right in get_args(Right) if right in stored.split(","))
