"""What is remembered: a record, and its one exact form on disk."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

from massgen_core.errors import InvalidArgument
from massgen_core.memory._scope import Scope, scope_of
from massgen_core.messages import JSONValue, with_pairs_joined

if TYPE_CHECKING:
    from massgen_core.memory._scope import ScopeLike

State: TypeAlias = Literal["active", "superseded", "invalidated", "tombstone"]
"""``active``: recalled. ``superseded``: a newer record says otherwise. ``invalidated``: no longer
held true. ``tombstone``: forgotten; nothing but its id is left."""
Visibility: TypeAlias = Literal["scope", "private"]
"""``scope``: for whoever may read the scope. ``private``: for its owner only."""
Moment: TypeAlias = float | int | str | datetime | date
"""Seconds since the Unix epoch, ISO 8601 text, or a date; without a zone UTC is meant. Text may be
a number of seconds as well; but four digits are a year, and eight are a day."""

_NUMBER: Final = re.compile(r"-?(\d{5,7}|\d{9,})(\.\d+)?")
_FIRST: Final = datetime(1, 1, 2, tzinfo=UTC).timestamp()  # the 1st is in no year, west of UTC
_AFTER: Final = datetime(9999, 12, 31, tzinfo=UTC).timestamp() + 86_400.0
"""The moments that a calendar can show: from the first, before the second."""
_KIND: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/-]{0,127}")
_SHARES: Final = ("importance", "confidence", "trust")
_TIMES: Final = ("event_time", "valid_from", "valid_to", "expires_at")
_TUPLES: Final = ("tags", "source_ids", "supersedes")
LOST: Final = "lost"
"""Kind of a tombstone that damage left: what it was may come back, unlike what was forgotten."""
STANDING: Final = frozenset({"preference", "instruction"})
"""Kinds that hold whatever is asked; where pinned, they are always recalled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMemory:
    """What shall be remembered.

    Attributes:
        text: What is remembered, word by word; a pair of surrogates becomes its character.
        scope: Whose it is.
        kind: ``message``, ``fact``, ``preference``, ``instruction``, ``summary``, ``note`` or
            another lower-case word.
        speaker: Who said it.
        session_no: Number of the sitting it was said in, within its scope.
        turn_no: Its place in that sitting.
        event_time: When it happened.
        valid_from: From when on it is true.
        valid_to: Until when it is true.
        expires_at: When it is to be dropped: it is not recalled from then on. Its words count for
            the memories around it until `gc` marks it.
        importance: From 0 to 1; what is more important is kept longer.
        confidence: From 0 to 1: how sure its producer is.
        trust: From 0 to 1: how far its source is trusted.
        pinned: Whether no cap drops it; a preference or an instruction is always recalled then.
        tags: Words to find it by.
        meta: JSON values to keep with it.
        source_ids: The records it was derived from.
        supersedes: The records it takes the place of; they stay, as superseded.
        producer: What made it, e.g. ``facts/1``; empty for what was said.
        owner: Who it belongs to; matters if it is private.
        visibility: ``scope`` or ``private``.
        id: Its id; a UUIDv7 if omitted. Remembering the same again under the same id changes
            nothing.

    Raises:
        InvalidArgument: A field cannot be used.
    """

    text: str
    scope: Scope
    kind: str = "message"
    speaker: str = ""
    session_no: int | None = None
    turn_no: int | None = None
    event_time: float | None = None
    valid_from: float | None = None
    valid_to: float | None = None
    expires_at: float | None = None
    importance: float = 0.5
    confidence: float = 1.0
    trust: float = 1.0
    pinned: bool = False
    tags: tuple[str, ...] = ()
    meta: Mapping[str, JSONValue] = field(default_factory=dict)
    source_ids: tuple[str, ...] = ()
    supersedes: tuple[str, ...] = ()
    producer: str = ""
    owner: str = ""
    visibility: Visibility = "scope"
    id: str | None = None

    @classmethod
    def of(cls, text: str, *, scope: ScopeLike, **given: Any) -> NewMemory:
        """A new memory from what callers pass: dates in any form, lists, None for the default."""
        if unknown := [name for name in given if name not in _GIVEN]:
            raise InvalidArgument(
                f"a memory has no field {unknown[0]!r}",
                hint=f"Its fields are {', '.join(sorted(_GIVEN))}.",
            )
        set_ = {name: value for name, value in given.items() if value is not None}
        for name in _TIMES:
            if name in set_:
                set_[name] = moment_of(set_[name], name)
        return cls(text=text, scope=scope_of(scope), **set_)

    def __post_init__(self) -> None:
        object.__setattr__(self, "scope", scope_of(self.scope))
        for name in _TUPLES:
            object.__setattr__(self, name, texts_of(name, getattr(self, name)))
        _check_text("text", self.text)
        _check_text("kind", self.kind)
        if not _KIND.fullmatch(self.kind):
            raise InvalidArgument(
                f"kind is {self.kind!r}, expected a lower-case word", hint='E.g. kind="fact".'
            )
        _check_id(self.id)
        if self.visibility not in get_args(Visibility):
            raise InvalidArgument(f"visibility is {self.visibility!r}, expected scope or private")
        if not isinstance(self.pinned, bool):
            raise InvalidArgument(f"pinned is {self.pinned!r}, expected True or False")
        for name in ("speaker", "producer", "owner"):
            _check_text(name, getattr(self, name))
        for name in ("session_no", "turn_no"):
            _check_number(name, getattr(self, name))
        for name in _SHARES:
            _check_share(name, getattr(self, name))
        for name in _TIMES:
            _check_time(name, getattr(self, name))
        _check_meta(self.meta)
        self._make_plain()

    def _make_plain(self) -> None:
        """Keep the text of an enum's member and NumPy's numbers as what JSON gives back."""
        for name in ("text", "kind", "speaker", "producer", "owner", "visibility", "id"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, with_pairs_joined(str.__str__(value)))
        for name in (*_SHARES, *_TIMES):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, float(value))


