"""Memories that mem0 and LangGraph keep, one row each."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from massgen_core.errors import InvalidArgument
from massgen_core.memory._foreign import field, malformed, moment, parsed, without

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from massgen_core.memory._foreign import Maker, Piece
    from massgen_core.memory._sources import Source

SQLITE: Final = b"SQLite format 3\0"
_SAID: Final = ("content", "text", "memory", "data", "fact", "value")
"""Where a LangGraph value has its text, most likely first; it may be one object deeper."""
_QUERY: Final = "SELECT prefix, key, value, created_at, updated_at FROM store ORDER BY rowid"


def mem0(source: Source, maker: Maker) -> Iterator[Piece]:
    """What ``get_all`` of mem0 gives, as JSON.

    Raises:
        InvalidImport: Something is malformed; it names the place.
    """
    name = source.names[0]
    value = parsed(source.text(name), source, name)
    rows = value.get("results") if isinstance(value, dict) else value
    if not isinstance(rows, list):
        raise malformed(source, name, "", "it has no list of results")
    for number, row in enumerate(rows):
        try:
            piece = _mem0_row(row, maker)
        except InvalidArgument as exc:
            raise malformed(source, name, f"results[{number}]", exc.message) from exc
        if piece is not None:
            yield piece


def _mem0_row(row: object, maker: Maker) -> Piece | None:
    if not isinstance(row, dict):
        raise InvalidArgument("it is no memory")
    whose = {"user": row.get("user_id"), "agent": row.get("agent_id"), "run": row.get("run_id")}
    return maker.piece(
        (field(row, "id", (str, int)),),
        field(row, "memory", str),
        without(row, "memory"),
        whose,
        kind="fact",
        speaker=row.get("actor_id") or row.get("role"),
        event_time=moment(row.get("created_at")),
    )


def langgraph(source: Source, maker: Maker) -> Iterator[Piece]:
    """Rows of a LangGraph store: JSON lines, a JSON array, or the SQLite file of the store.

    Raises:
        InvalidImport: Something is malformed; it names the place.
    """
    name = source.names[0]
    for place, row in _store_rows(source, name):
        try:
            piece = _store_row(row, maker)
        except InvalidArgument as exc:
            raise malformed(source, name, place, exc.message) from exc
        if piece is not None:
            yield piece


def is_store(source: Source, name: str) -> bool:
    """Whether a file is the SQLite file of a LangGraph store."""
    try:
        with closing(_connected(source, name)) as conn:
            conn.execute(_QUERY).fetchone()
    except (sqlite3.Error, UnicodeDecodeError, OSError):
        return False
    return True


def _store_rows(source: Source, name: str) -> Iterator[tuple[str, object]]:
    with_header = source.path.is_file() and source.path.open("rb")
    if with_header:
        with with_header as file:
            is_database = file.read(len(SQLITE)) == SQLITE
        if is_database:
            yield from _database_rows(source, name)
            return
    text = source.text(name)
    if text.lstrip()[:1] == "[":
        rows = parsed(text, source, name)
        yield from ((f"[{number}]", row) for number, row in enumerate(rows))
        return
    for number, line in enumerate(text.split("\n"), 1):  # splitlines() splits in JSON texts
        if line.strip():
            yield f"line {number}", parsed(line, source, name)


def _database_rows(source: Source, name: str) -> Iterator[tuple[str, object]]:
    keys = ("prefix", "key", "value", "created_at", "updated_at")
    try:
        with closing(_connected(source, name)) as conn:
            for number, row in enumerate(conn.execute(_QUERY), 1):
                yield f"row {number}", dict(zip(keys, row, strict=True))
    except (sqlite3.Error, UnicodeDecodeError) as exc:
        raise malformed(source, name, "table store", f"it cannot be read: {exc}") from exc


def _connected(source: Source, name: str) -> sqlite3.Connection:
    conn = sqlite3.connect(f"{source.file(name).resolve().as_uri()}?mode=ro", uri=True)
    conn.execute("PRAGMA trusted_schema = OFF")
    conn.execute("PRAGMA cell_size_check = ON")
    return conn


def _store_row(row: object, maker: Maker) -> Piece | None:
    if not isinstance(row, dict):
        raise InvalidArgument("it is no row of a store")
    key, value = field(row, "key", str), _value(row.get("value"))
    namespace = _namespace(row)
    return maker.piece(
        (*namespace, key),
        _text(value),
        {**without(row, "value", "prefix", "namespace"), "namespace": namespace, "value": value},
        {},
        kind="fact",
        event_time=moment(row.get("created_at")),
    )


def _value(value: object) -> object:
    """The value; databases hold it as JSON text."""
    if isinstance(value, (str, bytes)):
        try:
            return json.loads(value)
        except (ValueError, RecursionError) as exc:
            raise InvalidArgument(f"its value is no JSON: {exc}") from exc
    return value


def _namespace(row: Mapping[str, Any]) -> list[str]:
    given = row.get("namespace", row.get("prefix"))
    parts = given.split(".") if isinstance(given, str) else given
    if not isinstance(parts, list) or not all(isinstance(one, str) for one in parts):
        raise InvalidArgument(f"its namespace is {given!r:.40}")
    return parts


def _text(value: object) -> str:
    """What the value says: its text, where it has one, or all of it as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        found = _first(value, _SAID)
        if isinstance(found, dict):
            found = _first(found, _SAID)
        if isinstance(found, str) and found.strip():
            return found
    return "" if value in (None, {}, []) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _first(value: Mapping[str, Any], names: Sequence[str]) -> object:
    return next((value[name] for name in names if name in value), None)
