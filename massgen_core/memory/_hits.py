"""What recall gives back, and what it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from massgen_core.errors import InvalidArgument
from massgen_core.memory._record import MemoryRecord
from massgen_core.memory._scope import Scope


@dataclass(frozen=True, slots=True)
class Hit:
    """A memory that was recalled.

    Attributes:
        record: The memory, as the ledger has it now.
        score: How well it matches: higher is better; comparable within one recall only.
        reasons: The terms of the score by name; they add up to it. ``pinned`` is 0 and says that
            the record is there whatever was asked.
    """

    record: MemoryRecord
    score: float
    reasons: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One question to memory.

    Attributes:
        query: What is asked.
        scopes: Where to look: what one of them covers.
        limit: Memories at most, pinned ones not counted.
        tokens: Tokens that all of them may have together, pinned ones half of them at most; None
            for no limit.
        kinds: Only of these kinds; empty for all.
        exclude: Ids that are not wanted.
        principal: Who asks; None for the program itself.
        now: When, in seconds since the Unix epoch.

    Raises:
        InvalidArgument: The query is no text.
    """

    query: str
    scopes: tuple[Scope, ...]
    limit: int
    tokens: int | None
    kinds: frozenset[str]
    exclude: frozenset[str]
    principal: str | None
    now: float

    def __post_init__(self) -> None:
        if not isinstance(self.query, str):
            raise InvalidArgument(f"query is {self.query!r}, expected text")
