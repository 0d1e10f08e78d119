"""The data of sessions: entries, what is known about a session, what a check found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Self, get_args

from massgen_core.messages import JSONValue, message_from_json, message_to_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from massgen_core.messages import Message

Kind = Literal["message", "fit", "usage", "recall", "note", "tool_state"]

KINDS: Final[frozenset[str]] = frozenset(get_args(Kind))


@dataclass(frozen=True, slots=True)
class NewEntry:
    """Something to be appended to a journal.

    Attributes:
        kind: What it is.
        body: JSON values; what a kind's body holds is up to who writes it.
        tokens: Counted size, for a message; 0 otherwise.
        tokenizer: The name of the counter that counted `tokens`.
    """

    kind: Kind
    body: Mapping[str, JSONValue]
    tokens: int = 0
    tokenizer: str = ""

    @classmethod
    def message(cls, message: Message, tokens: int = 0, tokenizer: str = "") -> Self:
        """The entry of a message."""
        return cls("message", message_to_json(message), tokens, tokenizer)


class Entry:
    """One entry of a journal, as it is on disk. Its body is decoded whenever it is asked for.

    A long journal is held as it is on disk, which takes a fraction of the room of JSON values.

    Attributes:
        seq: Its place in the journal, from 1, without gaps.
        id: UUIDv7.
        kind: One of `KINDS`, or a kind of a later version.
        created_at: Seconds since the Unix epoch, as the writer's clock said; may go backwards.
        tokens: Counted size; 0 if it is not a message.
        tokenizer: The name of the counter that counted it.
    """

    __slots__ = ("_body", "created_at", "id", "kind", "seq", "tokenizer", "tokens")

    def __init__(
        self,
        seq: int,
        id: str,  # noqa: A002 - the name of the column
        kind: str,
        body: Mapping[str, JSONValue] | Callable[[], Mapping[str, JSONValue]],
        created_at: float,
        tokens: int = 0,
        tokenizer: str = "",
    ) -> None:
        self.seq = seq
        self.id = id
        self.kind = kind
        self.created_at = created_at
        self.tokens = tokens
        self.tokenizer = tokenizer
        self._body = body

    @property
    def body(self) -> Mapping[str, JSONValue]:
        """The JSON values that were appended."""
        return self._body() if callable(self._body) else self._body

    @property
    def message(self) -> Message:
        """The message of a ``message`` entry.

        Raises:
            InvalidMessages: The entry is of another kind.
        """
        return message_from_json(self.body)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Entry):
            return NotImplemented
        return self._key() == other._key() and self.body == other.body

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"Entry(seq={self.seq}, id={self.id!r}, kind={self.kind!r}, tokens={self.tokens})"

    def _key(self) -> tuple[object, ...]:
        return (self.seq, self.id, self.kind, self.created_at, self.tokens, self.tokenizer)


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """What a list of sessions shows.

    Attributes:
        id: The session.
        title: For a person; may be empty.
        meta: The JSON values it was created with.
        origin: The session this one and its forks began as; its own id if it is no fork.
        parent_id: What it was forked from, None if nothing.
        parent_seq: The last entry it shares with its parent.
        created_at: Seconds since the Unix epoch.
        active_at: When the last entry was appended, the same unit.
        entries: Entries in the journal.
        messages: How many of these are messages.
        tokens: Counted size of the messages.
        damage: Fields of this record that do not match their checksum; empty if all is well.
    """

    id: str
    title: str
    meta: Mapping[str, JSONValue] = field(hash=False)
    origin: str
    parent_id: str | None
    parent_seq: int | None
    created_at: float
    active_at: float
    entries: int
    messages: int
    tokens: int
    damage: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong on disk.

    Attributes:
        session_id: The session; empty if it concerns the whole file.
        seq: The entry, 0 if it concerns the session itself.
        field: The column, or the place in the body: ``body.parts[0].text``.
        what: In words for a person.
    """

    session_id: str
    seq: int
    field: str
    what: str

    def __str__(self) -> str:
        where = f"session {self.session_id!r}: " if self.session_id else ""
        entry = f"entry {self.seq}: " if self.seq else ""
        return f"{where}{entry}{self.field}: {self.what}"


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What `SessionStore.verify` found.

    Attributes:
        problems: All that is wrong, in the order of the journal.
        sessions: How many sessions were read.
        entries: How many entries.
        blobs: How many blobs.
    """

    problems: tuple[Problem, ...]
    sessions: int
    entries: int
    blobs: int

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems
