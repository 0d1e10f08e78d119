"""Sessions as JSON lines, complete in themselves."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from typing import TYPE_CHECKING, Final

from massgen_core.sessions._body import decode_body
from massgen_core.sessions._chain import Damage, genesis
from massgen_core.sessions._journal import chained, corrupt, scan
from massgen_core.sessions._salvage import intact_entries
from massgen_core.sessions._table import get_row

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator

    from massgen_core.sessions._journal import Scanned
    from massgen_core.sessions._table import SessionRow
    from massgen_core.storage import Database

FORMAT: Final = 1
"""The version of the JSON lines."""

_BATCH: Final = 500


async def export(database: Database, session_id: str, *, salvage: bool) -> AsyncIterator[str]:
    """The lines of a session, without line ends."""
    row = await database.read(partial(get_row, session_id=session_id))
    digest = hashlib.sha256()
    count = 0
    manifest = _manifest(row, salvage=salvage)
    digest.update(f"{manifest}\n".encode())
    yield manifest
    async for line in _entry_lines(database, session_id, row, salvage=salvage):
        digest.update(f"{line}\n".encode())
        count += 1
        yield line
    yield _dumps({"entries": count, "sha256": digest.hexdigest()})


async def _entry_lines(
    database: Database, session_id: str, row: SessionRow, *, salvage: bool
) -> AsyncIterator[str]:
    if salvage:
        for item in await database.read(partial(intact_entries, session_id=session_id)):
            yield _entry_line(item)
        return
    seq, prev = 0, genesis(row.origin.decode())
    while seq < row.head.seq:
        stop = min(seq + _BATCH, row.head.seq) + 1
        read = partial(_read_batch, session_id=session_id, seq=seq, prev=prev, stop=stop)
        for item in await database.read(read):
            seq, prev = item.row.seq, item.row.hash
            yield _entry_line(item)


def _read_batch(
    conn: sqlite3.Connection, *, session_id: str, seq: int, prev: bytes, stop: int
) -> list[Scanned]:
    items = list(chained(scan(conn, session_id, start=seq + 1, stop=stop), seq, prev))
    damage = next((item.damage for item in items if item.damage is not None), None)
    if damage is None and len(items) < stop - seq - 1:
        damage = Damage(seq + len(items) + 1, "seq", "is missing")
    if damage is not None:
        raise corrupt(session_id, damage)
    return items


def _manifest(row: SessionRow, *, salvage: bool) -> str:
    info = row.info()
    session = {
        "id": info.id,
        "origin": info.origin,
        "parent_id": info.parent_id,
        "parent_seq": info.parent_seq,
        "title": info.title,
        "meta": info.meta,
        "created_at": info.created_at,
    }
    whole = (
        {"salvaged": True} if salvage else {"entries": row.head.seq, "head": row.head.hash.hex()}
    )
    return _dumps({"massgen": "session", "format": FORMAT, "session": session, **whole})


def _entry_line(item: Scanned) -> str:
    row = item.row
    return _dumps(
        {
            "seq": row.seq,
            "id": row.id.decode(),
            "kind": row.kind.decode(),
            "schema": row.schema,
            "created_at": row.created_at,
            "tokens": row.tokens,
            "tokenizer": row.tokenizer.decode(),
            "body": decode_body(row.body, item.raws),
            "prev": row.prev.hex(),
            "hash": row.hash.hex(),
        }
    )


def _dumps(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if not text.isascii():
        for char in "\x85\u2028\u2029":  # ends of lines to `str.splitlines`, not to JSON
            text = text.replace(char, f"\\u{ord(char):04x}")
        try:
            text.encode()
        except UnicodeEncodeError:  # a lone surrogate
            return json.dumps(value, separators=(",", ":"))
    return text
