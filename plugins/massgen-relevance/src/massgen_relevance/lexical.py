"""How well groups match the current need, told by the words and identifiers they share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from massgen_core.context import FitContext, LexicalIndex, View, terms_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from massgen_core.context import Group

RECENT: Final = 3
"""Newest groups that say, beside the newest user message, what is needed now."""
_ASKED: Final = 24
"""Terms of the user message that are looked for, the rarest first."""
_DONE: Final = 12
"""The same of the newest groups."""
_DONE_MATTERS: Final = 0.25
"""How much a term of the newest groups matters beside one of the user message."""
_RARE: Final = (4, 1000)
"""A term may be in a quarter of the groups: what more have tells little. But it may always be in
the first, and never in more than the second number of groups."""
_KEPT: Final = 16
"""Conversations whose index is kept."""


class Scorer(Protocol):
    """Says how well groups match the current need.

    The seam for other measures than shared words; what is given must depend on nothing but the
    arguments.
    """

    def scores(self, view: View, ctx: FitContext) -> Mapping[int, float]:
        """The groups of ``ctx.history`` that match, by number; about 1 for a full match."""
        ...


class LexicalScorer:
    """BM25 over terms; what was indexed in earlier fits of a conversation is not read again."""

    def __init__(self) -> None:
        self._known: list[_Conversation] = []

    def scores(self, view: View, ctx: FitContext) -> Mapping[int, float]:
        """See `Scorer`; O(new groups + groups that share a term with the need)."""
        index = self._index(ctx.history)
        return index.search(_need(index, view, ctx.history))

    def _index(self, history: Sequence[Group]) -> LexicalIndex:
        found = next((one for one in self._known if one.began(history)), None)
        if found is None:
            found = _Conversation()
        else:
            self._known.remove(found)
        self._known = [found, *self._known[: _KEPT - 1]]
        found.follow(history)
        return found.index


class _Conversation:
    """The index of one conversation, which only ever grows at its end."""

    def __init__(self) -> None:
        self.index = LexicalIndex()
        self._seen: list[Group] = []
        self._unsettled: dict[int, Group] = {}

    def began(self, history: Sequence[Group]) -> bool:
        """Whether what was indexed is the beginning of this history; O(1)."""
        seen = self._seen
        if not seen or len(seen) > len(history):
            return False
        return all(seen[n].messages[0] is history[n].messages[0] for n in (0, len(seen) - 1))

    def follow(self, history: Sequence[Group]) -> None:
        """Indexes what is new, and what got an answer since."""
        for number in [n for n, group in self._unsettled.items() if history[n] is not group]:
            self._take(number, history)
        for number in range(len(self._seen), len(history)):
            self._take(number, history)

    def _take(self, number: int, history: Sequence[Group]) -> None:
        group = history[number]
        self.index.add(number, group.text)
        self._seen[number : number + 1] = [group]
        self._unsettled.pop(number, None)
        if number == len(history) - 1 or _may_change(group):
            self._unsettled[number] = group


def _may_change(group: Group) -> bool:
    """Whether a late answer can still take the place of one that was made up."""
    return bool(group.open) or any("synthetic" in message.meta for message in group.messages)


def _need(index: LexicalIndex, view: View, history: Sequence[Group]) -> dict[str, float]:
    """The terms that tell best what is needed now, and how much each matters."""
    done = [group.text for group in history[-RECENT:]]
    need = dict.fromkeys(_telling(index, done, _DONE), _DONE_MATTERS)
    need.update(dict.fromkeys(_telling(index, asked(view), _ASKED), 1.0))
    return need


def asked(view: View) -> list[str]:
    """The newest user message; nothing if there is none."""
    for index in range(len(view) - 1, -1, -1):
        group = view[index]
        if group.role == "user" and "summary" not in group.messages[0].meta:
            return [group.text]
    return []


def _telling(index: LexicalIndex, texts: Iterable[str], most: int) -> list[str]:
    """The rarest terms that more than one group has."""
    common = min(max(_RARE[0], len(index) // 4), _RARE[1])
    terms = {term for text in texts for term in terms_of(text)}
    shared = [term for term in terms if 1 < index.frequency(term) <= common]
    return sorted(shared, key=lambda term: (index.frequency(term), term))[:most]
