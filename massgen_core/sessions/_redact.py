"""Taking what was said out of journals for good: the one change of entries that there is.

The entries stay in their places with their ids, and say that they were erased. All entries after
them are chained anew in the same transaction, so that the journal verifies as before. Damage is not
sealed over: what did not match its checksum before does not match it afterwards.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from massgen_core.clock import uuid7
from massgen_core.sessions._body import decode_body, encode_body, name_of, references
from massgen_core.sessions._chain import Row, examine, field_sums, genesis, seal
from massgen_core.sessions._erased import ERASED, Erasing
from massgen_core.sessions._journal import owner, scan
from massgen_core.sessions._table import all_rows, set_head
from massgen_core.storage import blob_hash, drop_refs, put_blobs

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping

    from massgen_core.sessions._journal import Scanned
    from massgen_core.sessions._table import SessionRow

_LEAST: Final = 8
"""Characters from which on a text is looked for in other entries; shorter ones are everywhere."""


class Redacted(NamedTuple):
    """What was taken out.

    Attributes:
        sessions: Ids of the sessions whose journals were changed.
        mentions: Other entries of these that say the same word for word, as ``SESSION#ENTRY``.
    """

    sessions: tuple[str, ...] = ()
    mentions: tuple[str, ...] = ()


def redact(
    conn: sqlite3.Connection, texts: Mapping[str, str], /, *, now: float, dry_run: bool = False
) -> Redacted:
    """Take messages out of every journal of the file: each session they are in, forks among them.

    What fits left of them, as clipped copies and in texts that stand for several messages, goes as
    well; so do what an answer that broke off had said, what was set aside as damaged, and a title
    that was made of them. A session that is open for writing has to be opened again, as its writer
    still knows the texts; until then it gets `SessionConflict`.

    Args:
        conn: Inside a transaction.
        texts: What the messages say, by message id; empty where it is not known.
        now: Seconds since the Unix epoch; the entries keep it.
        dry_run: Whether only to say what would change.
    """
    needles = _Needles(texts)
    named = set(needles.sessions(conn))
    if not named:
        return Redacted()
    rows = {row.info().id: row for row in all_rows(conn)}
    journals = [_Journal(conn, rows[one], texts, needles, now) for one in named & rows.keys()]
    changed = {journal.id: journal for journal in journals if journal.changes}
    mentions = [f"{one}#{seq}" for one, journal in changed.items() for seq in journal.mentions()]
    if not dry_run:
        for journal in changed.values():
            journal.redact()
        origins = {rows[one].origin for one in changed}
        for row in rows.values():
            if row.origin in origins:  # a fork has the title of what it is from
                _rename(conn, row, texts)
    return Redacted(tuple(sorted(changed)), tuple(sorted(mentions)))


class _Needles:
    """What the bytes of an entry have in them if it is about one of the messages."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._ids = [each for one in texts for each in (f'"{one}"'.encode(), _blob_name(one))]
        said = [one for one in texts.values() if len(one) >= _LEAST]
        self._said = [
            each
            for one in said
            for each in (json.dumps(one, ensure_ascii=False)[1:-1].encode("utf-8", "replace"),)
        ] + [_blob_name(one) for one in said]

    def sessions(self, conn: sqlite3.Connection) -> Iterator[str]:
        """The sessions whose entries, or what was set aside of them, name a message."""
        for table in ("entry", "quarantine"):
            query = f"SELECT CAST(session_id AS BLOB), CAST(body AS BLOB) FROM {table}"  # noqa: S608 - one of two words
            for session_id, body in conn.execute(query):
                if self.names(body) and isinstance(session_id, bytes):
                    yield session_id.decode("utf-8", "replace")

    def names(self, body: object) -> bool:
        return isinstance(body, bytes) and any(one in body for one in self._ids)

    def says(self, body: object) -> bool:
        return isinstance(body, bytes) and any(one in body for one in self._said)


def _blob_name(text: str) -> bytes:
    return name_of(blob_hash(text.encode("utf-8", "surrogatepass"))).encode()


def _body_of(item: Scanned) -> dict[str, Any]:
    """The body; where a text of it is damaged, with its references as they stand."""
    row = item.row
    return decode_body(row.body, item.raws) if item.intact else json.loads(row.body)


