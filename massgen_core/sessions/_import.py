"""Sessions from JSON lines, checked line by line before anything is written."""

from __future__ import annotations

import asyncio
import hashlib
import json
import struct
from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from massgen_core.errors import InvalidArgument, JournalCorrupt, SchemaTooNew, SessionExists
from massgen_core.sessions._body import BODY_SCHEMA, encode_body
from massgen_core.sessions._chain import Row, genesis, seal
from massgen_core.sessions._export import FORMAT
from massgen_core.sessions._ids import checked_id
from massgen_core.sessions._journal import advanced, insert, owner
from massgen_core.sessions._table import Head, SessionRow, find_row, insert_row, new_row
from massgen_core.storage import put_blobs

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from types import UnionType

# Lines between two chances for other tasks to run.
_BREATH: Final = 200
_FIELDS: Final[dict[str, type | UnionType]] = {
    "id": str,
    "origin": str,
    "parent_id": str | None,
    "parent_seq": int | None,
    "title": str,
    "meta": dict,
    "created_at": int | float,
}


@dataclass(frozen=True, slots=True)
class Parcel:
    """An export that was read and found whole.

    Attributes:
        row: The session.
        rows: Its entries.
        raws: The payloads that they refer to.
    """

    row: SessionRow
    rows: tuple[Row, ...]
    raws: tuple[bytes, ...]


async def parse(lines: AsyncIterable[str] | Iterable[str], *, new_id: str | None) -> Parcel:
    """What the lines hold: every entry checked against its hash, all of them against the trailer.

    Raises:
        InvalidArgument: The first line is no manifest.
        SchemaTooNew: A newer version of this package wrote it.
        JournalCorrupt: A line is torn, missing or altered.
    """
    reader = _Reader(new_id)
    if isinstance(lines, AsyncIterable):
        async for line in lines:
            reader.feed(line)
        return reader.parcel()
    for number, line in enumerate(lines):
        if number % _BREATH == 0:
            await asyncio.sleep(0)
        reader.feed(line)
    return reader.parcel()


def store(conn: sqlite3.Connection, parcel: Parcel) -> SessionRow:
    """Write the parcel; nothing happens if it is there already.

    Raises:
        SessionExists: Another session has its id.
    """
    session_id = parcel.row.id.decode()
    there = find_row(conn, session_id)
    if there is not None:
        if there.head[:2] == parcel.row.head[:2]:
            return there
        raise SessionExists(
            f"there is another session {session_id!r} already",
            session_id=session_id,
            hint="Import it under another id, or delete the one that is there.",
        )
    insert_row(conn, parcel.row)
    put_blobs(conn, owner(session_id), parcel.raws)
    insert(conn, session_id, parcel.rows)
    return parcel.row


