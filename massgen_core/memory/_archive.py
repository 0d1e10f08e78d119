"""Archives: the whole log, or that of a scope, as JSON lines that any ledger can take in.

The first line says what it is, the last one has the SHA-256 of all lines before it. Between them
stand the entries of the log in order, and the grants. Vectors and indexes are not in it: they are
made from it again.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from massgen_core.clock import uuid7
from massgen_core.errors import InvalidArgument, LedgerCorrupt
from massgen_core.memory._access import grant, grants
from massgen_core.memory._log import Draft, entries, entries_of, write
from massgen_core.memory._record import LOST, digest_of, record_from, texts_of
from massgen_core.memory._scope import Scope
from massgen_core.memory._table import in_scopes, put
from massgen_core.storage import sync_file, sync_folder

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from massgen_core.memory._ledger import May
    from massgen_core.memory._log import Entry

_FORMAT: Final = "massgen-memory"
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did.

    Attributes:
        new: Memories that were not there before.
        continued: Memories that were there in an older revision, and are now as in the archive.
        same: Memories that were there already, as in the archive or newer.
        conflicts: Ids under which another memory is there; it stayed.
        entries: Log entries that were written.
    """

    new: int = 0
    continued: int = 0
    same: int = 0
    conflicts: tuple[str, ...] = ()
    entries: int = 0


def export_lines(
    conn: sqlite3.Connection, scopes: Sequence[Scope], now: float, may: May
) -> Iterator[str]:
    """The archive of what one of the scopes covers, line by line, without line ends.

    Args:
        conn: The database.
        scopes: What to export.
        now: Seconds since the Unix epoch.
        may: Whether a record may be read.

    Raises:
        LedgerCorrupt: An entry is damaged; `repair` comes first.
    """
    whole = hashlib.sha256()
    count = 0
    for line in _plain_lines(conn, scopes, now, may):
        text = json.dumps(line, sort_keys=True, separators=(",", ":"))
        whole.update(f"{text}\n".encode())
        count += 1
        yield text
    yield json.dumps({"end": {"lines": count, "sha256": whole.hexdigest()}})


def import_lines(conn: sqlite3.Connection, lines: Iterable[str]) -> Imported:
    """Take an archive in; what is there already is not written again, what was forgotten stays so.

    Args:
        conn: Inside a transaction, which an error takes back.
        lines: With or without line ends.

    Raises:
        InvalidArgument: It is no archive.
        LedgerCorrupt: It is torn or altered; the message names the line.
    """
    found: dict[str, list[tuple[int, Draft]]] = defaultdict(list)
    for number, line in _checked(lines):
        if "entry" in line:
            place, draft = _parsed(line["entry"], number)
            found[draft.record_id].append((place, draft))
        elif "grant" in line:
            _grant(conn, line["grant"], number)
    return _merge(conn, found)


