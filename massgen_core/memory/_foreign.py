"""What readers of other programs' memories and conversations share."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from massgen_core.errors import InvalidArgument, InvalidImport
from massgen_core.memory._record import NewMemory, moment_of
from massgen_core.memory._scope import FIELDS, Scope

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from massgen_core.memory._sources import Source

TRUST: Final = {"user": 1.0, "assistant": 0.8}
"""How far a text of a role is trusted; tools give back what strangers wrote."""
TOOL_TRUST: Final = 0.5


@dataclass(frozen=True, slots=True)
class Piece:
    """One memory that was found, before it is known what of it is there already.

    Attributes:
        origin: Names its place in the source; what has another text there takes its place.
        new: The memory; its id is made of origin and text.
    """

    origin: str
    new: NewMemory


class Maker:
    """Makes pieces of one format, for one scope.

    Args:
        format: The format's name.
        scope: Whose they shall be; its fields go over those of the source.

    Attributes:
        skipped: What was left out, by reason.
    """

    def __init__(self, format: str, scope: Scope) -> None:  # noqa: A002 - the user's word
        self._format = format
        self._scope = scope
        self.skipped: dict[str, int] = {}

    def skip(self, reason: str) -> None:
        """Notes that something was left out."""
        self.skipped[reason] = self.skipped.get(reason, 0) + 1

    def piece(
        self,
        key: Sequence[object],
        text: str,
        meta: Mapping[str, Any],
        whose: Mapping[str, object],
        **fields: Any,
    ) -> Piece | None:
        """A piece; None if its text is empty.

        Args:
            key: Names its place in the source.
            text: What it says.
            meta: What the source knows of it besides.
            whose: The scope that the source names.
            **fields: Those of `NewMemory`.

        Raises:
            InvalidArgument: A value cannot be used.
        """
        if not text.strip():
            self.skip("empty")
            return None
        scope = self._within(whose)
        named = json.dumps([self._format, scope.values(), list(key)], default=str)
        origin = f"{self._format}:{hashlib.sha256(named.encode()).hexdigest()[:32]}"
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        new = NewMemory.of(
            text,
            scope=scope,
            id=f"{origin}.{digest}",
            producer=f"import/{self._format}",
            meta={"origin": {"format": self._format, **meta}},
            **fields,
        )
        return Piece(origin, new)

    def _within(self, whose: Mapping[str, object]) -> Scope:
        theirs = {
            name: str(value)
            for name, value in whose.items()
            if name in FIELDS and value not in (None, "")
        }
        ours = dict(zip(FIELDS, self._scope.values(), strict=True))
        return replace(self._scope, **{k: v for k, v in theirs.items() if not ours[k]})


def parsed(text: str, source: Source, name: str) -> Any:
    """The JSON value in a text.

    Raises:
        InvalidImport: It is none.
    """
    try:
        return json.loads(text, parse_constant=_refused)
    except json.JSONDecodeError as exc:
        place = f"line {exc.lineno}, column {exc.colno}"
        raise malformed(source, name, place, f"it is no JSON: {exc.msg}") from exc
    except (ValueError, RecursionError) as exc:
        raise malformed(source, name, "", f"it is no JSON: {exc}") from exc


def malformed(source: Source, name: str, place: str, what: str) -> InvalidImport:
    """The error that names file and place."""
    where = f"{source.where(name)}, {place}" if place else source.where(name)
    return InvalidImport(
        f"{where}: {what}",
        file=name,
        place=place,
        hint="`mgc memory import --help` names the formats. Nothing was imported.",
    )


def moment(value: object) -> float | None:
    """A time as sources write it: seconds, ISO 8601 text, or nothing.

    Raises:
        InvalidArgument: It is none.
    """
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise InvalidArgument(f"{value!r:.40} is no time")
    return moment_of(value)


def field(item: Mapping[str, Any], name: str, kind: type | tuple[type, ...]) -> Any:
    """A field that must be there.

    Raises:
        InvalidArgument: It is not, or of another type.
    """
    value = item.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise InvalidArgument(f"its {name!r} is {value!r:.40}")
    return value


def without(item: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The other fields, those that say nothing left out."""
    return {
        key: value
        for key, value in item.items()
        if key not in names and value not in (None, "", [], {})
    }


def _refused(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
