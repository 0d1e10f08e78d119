"""The ``session`` table: one row per session, its head and its totals."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from massgen_core.errors import InvalidArgument, JournalCorrupt, SessionNotFound
from massgen_core.sessions._chain import changed, field_sums, genesis
from massgen_core.sessions._model import SessionInfo

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from massgen_core.messages import JSONValue

_FIXED: Final = ("id", "origin", "parent_id", "parent_seq", "title", "meta", "created_at")
_SELECT: Final = """
    SELECT CAST(id AS BLOB), CAST(origin AS BLOB), CAST(parent_id AS BLOB), parent_seq,
           CAST(title AS BLOB), CAST(meta AS BLOB), created_at, sums,
           head_seq, head_hash, messages, tokens, active_at, CAST(writer AS BLOB), head_sum
    FROM session
"""


class Head(NamedTuple):
    """The end of a journal and its totals; the types are what an undamaged row has.

    Attributes:
        seq: The last entry, 0 if there is none.
        hash: Its hash, or the genesis.
        messages: Message entries.
        tokens: Their counted size.
        active_at: When the last entry was appended.
        writer: The fencing token of whoever opened the session for writing last.
    """

    seq: int
    hash: bytes
    messages: int
    tokens: int
    active_at: float
    writer: bytes

    def checksum(self) -> int:
        """What ``head_sum`` must be."""
        return zlib.crc32(field_sums(self))


class SessionRow(NamedTuple):
    """A row of ``session``, texts as UTF-8 bytes."""

    id: bytes
    origin: bytes
    parent_id: bytes | None
    parent_seq: int | None
    title: bytes
    meta: bytes
    created_at: float
    sums: bytes
    head: Head
    head_sum: int

    def damage(self) -> tuple[str, ...]:
        """The fields that do not match their checksum; ``head`` for the end and the totals."""
        fixed = changed(self[:7], _FIXED, self.sums)
        return fixed if self.head.checksum() == self.head_sum else (*fixed, "head")

    def info(self) -> SessionInfo:
        """The row for a person; damaged fields as well as they can be read."""
        return SessionInfo(
            id=_text(self.id),
            title=_text(self.title),
            meta=_object(self.meta),
            origin=_text(self.origin),
            parent_id=None if self.parent_id is None else _text(self.parent_id),
            parent_seq=self.parent_seq,
            created_at=self.created_at,
            active_at=self.head.active_at,
            entries=self.head.seq,
            messages=self.head.messages,
            tokens=self.head.tokens,
            damage=self.damage(),
        )


def new_row(
    session_id: str,
    *,
    created_at: float,
    title: str = "",
    meta: Mapping[str, JSONValue] | None = None,
    origin: str | None = None,
    parent: tuple[str, int] | None = None,
    head: Head | None = None,
    writer: bytes = b"",
) -> SessionRow:
    """The row of a new session; without `head` it is empty, without `writer` nobody writes to it.

    Raises:
        InvalidArgument: `title` or `meta` cannot be stored.
    """
    origin = origin or session_id
    parent_id, parent_seq = parent or (None, None)
    fixed = (
        session_id.encode(),
        origin.encode(),
        None if parent_id is None else parent_id.encode(),
        parent_seq,
        _stored_title(title),
        _stored_meta(meta or {}),
        created_at,
    )
    head = head or Head(0, genesis(origin), 0, 0, created_at, writer)
    return SessionRow(*fixed, field_sums(fixed), head, head.checksum())


def insert_row(conn: sqlite3.Connection, row: SessionRow) -> None:
    """Store a new session."""
    values = (*row[:8], *row.head, row.head_sum)
    conn.execute(
        """
        INSERT INTO session VALUES (
            CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), ?, CAST(? AS TEXT), CAST(? AS TEXT),
            ?, ?, ?, ?, ?, ?, ?, CAST(? AS TEXT), ?
        )
        """,
        values,
    )


def find_row(conn: sqlite3.Connection, session_id: str) -> SessionRow | None:
    """The session's row; None if there is no such session."""
    found = conn.execute(f"{_SELECT} WHERE id = ?", (session_id,)).fetchone()
    return None if found is None else _made(found)


def get_row(conn: sqlite3.Connection, session_id: str) -> SessionRow:
    """The session's row.

    Raises:
        SessionNotFound: There is no such session.
    """
    row = find_row(conn, session_id)
    if row is None:
        raise SessionNotFound(
            f"there is no session {session_id!r}",
            session_id=session_id,
            hint="`mgc session list` shows what there is.",
        )
    return row


def all_rows(conn: sqlite3.Connection) -> list[SessionRow]:
    """All sessions, the most recently active first."""
    return [_made(row) for row in conn.execute(f"{_SELECT} ORDER BY active_at DESC, id")]


def sound_head(row: SessionRow, session_id: str) -> Head:
    """The head, if it is what was written.

    Raises:
        JournalCorrupt: It is not.
    """
    if row.head.checksum() == row.head_sum:
        return row.head
    raise JournalCorrupt(
        f"session {session_id!r}: its head does not match its checksum",
        session_id=session_id,
        seq=0,
        field="head",
        hint="Open the session again: its head is rebuilt from its entries.",
    )


def set_head(conn: sqlite3.Connection, session_id: str, head: Head) -> None:
    """Move the end of the journal."""
    conn.execute(
        """
        UPDATE session SET head_seq = ?, head_hash = ?, messages = ?, tokens = ?, active_at = ?,
            writer = CAST(? AS TEXT), head_sum = ?
        WHERE id = ?
        """,
        (*head, head.checksum(), session_id),
    )


def _made(row: tuple[Any, ...]) -> SessionRow:
    return SessionRow._make((*row[:8], Head._make(row[8:14]), row[14]))


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _object(value: object) -> dict[str, JSONValue]:
    try:
        found = json.loads(value) if isinstance(value, bytes) else None
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def _stored_title(title: str) -> bytes:
    try:
        return title.encode()
    except UnicodeEncodeError as exc:
        raise InvalidArgument(f"the title {title!r} is no valid Unicode text") from exc


def _stored_meta(meta: Mapping[str, JSONValue]) -> bytes:
    try:
        return json.dumps(dict(meta), allow_nan=False, separators=(",", ":")).encode()
    except (ValueError, TypeError, RecursionError) as exc:
        raise InvalidArgument(
            f"the meta of a session is no JSON object: {exc}",
            hint="Use a dict of text keys and JSON values.",
        ) from exc