def write_lines(target: Path, lines: Iterable[str]) -> int:
    """Write a file, whole or not at all; how many lines."""
    temporary = target.with_name(f"{target.name}.{uuid7()}.tmp")  # others may write it as well
    count = 0
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            for count, line in enumerate(lines, 1):  # noqa: B007 - the count is what is returned
                file.write(f"{line}\n")
        sync_file(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(target.absolute().parent)
    return count


def _plain_lines(
    conn: sqlite3.Connection, scopes: Sequence[Scope], now: float, may: May
) -> Iterator[dict[str, Any]]:
    yield {"format": _FORMAT, "version": _VERSION, "created_at": now}
    ids: dict[int, str] = {}
    for record, damage in in_scopes(conn, scopes):
        if damage is not None:
            ids[damage.number] = damage.record_id
        elif record is not None and may(record):
            ids[record.seq] = record.id
    inside: May = lambda one: may(one) and any(scope.covers(one.scope) for scope in scopes)  # noqa: E731
    for entry in entries(conn):
        if entry.record in ids:
            yield {"entry": _plain(entry, ids[entry.record], inside)}
    if Scope() in scopes:
        for one in grants(conn):
            named, rights = one.scope.named(), list(one.rights)
            yield {"grant": {"principal": one.principal, "scope": named, "rights": rights}}


def _plain(entry: Entry, record_id: str, may: May) -> dict[str, Any]:
    """An entry; without its content if that was forgotten, or is not for who exports."""
    plain: dict[str, Any] = {
        "seq": entry.seq,
        "batch": entry.batch,
        "at": entry.at,
        "actor": entry.actor.decode(),
        "op": entry.op.decode(),
        "id": record_id,
        "rev": entry.rev,
        "digest": entry.digest.hex(),
    }
    if entry.erased:
        return plain
    content = entry.content()
    if isinstance(content, str):
        raise LedgerCorrupt(
            f"log entry {entry.seq} of memory {record_id!r} cannot be exported: {content}",
            record_id=record_id,
            hint="Run `mgc memory repair` first.",
        )
    body, text = content
    record = record_from(body, text, seq=entry.record, rev=entry.rev, digest=entry.digest)
    return {**plain, "body": json.loads(body), "text": text} if may(record) else plain


def _checked(lines: Iterable[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The lines between first and last, each with its number; both of those are checked."""
    whole = hashlib.sha256()
    count = 0
    for number, raw in enumerate(lines, 1):
        text = raw.rstrip("\r\n")
        line = _json(text, number)
        if number == 1:
            _check_head(line)
        elif "end" in line:
            _check_end(line["end"], count, whole.hexdigest(), number)
            return
        else:
            yield number, line
        whole.update(f"{text}\n".encode("utf-8", "surrogatepass"))
        count += 1
    raise LedgerCorrupt(
        f"the archive ends after {count} lines without its checksum",
        hint="It is torn: export it again. Nothing was imported.",
    )


def _json(text: str, number: int) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise _altered(number, "it is no JSON") from exc
    if not isinstance(line, dict):
        raise _altered(number, "it is no JSON object")
    return line


def _check_head(line: dict[str, Any]) -> None:
    if line.get("format") != _FORMAT:
        raise InvalidArgument(
            "this is no memory archive", hint="`mgc memory import --from` names other formats."
        )
    if line.get("version") != _VERSION:
        raise InvalidArgument(
            f"the archive has version {line.get('version')!r}, this program reads {_VERSION}",
            hint="Upgrade massgen-core.",
        )


def _check_end(end: Any, count: int, digest: str, number: int) -> None:
    if end != {"lines": count, "sha256": digest}:
        raise _altered(number, "the lines before do not match their checksum")


def _parsed(plain: dict[str, Any], number: int) -> tuple[int, Draft]:
    """The entry of a line, and its place in the log it is from."""
    try:
        digest = bytes.fromhex(plain["digest"])
        body, text = None, ""
        if "body" in plain:
            body = json.dumps(plain["body"], sort_keys=True, separators=(",", ":"))
            text = plain["text"]
            record_from(body, text, seq=0, rev=plain["rev"], digest=digest)
        draft = Draft(
            *(str(plain["id"]), 0, str(plain["op"]), int(plain["rev"]), body, text, digest),
            *(float(plain["at"]), str(plain["actor"]), int(plain["batch"])),
        )
        place = int(plain["seq"])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as exc:
        raise _altered(number, f"a field is missing or wrong: {exc}") from exc
    if body is not None and digest_of(body, text) != digest:
        raise _altered(number, "it does not match its hash")
    return place, draft


def _grant(conn: sqlite3.Connection, plain: dict[str, Any], number: int) -> None:
    try:
        rights = texts_of("rights", plain["rights"])
        grant(conn, str(plain["principal"]), Scope(**plain["scope"]), rights)
    except (KeyError, TypeError, InvalidArgument) as exc:
        raise _altered(number, f"a field is missing or wrong: {exc}") from exc


def _altered(number: int, what: str) -> LedgerCorrupt:
    return LedgerCorrupt(
        f"line {number} of the archive cannot be used: {what}",
        hint="It is damaged: export it again. Nothing was imported.",
    )


def _merge(conn: sqlite3.Connection, found: Mapping[str, Sequence[tuple[int, Draft]]]) -> Imported:
    missing: list[tuple[int, Draft]] = []
    conflicts: list[str] = []
    counts = {"new": 0, "continued": 0, "same": 0}
    for record_id, theirs in found.items():
        number, known = _ours(conn, record_id)
        offered = [(draft.rev, draft.digest) for _, draft in theirs]
        shared = min(len(known), len(offered))
        if (back := _brought_back(conn, number, known, theirs)) is not None:
            missing.append(back)
            counts["continued"] += 1
            continue
        if known[:shared] != offered[:shared]:
            conflicts.append(record_id)
            continue
        missing += [(place, draft._replace(number=number)) for place, draft in theirs[shared:]]
        counts["same" if shared == len(offered) else "continued" if known else "new"] += 1
    _write(conn, [draft for _, draft in sorted(missing, key=lambda item: item[0])])
    return Imported(**counts, conflicts=tuple(conflicts), entries=len(missing))


def _ours(conn: sqlite3.Connection, record_id: str) -> tuple[int, list[tuple[int, bytes]]]:
    """Number, revisions and hashes of the record that is there; 0 and none if there is none."""
    row = conn.execute("SELECT number FROM memory_record WHERE id = ?", (record_id,)).fetchone()
    if row is None:
        return 0, []
    return row[0], [(entry.rev, entry.digest) for entry in entries_of(conn, row[0])]


def _brought_back(
    conn: sqlite3.Connection,
    number: int,
    known: Sequence[tuple[int, bytes]],
    theirs: Sequence[tuple[int, Draft]],
) -> tuple[int, Draft] | None:
    """The newest revision that is offered of a record that damage took; None if none did."""
    query = "SELECT 1 FROM memory_record WHERE number = ? AND state = 'tombstone' AND kind = ?"
    place, draft = theirs[-1]
    if draft.body is None or conn.execute(query, (number, LOST)).fetchone() is None:
        return None
    return place, draft._replace(number=number, op="repair", rev=known[-1][0] + 1)


def _write(conn: sqlite3.Connection, drafts: Sequence[Draft]) -> None:
    """Append the entries, and let the table say where each record stands."""
    newest = {}
    for draft, entry in zip(drafts, write(conn, drafts), strict=True):
        newest[draft.record_id] = draft, entry
    put(
        conn,
        [
            (
                record_from(
                    *(draft.body, draft.text),
                    seq=entry.record,
                    rev=draft.rev,
                    digest=draft.digest,
                ),
                entry.seq,
            )
            for draft, entry in newest.values()
            if draft.body is not None
        ],
    )
