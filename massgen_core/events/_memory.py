"""What happens to sessions, and what long-term memory does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias


@dataclass(frozen=True, slots=True)
class SessionResumed:
    """An earlier session goes on.

    Attributes:
        session_id: The session.
        entries: Entries in its journal.
        closed_calls: Ids of tool calls a crash left open; each now has an explicit result.
    """

    kind: ClassVar[str] = "memory.session_resumed"
    session_id: str
    entries: int
    closed_calls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JournalQuarantined:
    """A damaged tail of a journal was set aside; all before it is in use.

    Attributes:
        session_id: The session.
        seq: Sequence number of the first entry set aside.
        entries: How many were.
        reason: What was wrong with the first.
    """

    kind: ClassVar[str] = "memory.journal_quarantined"
    session_id: str
    seq: int
    entries: int
    reason: str


@dataclass(frozen=True, slots=True)
class MemoryRecalled:
    """Long-term memory reminds the agent of something for this turn.

    Attributes:
        records: Ids of the memories, pinned ones first, then best first.
        tokens: Counted size of the reminder.
    """

    kind: ClassVar[str] = "memory.recalled"
    records: tuple[str, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class MemoryDegraded:
    """A plugin of long-term memory could not help, or had to be rebuilt; nothing was lost.

    Attributes:
        name: The index by its registered name, or ``embedder``, ``reranker``, ``query expander``.
        reason: What happened.
    """

    kind: ClassVar[str] = "memory.degraded"
    name: str
    reason: str


MemoryEvent: TypeAlias = SessionResumed | JournalQuarantined | MemoryRecalled | MemoryDegraded
