"""Bringing in what other programs remember: told apart, read whole, then written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from massgen_core.errors import InvalidArgument, InvalidImport
from massgen_core.memory import _ledger
from massgen_core.memory._foreign import Maker, Piece, parsed
from massgen_core.memory._from_chats import chatgpt, claude, conversations_in, talks_of
from massgen_core.memory._from_massgen import has_massgen, massgen
from massgen_core.memory._from_rows import SQLITE, is_store, langgraph, mem0
from massgen_core.memory._sources import Source, opened

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from massgen_core.memory._record import MemoryRecord
    from massgen_core.memory._scope import Scope

Format: TypeAlias = Literal["massgen", "mem0", "langgraph", "chatgpt", "claude"]
_READERS: Final[Mapping[str, Callable[[Source, Maker], Iterator[Piece]]]] = {
    "massgen": massgen,
    "mem0": mem0,
    "langgraph": langgraph,
    "chatgpt": chatgpt,
    "claude": claude,
}
BATCH: Final = 1_000
"""Memories that are written in one transaction."""


@dataclass(frozen=True, slots=True)
class Brought:
    """What an import from another program did, or would do.

    Attributes:
        format: What it was from.
        found: Memories that were found.
        new: Those that are new.
        changed: Those of them that took the place of another text from the same place.
        same: Those that were there already, in whatever state: what was forgotten stays so.
        skipped: What was left out, by reason.
        dry_run: Whether nothing was written.
    """

    format: str
    found: int = 0
    new: int = 0
    changed: int = 0
    same: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    dry_run: bool = False

    def plus(self, other: Brought) -> Brought:
        """Both together."""
        return replace(
            self,
            new=self.new + other.new,
            changed=self.changed + other.changed,
            same=self.same + other.same,
        )


def pieces_of(
    path: Path,
    format: str | None,  # noqa: A002 - the user's word
    scope: Scope,
) -> tuple[Brought, list[list[Piece]]]:
    """All that is in a file or folder, in portions that are written together.

    Args:
        path: The file, folder or zip archive.
        format: What it is from; told from its content if None.
        scope: Whose it shall be.

    Raises:
        InvalidImport: It is malformed, or nobody can tell what it is.
        UnsafeArchive: It is an archive that must not be unpacked.
    """
    if format is not None and format not in _READERS:
        raise InvalidArgument(
            f"there is no format {format!r}", hint=f"Formats: {', '.join(get_args(Format))}."
        )
    with opened(path) as source:
        if not source.names:
            raise InvalidImport(f"{path} has no files", file=str(path))
        chosen = format or _told_apart(source)
        maker = Maker(chosen, scope)
        pieces = list(_READERS[chosen](source, maker))
    found = Brought(chosen, len(pieces), skipped=maker.skipped)
    return found, list(_portions(pieces))


def bring(
    conn: sqlite3.Connection, pieces: Sequence[Piece], call: _ledger.Call, *, dry_run: bool
) -> tuple[Brought, list[MemoryRecord]]:
    """Write what is not there yet; what says something else at the same place is superseded."""
    there = {one.new.id: _active(conn, one) for one in pieces}
    known = {key for key in there if key is not None and _is_there(conn, key)}
    fresh = [one for one in pieces if one.new.id not in known]
    news = [replace(one.new, supersedes=tuple(there[one.new.id])) for one in fresh]
    counts = Brought(
        "",
        new=len(news),
        changed=sum(bool(one.supersedes) for one in news),
        same=len(pieces) - len(news),
    )
    if dry_run or not news:
        return counts, []
    _, written = _ledger.create(conn, news, call)
    return counts, written


def _portions(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Portions in which no place is twice: what is later supersedes what is there by then."""
    portion: list[Piece] = []
    places: set[str] = set()
    for one in pieces:
        if one.origin in places or len(portion) == BATCH:
            yield portion
            portion, places = [], set()
        portion.append(one)
        places.add(one.origin)
    if portion:
        yield portion


def _active(conn: sqlite3.Connection, piece: Piece) -> list[str]:
    """Ids of the active memories that are from the same place."""
    rows = conn.execute(
        "SELECT id FROM memory_record WHERE id > ? AND id < ? AND state = 'active'",
        (f"{piece.origin}.", f"{piece.origin}/"),
    )
    return [record_id for (record_id,) in rows]


def _is_there(conn: sqlite3.Connection, record_id: str) -> bool:
    query = "SELECT 1 FROM memory_record WHERE id = ?"
    return conn.execute(query, (record_id,)).fetchone() is not None


def _told_apart(source: Source) -> str:
    """The format that the content shows.

    Raises:
        InvalidImport: It shows none.
    """
    talks = conversations_in(source)
    name = talks[0] if talks else source.names[0]
    if not talks and has_massgen(source):
        return "massgen"
    if talks or len(source.names) == 1:
        found = _of_file(source, name)
        if found is not None:
            return found
    raise InvalidImport(
        f"nobody can tell what {source.path} is",
        file=str(source.path),
        hint="Name its format: --from massgen, mem0, langgraph, chatgpt or claude.",
    )


def _of_file(source: Source, name: str) -> str | None:
    data = source.read(name)
    if data.startswith(SQLITE):
        return "langgraph" if is_store(source, name) else None
    lines = data.lstrip().split(b"\n", 1)
    if len(lines) > 1 and lines[0].rstrip().endswith(b"}"):  # JSON lines
        data = lines[0]
    return _of_json(parsed(data.decode("utf-8-sig", "replace"), source, name))


def _of_json(value: object) -> str | None:
    rows = value.get("results", talks_of(value)) if isinstance(value, dict) else value
    row = rows[0] if isinstance(rows, list) and rows else value
    if not isinstance(row, dict):
        return None
    marks = {"chatgpt": {"mapping"}, "claude": {"chat_messages"}, "mem0": {"memory", "id"}}
    stores = ({"namespace", "key", "value"}, {"prefix", "key", "value"})
    found = next((one for one, keys in marks.items() if keys <= row.keys()), None)
    return found or ("langgraph" if any(keys <= row.keys() for keys in stores) else None)
