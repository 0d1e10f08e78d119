"""Whose memory: six names, each compared exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TypeAlias

from massgen_core.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose memory: each field is compared exactly, byte by byte; empty means not narrowed by it.

    What is remembered for ``Scope(user="ada", session="s1")`` is found by asking for
    ``Scope(user="ada")``, and not by asking for ``Scope(user="Ada")``.

    Raises:
        InvalidArgument: A field is no text, or cannot be written as UTF-8.
    """

    tenant: str = ""
    team: str = ""
    user: str = ""
    agent: str = ""
    session: str = ""
    run: str = ""

    def __post_init__(self) -> None:
        for name, value in zip(FIELDS, self.values(), strict=True):  # asdict() copies deeply
            if not isinstance(value, str):
                raise InvalidArgument(f"scope {name} is {value!r}, expected text")
            if not is_text(value):
                raise InvalidArgument(f"scope {name} {value!r} is no valid Unicode")

    def covers(self, other: Scope) -> bool:
        """Whether every field set here is the same in `other`."""
        return all(
            not mine or mine == theirs
            for mine, theirs in zip(self.values(), other.values(), strict=True)
        )

    @property
    def lasting(self) -> Scope:
        """The scope without session and run, if anything is left of it then: whose it really is."""
        kept = self.values()[:4]
        return Scope(*kept) if any(kept) and (self.session or self.run) else self

    def values(self) -> tuple[str, str, str, str, str, str]:
        """The fields in order: tenant, team, user, agent, session, run."""
        return self.tenant, self.team, self.user, self.agent, self.session, self.run

    def named(self) -> dict[str, str]:
        """The fields that are set, by name, in the same order."""
        return {name: value for name, value in zip(FIELDS, self.values(), strict=True) if value}


FIELDS: tuple[str, ...] = tuple(field.name for field in fields(Scope))
"""The names of a scope's fields, in order."""

ScopeLike: TypeAlias = Scope | Mapping[str, str]
"""A scope, or its fields by name."""


def is_text(value: object) -> bool:
    """Whether it is text that can be written as UTF-8: no lone surrogates."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def scope_of(value: ScopeLike) -> Scope:
    """The scope that is meant.

    Raises:
        InvalidArgument: It is no scope, or has a field that scopes do not have.
    """
    if isinstance(value, Scope):
        return value
    if not isinstance(value, Mapping):
        raise InvalidArgument(
            f"scope is {value!r}, expected a Scope or a mapping", hint='Pass {"user": "ada"}.'
        )
    if unknown := [name for name in value if name not in FIELDS]:
        raise InvalidArgument(
            f"scope has no field {unknown[0]!r}", hint=f"Its fields are {', '.join(FIELDS)}."
        )
    return Scope(**value)


def scopes_of(value: ScopeLike | Sequence[ScopeLike]) -> tuple[Scope, ...]:
    """The scopes that are meant by one of them, or by several; each once.

    Raises:
        InvalidArgument: One is no scope.
    """
    if isinstance(value, (list, tuple)):
        return tuple(dict.fromkeys(map(scope_of, value)))
    return (scope_of(value),)  # type: ignore[arg-type]  # not a sequence: see above
