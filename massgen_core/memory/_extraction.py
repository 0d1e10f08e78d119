"""What is learnt from what was said: extractors propose memories, the core decides.

An extractor is mostly a language model, so nothing it says is taken on trust: each proposal names
the memories it is from, is checked against the ledger, inherits their privacy, their expiry and the
least of their trust, and never deletes or overwrites anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from massgen_core.errors import InvalidArgument
from massgen_core.memory._record import STANDING, MemoryRecord, NewMemory, moment_of
from massgen_core.memory._similar import Words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DERIVED: Final = frozenset({"fact", "preference", "instruction", "summary", "note"})
"""Kinds that may be proposed."""
_LONGEST: Final = 4_000
"""Characters of a proposal; what is longer is a copy rather than a memory."""
_MOST: Final = 50
"""Proposals that are looked at, of one answer."""
_HANDED_DOWN: Final = 0.9
"""Share of its sources' trust that a derived memory has: somebody's words about their words."""
_PINNED_TRUST: Final = 0.5
"""Trust that sources need for a memory that is recalled whatever is asked: what a tool or a web
page said shall not become a standing order."""
_MOST_PINNED: Final = 30
"""Standing memories of one owner that extraction pins: they take room in every recall."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What an extractor would remember.

    Attributes:
        text: One memory, understandable by itself.
        source_ids: Ids of the messages it is from; at least one.
        kind: ``fact``, ``preference``, ``instruction``, ``summary`` or ``note``.
        supersedes: Ids of known memories that are no longer true because of it.
        confidence: From 0 to 1.
        importance: From 0 to 1.
        event_time: When it happened, in seconds since the Unix epoch, if it is about an event.
    """

    text: str
    source_ids: Sequence[str]
    kind: str = "fact"
    supersedes: Sequence[str] = ()
    confidence: float = 0.8
    importance: float = 0.5
    event_time: float | None = None


class Extractor(Protocol):
    '''Proposes memories from messages.

    Examples:
        >>> import asyncio
        >>> from massgen_core.memory import Extractor, MemoryRecord, Proposal, Scope
        >>> class Allergies:
        ...     """Notices who is allergic to something."""
        ...     identity = "allergies/1"
        ...     async def extract(self, messages, known, /):
        ...         return [
        ...             Proposal(text=f"{one.speaker} has an allergy.", source_ids=[one.id])
        ...             for one in messages
        ...             if "allergic" in one.text
        ...         ]
        >>> async def main(extractor: Extractor):
        ...     said = MemoryRecord(id="m", text="I'm allergic.", speaker="Ada", scope=Scope())
        ...     return [one.text for one in await extractor.extract([said], [])]
        >>> asyncio.run(main(Allergies()))
        ['Ada has an allergy.']
    '''

    @property
    def identity(self) -> str:
        """Name and version, ``facts/1``: the `producer` of what comes of its proposals."""
        ...

    async def extract(
        self, messages: Sequence[MemoryRecord], known: Sequence[MemoryRecord], /
    ) -> Sequence[Proposal]:
        """What is worth remembering of `messages`; nothing if nothing is.

        Args:
            messages: In the order they were said, of one scope.
            known: Memories of the same owner that may be about the same.
        """
        ...


class Asks(Protocol):
    """Asks a language model something: instructions and a text in, its answer out."""

    async def __call__(self, instructions: str, text: str, /) -> str:
        """The answer as the model gave it."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of proposals.

    Attributes:
        news: Memories to be remembered.
        refused: Why others are not, for a person; what is known already is not among them.
    """

    news: tuple[NewMemory, ...]
    refused: tuple[str, ...] = ()


class _Refused(Exception):
    """A proposal is not taken; its argument says why."""


def judged(
    proposals: Sequence[object],
    sources: Mapping[str, MemoryRecord],
    existing: Iterable[MemoryRecord],
    *,
    producer: str,
    now: float,
) -> Verdict:
    """What of the proposals is to be remembered.

    Args:
        proposals: As an extractor gave them: they may be anything.
        sources: The messages it was shown, as the ledger has them now, by id.
        existing: Active derived memories of their owner.
        producer: Who proposes.
        now: Seconds since the Unix epoch.
    """
    known = {one.id: one for one in existing}
    news: list[NewMemory] = []
    refused = [f"{len(proposals) - _MOST} proposals too many"] if len(proposals) > _MOST else []
    texts: list[tuple[Words, NewMemory]] = [(Words.of(one.text), one) for one in known.values()]
    pins = _MOST_PINNED - sum(one.pinned and one.kind in STANDING for one in known.values())
    for proposal in proposals[:_MOST]:
        try:
            new, remarks = _accepted(proposal, sources, known, producer, now)
        except _Refused as reason:
            refused.append(str(reason))
            continue
        refused += remarks
        fresh = _new_to(new, texts)
        if fresh is not None:
            fresh = replace(fresh, pinned=fresh.pinned and pins > 0)
            pins -= fresh.pinned
            texts.append((Words.of(fresh.text), fresh))
            news.append(fresh)
    return Verdict(tuple(news), tuple(refused))


def _new_to(new: NewMemory, texts: Iterable[tuple[Words, NewMemory]]) -> NewMemory | None:
    """The memory, if it says something that is not known; it may only put an end to another."""
    words = Words.of(new.text)
    alike = [
        one
        for text, one in texts
        if one.trust >= new.trust
        and (one.kind, one.event_time) == (new.kind, new.event_time)
        and words.within(text)
    ]
    if not alike:
        return new
    ids = {one.id for one in alike if one.id is not None}
    if len(ids) < len(alike) or ids.issuperset(new.supersedes):
        return None
    return replace(new, supersedes=(*new.supersedes, *sorted(ids - set(new.supersedes))))


def _accepted(
    proposal: object,
    sources: Mapping[str, MemoryRecord],
    known: Mapping[str, MemoryRecord],
    producer: str,
    now: float,
) -> tuple[NewMemory, list[str]]:
    """What becomes of a proposal, and what of it was left out.

    Raises:
        _Refused: Nothing.
    """
    if not isinstance(proposal, Proposal):
        raise _Refused(f"{type(proposal).__name__} is no Proposal")
    said = _sources(proposal, sources)
    kind = proposal.kind
    if not any(kind == each for each in DERIVED):  # it may be anything, and need not hash
        raise _Refused(f"{kind!r} is no kind that is derived")
    trust = min(one.trust for one in said)
    confidence = _share("confidence", proposal.confidence)
    since = min(now, max(one.happened_at for one in said))
    supersedes, until, remarks = _superseding(proposal, known, trust, since)
    owner, private = _privacy(said)
    ends = [one.expires_at for one in said if one.expires_at is not None]
    new = NewMemory(
        text=_text(proposal.text),
        scope=said[0].scope.lasting,
        kind=kind,
        event_time=_time(proposal.event_time),
        valid_from=None if kind == "summary" else since,
        valid_to=until,
        expires_at=min(ends, default=None),
        importance=_share("importance", proposal.importance),
        confidence=confidence,
        trust=_HANDED_DOWN * trust,
        pinned=kind in STANDING and min(trust, confidence) >= _PINNED_TRUST,
        source_ids=tuple(one.id for one in said),
        supersedes=supersedes,
        producer=producer,
        owner=owner,
        visibility="private" if private else "scope",
    )
    return new, remarks


def _sources(proposal: Proposal, sources: Mapping[str, MemoryRecord]) -> list[MemoryRecord]:
    ids = _ids("source_ids", proposal.source_ids)
    if not ids:
        raise _Refused("it names no message that it is from")
    if unknown := [one for one in ids if one not in sources]:
        raise _Refused(f"{unknown[0]!r} is no message that was shown")
    said = [sources[one] for one in ids]
    if any(one.state != "active" for one in said):
        raise _Refused("a message that it is from is no longer there")
    return said


def _superseding(
    proposal: Proposal, known: Mapping[str, MemoryRecord], trust: float, since: float
) -> tuple[tuple[str, ...], float | None, list[str]]:
    """What it may put an end to; when it ended itself, if the other is newer; and remarks."""
    ends: list[str] = []
    until: float | None = None
    remarks: list[str] = []
    for each in _ids("supersedes", proposal.supersedes):
        old = known.get(each)
        if old is None:
            remarks.append(f"{each!r} cannot be superseded: it is no known memory")
        elif old.trust > trust:
            remarks.append(f"{each!r} cannot be superseded: its source is trusted more")
        elif (began := old.recorded_at if old.valid_from is None else old.valid_from) > since:
            until = began if until is None else min(until, began)
        else:
            ends.append(each)
    return tuple(ends), until, remarks


def _privacy(said: Sequence[MemoryRecord]) -> tuple[str, bool]:
    """Whose it is, and whether it is private: as soon as one of its sources is."""
    private = {one.owner for one in said if one.visibility == "private"}
    if len(private) > 1:
        raise _Refused("it mixes what is private to several")
    owners = private or {one.owner for one in said}
    return (min(owners) if len(owners) == 1 else ""), bool(private)


def _ids(name: str, given: object) -> list[str]:
    if not isinstance(given, (list, tuple)) or not all(isinstance(one, str) for one in given):
        raise _Refused(f"{name} is no list of ids")
    return list(dict.fromkeys(given))


def _text(given: object) -> str:
    text = given.strip() if isinstance(given, str) else ""
    if not text:
        raise _Refused("its text is empty")
    if len(text) > _LONGEST:
        raise _Refused(f"its text has {len(text)} characters, at most {_LONGEST} are taken")
    return text


def _share(name: str, given: object) -> float:
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 <= given <= 1:
        raise _Refused(f"{name} is {given!r}, expected a number from 0 to 1")
    return float(given)


def _time(given: object) -> float | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise _Refused(f"event_time is {given!r}, expected seconds")
    try:
        return moment_of(given, "event_time")
    except InvalidArgument as exc:
        raise _Refused(exc.message) from exc