class _Reader:
    """Takes the lines one by one; the first line that is wrong raises."""

    def __init__(self, new_id: str | None) -> None:
        self._new_id = new_id
        self._line = 0
        self._digest = hashlib.sha256()
        self._session: dict[str, Any] = {}
        self._salvaged = False
        self._head = Head(0, b"", 0, 0, 0.0, b"")
        self._rows: list[Row] = []
        self._raws: dict[bytes, None] = {}
        self._ended = False

    def feed(self, line: str) -> None:
        line = line.rstrip("\r\n")
        if not line:
            return
        self._line += 1
        if self._line == 1:
            self._begin(line)
        elif self._ended:
            raise self._corrupt("there is text after the end of the export", "line")
        else:
            data = self._parsed(line)
            if "sha256" in data and "seq" not in data:
                self._end(data)
                return
            self._entry(data)
        self._digest.update(f"{line}\n".encode("utf-8", "surrogatepass"))

    def parcel(self) -> Parcel:
        if not self._ended:
            self._line += 1
            raise self._corrupt("the export ends before its checksum: it is torn", "line")
        session = self._session
        parent = session["parent_id"]
        row = new_row(
            self._new_id or session["id"],
            created_at=float(session["created_at"]),
            title=session["title"],
            meta=session["meta"],
            origin=session["origin"],
            parent=None if parent is None else (parent, session["parent_seq"]),
            head=advanced(self._head, self._rows),
        )
        return Parcel(row, tuple(self._rows), tuple(self._raws))

    def _begin(self, line: str) -> None:
        try:
            data = _loads(line)
            newer = data["massgen"] == "session" and data["format"] > FORMAT
            session = data["session"]
            wrong = [name for name, kind in _FIELDS.items() if not isinstance(session[name], kind)]
        except (ValueError, TypeError, KeyError, RecursionError) as exc:
            raise _no_export("this is no exported session") from exc
        if newer:
            raise SchemaTooNew(
                f"line 1: the export has format {data['format']}, this program reads {FORMAT}",
                found=data["format"],
                supported=FORMAT,
                hint="Upgrade massgen-core.",
            )
        if wrong:
            raise _no_export(f"the session's {wrong[0]} is {session[wrong[0]]!r:.40}")
        start = genesis(checked_id(session["origin"]))
        self._head = Head(0, start, 0, 0, float(session["created_at"]), b"")
        self._salvaged = data.get("salvaged") is True
        self._session = session

    def _entry(self, data: dict[str, Any]) -> None:
        last = self._rows[-1] if self._rows else None
        seq, prev = (last.seq, last.hash) if last else (0, self._head.hash)
        row = self._sealed(data, data.get("seq"), data.get("prev"))
        if row.hash.hex() != data.get("hash"):
            raise self._corrupt("the entry does not match its hash", "hash")
        if self._salvaged:
            row = self._sealed(data, seq + 1, prev.hex())
        elif row.seq != seq + 1:
            raise self._corrupt(f"expected entry {seq + 1}, found entry {row.seq}", "seq")
        elif row.prev != prev:
            raise self._corrupt("the entry does not continue the one before it", "prev")
        self._rows.append(row)

    def _sealed(self, data: dict[str, Any], seq: Any, prev: Any) -> Row:
        try:
            if data["schema"] != BODY_SCHEMA:
                raise self._corrupt(f"unknown entry schema {data['schema']!r}", "schema")
            body, raws = encode_body(data["body"])
            self._raws.update(dict.fromkeys(raws))
            return seal(
                seq=seq,
                id=data["id"],
                kind=data["kind"],
                schema=data["schema"],
                created_at=float(data["created_at"]),
                tokens=data["tokens"],
                tokenizer=data["tokenizer"],
                body=body,
                prev=bytes.fromhex(prev),
            )
        except (KeyError, TypeError, ValueError, AttributeError, struct.error) as exc:
            raise self._corrupt(f"this is no entry: {type(exc).__name__}: {exc}", "line") from exc

    def _end(self, data: dict[str, Any]) -> None:
        if data.get("entries") != len(self._rows):
            raise self._corrupt(
                f"the export has {len(self._rows)} of {data.get('entries')} entries", "line"
            )
        if data["sha256"] != self._digest.hexdigest():
            raise self._corrupt("the lines before do not match this checksum", "sha256")
        self._ended = True

    def _parsed(self, line: str) -> dict[str, Any]:
        try:
            data = _loads(line)
        except (ValueError, RecursionError) as exc:
            raise self._corrupt(
                f"this is no JSON, the file is torn or altered: {exc}", "line"
            ) from exc
        if not isinstance(data, dict):
            raise self._corrupt("this is no entry", "line")
        return data

    def _corrupt(self, what: str, field: str) -> JournalCorrupt:
        return JournalCorrupt(
            f"line {self._line}: {what}",
            session_id=str(self._session.get("id", "")),
            seq=len(self._rows) + 1,
            field=field,
            hint="Export the session again; nothing was imported.",
        )


def _loads(line: str) -> Any:
    return json.loads(line, parse_constant=_refuse)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _no_export(what: str) -> InvalidArgument:
    return InvalidArgument(f"line 1: {what}", hint="Expected what `mgc session export` writes.")