class _Journal:
    """One session, and what is to be done to it."""

    def __init__(
        self,
        conn: sqlite3.Connection,
        row: SessionRow,
        texts: Mapping[str, str],
        needles: _Needles,
        now: float,
    ) -> None:
        self._conn = conn
        self.id = row.info().id
        self._session = row
        self._texts = texts
        self._needles = needles
        self._found = list(scan(conn, self.id))
        self._sound = [item.intact or examine(item.row) is None for item in self._found]
        self._bodies = dict(self._rewritten(now))
        aside = conn.execute(
            "SELECT number, CAST(body AS BLOB) FROM quarantine WHERE session_id = ?", (self.id,)
        )
        self._aside = {number: body for number, body in aside if self._tells(body)}

    @property
    def changes(self) -> bool:
        """Whether something of the messages is in it."""
        damaged = (
            item.row.body for item, ok in zip(self._found, self._sound, strict=True) if not ok
        )
        return bool(self._bodies or self._aside) or any(map(self._tells, damaged))

    def _tells(self, body: object) -> bool:
        return self._needles.names(body) or self._needles.says(body)

    def _rewritten(self, now: float) -> Iterator[tuple[int, dict[str, Any]]]:
        """The bodies of the entries that change, by sequence number."""
        erasing = Erasing(frozenset(self._texts), self._said, now)
        for item, sound in zip(self._found, self._sound, strict=True):
            row = item.row
            if not sound or not (row.kind == b"fit" or self._needles.names(row.body)):
                continue
            new = erasing.body(row.kind.decode(), _body_of(item))
            if new is not None and (item.intact or row.kind == b"message"):
                yield row.seq, new

    def _said(self) -> frozenset[str]:
        """Ids of all messages in it."""
        return frozenset(
            str(json.loads(item.row.body).get("id"))
            for item, sound in zip(self._found, self._sound, strict=True)
            if sound and item.row.kind == b"message"
        )

    def mentions(self) -> list[int]:
        """Entries that stay and say the same."""
        return [
            item.row.seq
            for item in self._found
            if item.intact and item.row.seq not in self._bodies and self._says(item)
        ]

    def _says(self, item: Scanned) -> bool:
        texts = (one for one in self._texts.values() if len(one) >= _LEAST)
        raws = [one.encode("utf-8", "surrogatepass") for one in texts]
        long = any(raw in whole for raw in raws for whole in item.raws.values())
        return long or self._needles.says(item.row.body)

    def redact(self) -> None:
        """Writes down what changes, and chains all entries after it anew."""
        dropped: set[bytes] = set()
        old = new = genesis(self._session.origin.decode())
        spared = 0
        for item, sound in zip(self._found, self._sound, strict=True):
            row = item.row
            if not sound:
                dropped |= self._blank(row)
                sealed = row
            else:
                sealed = self._sealed(row, new if row.prev == old else row.prev)
                dropped.update(references(row.body) if row.seq in self._bodies else ())
                spared += row.tokens - sealed.tokens
            old, new = row.hash, sealed.hash
        blanks = [(number,) for number in self._aside]
        self._conn.executemany("UPDATE quarantine SET body = NULL WHERE number = ?", blanks)
        dropped.update(digest for body in self._aside.values() for digest in references(body))
        self._release(dropped)
        self._move_head(old, new, spared)

    def _sealed(self, row: Row, prev: bytes) -> Row:
        """The row as it is from now on; written if it changed."""
        body, tokens, tokenizer = row.body, row.tokens, row.tokenizer
        if row.seq in self._bodies:
            body, raws = encode_body(self._bodies[row.seq])
            put_blobs(self._conn, owner(self.id), raws)
            if row.kind == b"message":
                tokens, tokenizer = 0, b""  # it is counted when the session is opened
        if (body, prev) == (row.body, row.prev):
            return row
        sealed = seal(
            seq=row.seq,
            id=row.id.decode(),
            kind=row.kind.decode(),
            schema=row.schema,
            created_at=row.created_at,
            tokens=tokens,
            tokenizer=tokenizer.decode(),
            body=body,
            prev=prev,
        )
        self._conn.execute(
            "UPDATE entry SET body = CAST(? AS TEXT), tokens = ?, tokenizer = CAST(? AS TEXT), "
            "sums = ?, prev = ?, hash = ? WHERE session_id = ? AND seq = ?",
            (body, tokens, tokenizer, sealed.sums, prev, sealed.hash, self.id, row.seq),
        )
        return sealed

    def _blank(self, row: Row) -> set[bytes]:
        """Empties an entry that is damaged and named a message; it stays damaged."""
        if not self._tells(row.body):
            return set()
        self._conn.execute(
            "UPDATE entry SET body = '{}' WHERE session_id = ? AND seq = ?", (self.id, row.seq)
        )
        return set(references(row.body))

    def _release(self, digests: set[bytes]) -> None:
        """Lets go of the texts among these that nothing of the session needs any more."""
        used: set[bytes] = set()
        for table in ("entry", "quarantine"):
            query = f"SELECT CAST(body AS BLOB) FROM {table} WHERE session_id = ?"  # noqa: S608 - one of two words
            for (body,) in self._conn.execute(query, (self.id,)):
                used.update(references(body))
        drop_refs(self._conn, owner(self.id), digests - used)

    def _move_head(self, old: bytes, new: bytes, spared: int) -> None:
        """The head follows its entry, and nobody may append who read the journal before."""
        head = self._session.head
        if head.checksum() != self._session.head_sum or not self._bodies:
            return  # a damaged one is told and rebuilt when the session is opened
        if head.hash == old:
            head = head._replace(hash=new, tokens=head.tokens - spared)
        set_head(self._conn, self.id, head._replace(writer=uuid7().encode()))


def _rename(conn: sqlite3.Connection, row: SessionRow, texts: Mapping[str, str]) -> None:
    """Takes the title away that was made of one of the texts."""
    info = row.info()
    start = info.title.removesuffix("…").strip()
    mine = start and any(start in " ".join(one.split()) for one in texts.values())
    if not mine or [name for name in row.damage() if name != "head"]:
        return
    sums = field_sums((*row[:4], ERASED.encode(), *row[5:7]))
    conn.execute("UPDATE session SET title = ?, sums = ? WHERE id = ?", (ERASED, sums, info.id))
