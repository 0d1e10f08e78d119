"""What MassGen keeps: the turns of its sessions, and the memories its agents write as Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from massgen_core.errors import InvalidArgument, InvalidImport
from massgen_core.memory._foreign import field, malformed, moment, parsed, without

if TYPE_CHECKING:
    from collections.abc import Iterator

    from massgen_core.memory._foreign import Maker, Piece
    from massgen_core.memory._sources import Source

_TURN: Final = re.compile(r"(?:(?P<folder>.*)/)?turn_(?P<turn>\d{1,9})/metadata\.json")
_NOTE: Final = re.compile(r"(?:(?P<folder>.*)/)?(?P<tier>short_term|long_term)/[^/]+\.md")
_TIERS: Final = ("short_term", "long_term")
_FOLDERS: Final = ("memory", *_TIERS)
"""Folders whose Markdown files are memories, the imported folder itself among them."""
_ARCHIVED: Final = re.compile(r"(?P<agent>.+)_answer_(?P<answer>\d{1,9})")
_FRONT: Final = re.compile(
    r"---[ \t]*\r?\n(?P<front>.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE
)


def has_massgen(source: Source) -> bool:
    """Whether there is something of MassGen in it."""
    if source.path.is_file() and len(source.names) == 1 and source.names[0].endswith(".md"):
        return True
    return any(_TURN.fullmatch(name) or _place_of(source, name) for name in source.names)


def massgen(source: Source, maker: Maker) -> Iterator[Piece]:
    """Sessions below the folder, and Markdown memories, archived ones too.

    The folder may be ``.massgen``, its ``sessions``, one session, or an agent's workspace. Of an
    archived memory the version of the latest answer takes the place of those before. Of a folder
    that is none of these, the Markdown files that lie directly in it are taken.

    Raises:
        InvalidImport: Something is malformed; it names the file.
    """
    plain = source.names == [source.path.name] or not has_massgen(source)
    for name in sorted(source.names, key=_order):
        try:
            if turn := _TURN.fullmatch(name):
                yield from _turn(source, name, turn, maker)
            elif place := _place_of(source, name, plain=plain):
                piece = _note(source.text(name), name, place, maker)
                if piece is not None:
                    yield piece
        except InvalidImport:
            raise
        except InvalidArgument as exc:
            raise malformed(source, name, "", exc.message) from exc


def _place_of(source: Source, name: str, *, plain: bool = False) -> tuple[str, str] | None:
    """Folder and tier of a memory; None if the file is none.

    Args:
        source: Where it is.
        name: The file.
        plain: Whether Markdown files at the top are memories wherever that is, and a single file
            whatever its name.
    """
    if found := _NOTE.fullmatch(name):
        return found["folder"] or "", found["tier"]
    folder, _, file = name.rpartition("/")
    if plain and not folder and (file.endswith(".md") or source.path.name == file):
        return "", ""
    parent = (folder or source.path.resolve().name).rpartition("/")[2]
    if not file.endswith(".md") or parent not in _FOLDERS:
        return None
    return folder, parent if parent in _TIERS else ""


def _order(name: str) -> tuple[object, ...]:
    """Numbers in names count as numbers, so that turn 10 comes after turn 9."""
    pieces = re.split(r"(\d{1,9})", name)
    return tuple((int(one), "") if one.isdecimal() else (-1, one) for one in pieces)


def _turn(source: Source, name: str, found: re.Match[str], maker: Maker) -> Iterator[Piece]:
    about = parsed(source.text(name), source, name)
    if not isinstance(about, dict):
        raise InvalidArgument("it is no JSON object")
    folder = (found["folder"] or source.path.resolve().name).rpartition("/")[2]
    session, turn = about.get("session_id") or folder, int(found["turn"])
    when = moment(about.get("timestamp"))
    for speaker, text in _said(source, name, about):
        user = speaker == "user"
        piece = maker.piece(
            (session, turn, speaker),
            text,
            {"session": session, "turn": turn, **without(about, "task")},
            {"session": session},
            speaker=speaker,
            turn_no=2 * turn + (not user),
            event_time=when,
            trust=1.0 if user else 0.8,
        )
        if piece is not None:
            yield piece


def _said(source: Source, name: str, about: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Who said what in a turn: the task, then the answer, or those that a stop left unfinished."""
    yield "user", field(about, "task", str)
    folder = name.removesuffix("metadata.json")
    answer, partial = f"{folder}answer.txt", f"{folder}partial_answers.json"
    if answer in source.names:
        yield str(about.get("winning_agent") or "assistant"), source.text(answer)
    elif partial in source.names:
        answers = parsed(source.text(partial), source, partial)
        if not isinstance(answers, dict):
            raise malformed(source, partial, "", "it is no JSON object")
        yield from ((agent, one) for agent, one in answers.items() if isinstance(one, str))


def _note(text: str, name: str, place: tuple[str, str], maker: Maker) -> Piece | None:
    front, body = _front(text)
    folder, tier = place
    parts = folder.split("/")
    archived = _ARCHIVED.fullmatch(parts[-1])
    agent = front.get("agent_id") or (archived["agent"] if archived else "")
    title = front.get("name") or name.rpartition("/")[2].removesuffix(".md")
    tier = front.get("tier") or tier
    if archived:
        folder = "/".join(parts[:-1])
    return maker.piece(
        (folder, agent, tier, title),
        body.strip(),
        {"file": name, **without(front), "tier": tier},
        {"agent": agent},
        kind="note",
        speaker=agent,
        event_time=moment(front.get("updated") or front.get("created")),
        tags=[tier] if tier else [],
        trust=0.8,
    )


def _front(text: str) -> tuple[dict[str, str], str]:
    """The lines ``key: value`` between dashes at the beginning, and what comes after them."""
    found = _FRONT.match(text)
    if found is None:
        return {}, text
    pairs = (line.partition(":") for line in found["front"].splitlines() if ":" in line)
    front = {key.strip(): value.strip().strip("\"'") for key, _, value in pairs}
    return front, text[found.end() :]