_GIVEN: Final = frozenset(each.name for each in fields(NewMemory)) - {"text", "scope"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRecord(NewMemory):
    """One memory as the ledger holds it; see `NewMemory` for what was given.

    Attributes:
        id: Its id.
        seq: Number of the log entry that created it: the order of remembering.
        rev: How often it was written, from 1.
        state: Whether it is recalled; see `State`.
        recorded_at: When it was remembered, in seconds since the Unix epoch.
        content_hash: SHA-256 of the text, in hexadecimal.
        sha256: SHA-256 of the whole record as it is on disk, in hexadecimal.
        use_count: How often it was recalled.
        last_used_at: When it was recalled last; None if never.
    """

    id: str = ""
    seq: int = 0
    rev: int = 1
    state: State = "active"
    recorded_at: float = 0.0
    content_hash: str = ""
    sha256: str = ""
    use_count: int = 0
    last_used_at: float | None = None

    def __post_init__(self) -> None:
        """Nothing: what is in the ledger was checked when it came in."""

    @property
    def happened_at(self) -> float:
        """When it happened; when it was remembered, if that is not known."""
        return self.recorded_at if self.event_time is None else self.event_time

    def current(self, now: float) -> bool:
        """Whether it is recalled at `now`: active, not expired, and true then."""
        if self.state != "active" or (self.expires_at is not None and self.expires_at <= now):
            return False
        late = self.valid_to is not None and self.valid_to <= now
        return not late and (self.valid_from is None or self.valid_from <= now)


_DERIVED: Final = frozenset(
    {"text", "scope", "seq", "rev", "content_hash", "sha256", "use_count", "last_used_at"}
)
_STORED: Final = tuple(each.name for each in fields(MemoryRecord) if each.name not in _DERIVED)
_DEFAULTS: Final = {
    each.name: each.default for each in fields(MemoryRecord) if each.name in _STORED
}
_stored: Final = attrgetter(*_STORED)
_CANONICAL: Final = json.JSONEncoder(sort_keys=True, allow_nan=False, separators=(",", ":"))


def body_of(record: MemoryRecord) -> str:
    """The record without its text as canonical JSON: sorted keys, no blanks, no defaults.

    Raises:
        InvalidArgument: `meta` holds what is no JSON value.
    """
    values: dict[str, Any] = {
        name: value
        for (name, default), value in zip(_DEFAULTS.items(), _stored(record), strict=True)
        if value != default and value not in ((), {})
    }
    if scope := record.scope.named():
        values["scope"] = scope
    try:
        return _CANONICAL.encode(values)
    except (TypeError, ValueError, RecursionError) as exc:
        raise InvalidArgument(
            f"meta is no JSON value: {exc}",
            hint="Use dicts with text keys, lists, text, finite numbers, booleans and None.",
        ) from exc


def record_from(body: str, text: str, *, seq: int, rev: int, digest: bytes) -> MemoryRecord:
    """The exact inverse of `body_of`."""
    values = json.loads(body)
    for name in values.keys() & _TUPLES:
        values[name] = tuple(values[name])
    values["scope"] = Scope(**values.get("scope", {}))
    return MemoryRecord(
        text=text,
        seq=seq,
        rev=rev,
        content_hash=content_hash(text).hex(),
        sha256=digest.hex(),
        **values,
    )


def content_hash(text: str) -> bytes:
    """SHA-256 of the text as UTF-8."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def digest_of(body: str, text: str) -> bytes:
    """SHA-256 over body and text: what ``digest`` must be."""
    whole = hashlib.sha256(body.encode())
    whole.update(b"\0")
    whole.update(text.encode("utf-8", "surrogatepass"))
    return whole.digest()


def changed(record: MemoryRecord, changes: Mapping[str, Any]) -> MemoryRecord:
    """The record with fields of `NewMemory` changed; the other fields are kept.

    Raises:
        InvalidArgument: A field cannot be changed, or not to this value.
    """
    fixed = {"id", "state", "recorded_at", "seq", "rev"} & changes.keys()
    if fixed:
        raise InvalidArgument(f"{min(fixed)} of a record cannot be changed")
    kept_times = {name: getattr(record, name) for name in _TIMES if name not in changes}
    given = {name: getattr(record, name) for name in _GIVEN - kept_times.keys()}
    cleared = {name for name, value in changes.items() if value is None}
    given |= {name: value for name, value in changes.items() if name not in {"text", "scope"}}
    new = NewMemory.of(
        changes.get("text", record.text), scope=changes.get("scope", record.scope), **given
    )
    kept = {each.name: getattr(new, each.name) for each in fields(NewMemory)}
    kept |= {name: _DEFAULTS[name] for name in cleared if name in _DEFAULTS and name != "meta"}
    out = replace(record, **{**kept, **kept_times, "id": record.id})
    if {"valid_from", "valid_to"} & changes.keys():
        _check_order(out)
    return out


def moment_of(value: Moment, name: str = "time") -> float:
    """Seconds since the Unix epoch.

    Raises:
        InvalidArgument: It is no moment, or none of the years 1 to 9999.
    """
    seconds = _seconds_of(value)
    if seconds is None:
        raise InvalidArgument(
            f"{name} is {value!r}, expected seconds since 1970, a date or ISO 8601 text",
            hint="E.g. 2026-05-08T13:56:00+02:00.",
        )
    _check_time(name, seconds)
    return seconds


def _seconds_of(value: object) -> float | None:
    with contextlib.suppress(ValueError, OverflowError):
        match value:
            case float() | int() if not isinstance(value, bool):
                return float(value)
            case datetime():
                return _stamp(value)
            case date():
                return _stamp(datetime(value.year, value.month, value.day, tzinfo=UTC))
            case str() if _NUMBER.fullmatch(value):  # fromisoformat takes long ones for dates
                return float(value)
            case str():
                return _stamp(datetime.fromisoformat(value))
    return None


def _stamp(value: datetime) -> float:
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()


def texts_of(name: str, value: Any) -> tuple[Any, ...]:
    """The texts of a list of them.

    Raises:
        InvalidArgument: It is none; one text alone is none, either.
    """
    texts = None if isinstance(value, str) or not isinstance(value, Iterable) else tuple(value)
    if texts is None or not all(isinstance(each, str) for each in texts):
        raise InvalidArgument(f"{name} is {value!r}, expected a list of texts")
    return texts


def news_of(value: Any) -> list[NewMemory]:
    """The new memories of a list of them.

    Raises:
        InvalidArgument: It is none, or one of them ends before it begins.
    """
    news = list(value) if isinstance(value, Iterable) else [value]
    if wrong := [new for new in news if not isinstance(new, NewMemory)]:
        raise InvalidArgument(
            f"{wrong[0]!r} is to be remembered, expected a NewMemory",
            hint="Pass a list of them; remember() takes a text.",
        )
    for new in news:
        _check_order(new)
    return news


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise InvalidArgument(f"{name} is {value!r}, expected text")


def _check_id(value: object) -> None:
    if value is not None and not (isinstance(value, str) and _ID.fullmatch(value)):
        raise InvalidArgument(
            f"id is {value!r}, expected up to 128 letters, digits and . _ : @ / -"
        )


def _check_meta(value: object) -> None:
    if not isinstance(value, Mapping):
        raise InvalidArgument(f"meta is {value!r}, expected a mapping")


def _check_number(name: str, value: object) -> None:
    if value is not None and (type(value) is not int or abs(value) >= 1 << 62):
        raise InvalidArgument(f"{name} is {value!r}, expected a whole number")


def _check_share(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise InvalidArgument(f"{name} is {value!r}, expected a number from 0 to 1")


def _check_time(name: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InvalidArgument(f"{name} is {value!r}, expected finite seconds since 1970")
    if not _FIRST <= value < _AFTER:
        raise InvalidArgument(
            f"{name} is {value!r}, which is beyond the years 1 to 9999",
            hint="Seconds since 1970 are meant, not milli- or microseconds.",
        )


def _check_order(new: NewMemory) -> None:
    if new.valid_from is not None and new.valid_to is not None and new.valid_to < new.valid_from:
        raise InvalidArgument(
            f"valid_to is {new.valid_to!r}, which is before valid_from, {new.valid_from!r}"
        )
