"""Opening a session for writing: what a crash or a damaged disk left is put in order, and said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from massgen_core.errors import SessionConflict
from massgen_core.events import JournalQuarantined
from massgen_core.messages import tool
from massgen_core.sessions._chain import Damage, genesis
from massgen_core.sessions._journal import append, chained, corrupt, scan
from massgen_core.sessions._model import Entry, NewEntry
from massgen_core.sessions._table import Head, SessionRow, get_row, set_head

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping, Sequence

    from massgen_core.messages import Message
    from massgen_core.sessions._journal import Scanned

INTERRUPTED_RUNNING: Final = (
    "interrupted: the process ended while this tool was running; its effects are unknown"
)
INTERRUPTED_BEFORE: Final = "interrupted: the process ended before this tool was started"

_QUARANTINE: Final = """
    INSERT INTO quarantine (session_id, moved_at, reason, seq, id, kind, schema, created_at, tokens,
                            tokenizer, body, sums, prev, hash)
    SELECT session_id, ?, ?, seq, id, kind, schema, created_at, tokens,
           tokenizer, body, sums, prev, hash
    FROM entry WHERE session_id = ? AND seq > ?
"""


@dataclass(frozen=True, slots=True)
class Journal:
    """A journal as it was loaded for writing.

    Attributes:
        row: The session's row.
        entries: All that are in use.
        head: The end of these, with their totals.
        quarantined: What has to be set aside; None if nothing.
    """

    row: SessionRow
    entries: tuple[Entry, ...]
    head: Head
    quarantined: JournalQuarantined | None


def load(conn: sqlite3.Connection, session_id: str) -> Journal:
    """The journal, every entry checked.

    Raises:
        SessionNotFound: There is no such session.
        JournalCorrupt: Damage with intact entries after it, or in the session's own record.
    """
    row = get_row(conn, session_id)
    fixed = [name for name in row.damage() if name != "head"]
    if fixed:
        raise corrupt(session_id, Damage(0, fixed[0], "does not match its checksum"))
    start = genesis(row.origin.decode())
    found = list(chained(scan(conn, session_id), 0, start))
    first = next((item.damage for item in found if item.damage is not None), None)
    if first is not None and any(item.intact and item.row.seq > first.seq for item in found):
        raise corrupt(session_id, first)
    good = found if first is None else [item for item in found if item.row.seq < first.seq]
    head = _head_of(good, row, start)
    return Journal(
        row,
        tuple([item.entry() for item in good]),
        head,
        _to_set_aside(session_id, row, head, first, len(found) - len(good)),
    )


def claim(
    conn: sqlite3.Connection,
    session_id: str,
    journal: Journal,
    *,
    writer: bytes,
    closings: Sequence[NewEntry],
    now: float,
) -> tuple[Entry, ...]:
    """Make `writer` the one who may append, set damage aside, close open calls; one transaction.

    Raises:
        SessionConflict: The session changed since it was loaded.
    """
    if get_row(conn, session_id).head != journal.row.head:
        raise SessionConflict(
            f"session {session_id!r} was changed by another writer while it was opened",
            session_id=session_id,
            hint="Open it again.",
        )
    if journal.quarantined is not None:
        _set_aside(conn, session_id, journal, now)
    set_head(conn, session_id, journal.head._replace(writer=writer))
    if not closings:
        return ()
    return append(conn, session_id, closings, writer=writer, at_least=journal.head.seq, now=now)


def closing_entries(
    entries: Sequence[Entry], count: Callable[[Message], tuple[int, str]] | None
) -> tuple[list[NewEntry], tuple[str, ...]]:
    """An explicit result for each tool call left open at the end, and the ids of these calls.

    Calls in the middle, that the conversation went on from without an answer, are left alone.
    """
    opened, started = _open_calls(entries)
    closings = []
    for call_id, name in opened:
        text = INTERRUPTED_RUNNING if call_id in started else INTERRUPTED_BEFORE
        message = tool(call_id, text, name=name, is_error=True)
        tokens, tokenizer = count(message) if count else (0, "")
        closings.append(NewEntry.message(message, tokens, tokenizer))
    return closings, tuple(call_id for call_id, _ in opened)


def _open_calls(entries: Sequence[Entry]) -> tuple[list[tuple[str, str]], set[str]]:
    """The calls (id, name) of the last assistant message without a result, and the started ones."""
    answered: list[str] = []
    started: set[str] = set()
    for entry in reversed(entries):
        if entry.kind not in ("message", "tool_state"):
            continue
        body = entry.body
        if entry.kind == "tool_state":
            if body.get("state") == "started":
                started.add(str(body.get("call_id")))
            continue
        parts = _parts(body)
        if body.get("role") == "tool":
            answered += [str(part.get("call_id")) for part in parts]
            continue
        calls = [part for part in parts if part.get("kind") == "tool_call"]
        return _unanswered(calls, answered), started
    return [], started


def _unanswered(calls: Sequence[Mapping[str, Any]], answered: list[str]) -> list[tuple[str, str]]:
    opened = []
    for call in calls:
        call_id = str(call.get("id"))
        if call_id in answered:
            answered.remove(call_id)
        else:
            opened.append((call_id, str(call.get("name"))))
    return opened


def _parts(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    parts = body.get("parts")
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []


def _head_of(good: Sequence[Scanned], row: SessionRow, start: bytes) -> Head:
    counted = [item.row.tokens for item in good if item.row.kind == b"message"]
    active_at = good[-1].row.created_at if good else row.created_at
    seq, digest = (good[-1].row.seq, good[-1].row.hash) if good else (0, start)
    return Head(seq, digest, len(counted), sum(counted), active_at, row.head.writer)


def _to_set_aside(
    session_id: str, row: SessionRow, head: Head, first: Damage | None, entries: int
) -> JournalQuarantined | None:
    if first is not None:
        reason = f"{first.field} {first.what}"
        return JournalQuarantined(session_id, first.seq, entries, reason)
    if head == row.head and "head" not in row.damage():
        return None
    if "head" not in row.damage() and row.head.seq > head.seq:
        reason = f"entries {head.seq + 1} to {row.head.seq} are missing"
    else:
        reason = (
            "the recorded head did not match the entries; it was rebuilt, all entries are intact"
        )
    return JournalQuarantined(session_id, head.seq + 1, entries, reason)


def _set_aside(conn: sqlite3.Connection, session_id: str, journal: Journal, now: float) -> None:
    assert journal.quarantined is not None  # noqa: S101 - for the type checker
    reason = journal.quarantined.reason
    conn.execute(_QUARANTINE, (now, reason, session_id, journal.head.seq))
    conn.execute(
        "DELETE FROM entry WHERE session_id = ? AND seq > ?", (session_id, journal.head.seq)
    )
