"""Checking everything on disk; damage is reported, never raised."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from massgen_core.sessions._body import references
from massgen_core.sessions._chain import examine_sums, genesis, whole
from massgen_core.sessions._journal import chained, owner, scan
from massgen_core.sessions._model import Problem, VerifyReport
from massgen_core.sessions._table import all_rows, get_row
from massgen_core.storage import BlobDamage, get_refs, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from massgen_core.sessions._journal import Scanned
    from massgen_core.sessions._table import SessionRow


@dataclass(slots=True)
class _Findings:
    problems: list[Problem] = field(default_factory=list)
    sessions: int = 0
    entries: int = 0
    blobs: int = 0

    def add(self, session_id: str, seq: int, name: str, what: str) -> None:
        self.problems.append(Problem(session_id, seq, name, what))

    @contextmanager
    def reading(self, session_id: str, name: str) -> Iterator[None]:
        """Report what SQLite cannot read, and go on with the next thing."""
        try:
            yield
        except (sqlite3.DatabaseError, UnicodeDecodeError) as exc:
            self.add(session_id, 0, name, f"cannot be read: {exc}")


def verify(conn: sqlite3.Connection, session_id: str | None) -> VerifyReport:
    """Check the file's structure, the chains, fields, blobs and references.

    Args:
        conn: Inside a read transaction.
        session_id: Only this session (and the structure); None for all there is.

    Raises:
        SessionNotFound: There is no such session.
    """
    findings = _Findings()
    with findings.reading("", "file"):
        for (line,) in conn.execute("PRAGMA integrity_check(100)"):
            if line != "ok":
                findings.add("", 0, "file", line)
    rows: list[SessionRow] = []
    with findings.reading(session_id or "", "session"):
        rows = all_rows(conn) if session_id is None else [get_row(conn, session_id)]
    for row in rows:
        _verify_session(conn, row, findings)
    if session_id is None:
        _verify_blobs(conn, findings)
        _verify_strays(conn, findings)
    return VerifyReport(
        tuple(findings.problems), findings.sessions, findings.entries, findings.blobs
    )


def _verify_session(conn: sqlite3.Connection, row: SessionRow, findings: _Findings) -> None:
    info = row.info()
    findings.sessions += 1
    for name in info.damage:
        findings.add(info.id, 0, name, "does not match its checksum")
    found: list[Scanned] = []
    with findings.reading(info.id, "entries"):
        for item in chained(scan(conn, info.id), 0, genesis(info.origin)):
            _verify_entry(info.id, item, findings)
            found.append(item._replace(raws={}))
        if "head" not in info.damage:
            _verify_head(info.id, row, found, findings)
    findings.entries += len(found)
    with findings.reading(info.id, "blob_ref"):
        _verify_refs(conn, info.id, found, findings)


def _verify_head(
    session_id: str, row: SessionRow, found: list[Scanned], findings: _Findings
) -> None:
    last = found[-1] if found else None
    seq = last.row.seq if last else 0
    if seq != row.head.seq:
        what = f"is missing: the session has {row.head.seq} entries"
        findings.add(session_id, whole(seq) + 1, "seq", what)
    elif last is not None and last.intact and last.row.hash != row.head.hash:
        findings.add(session_id, 0, "head", "is not the last entry")
    elif all(item.damage is None for item in found):
        counted = [item.row.tokens for item in found if item.row.kind == b"message"]
        if (len(counted), sum(counted)) != (row.head.messages, row.head.tokens):
            findings.add(session_id, 0, "head", "its totals are not those of the entries")


def _verify_entry(session_id: str, item: Scanned, findings: _Findings) -> None:
    damage = item.damage or examine_sums(item.row)
    if damage is not None:
        findings.add(session_id, damage.seq, damage.field, damage.what)


def _verify_refs(
    conn: sqlite3.Connection, session_id: str, found: list[Scanned], findings: _Findings
) -> None:
    refs = get_refs(conn, owner(session_id))
    used = {digest for item in found if item.intact for digest in references(item.row.body)}
    for digest in sorted(used - refs):
        findings.add(session_id, 0, "blob_ref", f"blob {digest.hex()} is used but not referred to")
    (aside,) = conn.execute(
        "SELECT count(*) FROM quarantine WHERE session_id = ?", (session_id,)
    ).fetchone()
    unused = len(refs - used)
    # What was set aside keeps its texts, and a damaged body cannot tell which it uses.
    if unused and not aside and all(item.intact for item in found):
        findings.add(session_id, 0, "blob_ref", f"{unused} references are used by no entry")


def _verify_blobs(conn: sqlite3.Connection, findings: _Findings) -> None:
    with findings.reading("", "blob"):
        for row in conn.execute("SELECT hash, CAST(codec AS BLOB), size, data FROM blob"):
            findings.blobs += 1
            raw = unpack(*row)
            if isinstance(raw, BlobDamage):
                findings.add("", 0, "blob", f"{_shown(row[0])}: {raw.what}")


def _verify_strays(conn: sqlite3.Connection, findings: _Findings) -> None:
    """Rows that belong to nothing."""
    with findings.reading("", "blob_ref"):
        for (digest,) in conn.execute(
            "SELECT hash FROM blob WHERE NOT EXISTS (SELECT 1 FROM blob_ref WHERE blob = blob.id)"
        ):
            findings.add("", 0, "blob_ref", f"nobody refers to blob {_shown(digest)}")
    with findings.reading("", "entry"):
        for name, number in conn.execute(
            "SELECT CAST(session_id AS BLOB), count(*) FROM entry"
            " WHERE session_id NOT IN (SELECT id FROM session) GROUP BY session_id"
        ):
            session_id = name.decode("utf-8", "replace") if isinstance(name, bytes) else repr(name)
            what = f"{number} entries of a session that is not there"
            findings.add(session_id, 0, "session_id", what)


def _shown(digest: object) -> str:
    return digest.hex() if isinstance(digest, bytes) else repr(digest)
