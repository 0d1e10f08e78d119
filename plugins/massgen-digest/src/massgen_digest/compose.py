"""Writing a digest into its room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from massgen_digest.extract import Spot, words_of

if TYPE_CHECKING:
    from massgen_core.tokens import TokenCounter

QUOTE: Final = "> "
SAID: Final = "The user said:"
FACTS: Final = "Facts:"
DECIDED: Final = "Decided:"
FAILED: Final = "Failed:"
CALLS: Final = "Files and calls:"
EXCERPTS: Final = "Excerpts:"
NAMES: Final = "Names:"
EARLIER: Final = "Earlier summary:"
_HEADINGS: Final = frozenset({SAID, FACTS, DECIDED, FAILED, CALLS, EXCERPTS, EARLIER})

_AROUND: Final = 28
"""Characters kept on each side of an atom."""
_WIDER: Final = 400
"""Characters more on each side, at most, where room is left when every atom has its excerpt."""
_NAMES_FIRST: Final = 16
"""So many atoms are named before one gets an excerpt, which takes the room of several names."""
_NAMES_PER_EXCERPT: Final = 2
"""Of so many atoms, ranked, the first half get excerpts and the other half are named."""
_ENOUGH: Final = 0.985
"""Share of the room that is as good as full."""
_TRIES: Final = 6


@dataclass(frozen=True, slots=True)
class Draft:
    """What a digest could say: whole lines, each kind oldest first, and atoms, best first."""

    said: list[str]
    facts: list[str]
    decided: list[str]
    failed: list[str]
    earlier: list[str]
    spots: Sequence[Spot]

    @property
    def steps(self) -> int:
        """The last step of `text`: nothing is left to say."""
        return _NAMES_FIRST + 2 * len(self.spots) if self.spots else 0

    def text(self, step: int) -> str:
        """All lines, and more of the atoms with each step.

        First names, one by one; then with each step one excerpt, and names further down the
        ranking; at last wider excerpts.
        """
        total = len(self.spots)
        deep = min(total, max(0, step - _NAMES_FIRST))
        wider = _WIDER * max(0, step - _NAMES_FIRST - total) // max(1, total)
        shown = self.spots[: min(step, _NAMES_FIRST) + _NAMES_PER_EXCERPT * deep]
        spans = _spans(self.spots[:deep], _AROUND + wider)
        calls = [f"{span.tool} {span.excerpt}" for span in spans if span.tool]
        excerpts = [span.excerpt for span in spans if not span.tool]
        sections = [
            (SAID, self.said),
            (FACTS, self.facts),
            (DECIDED, self.decided),
            (FAILED, self.failed),
            (CALLS, calls),
            (EXCERPTS, excerpts),
        ]
        text = "\n".join("\n".join([head, *lines]) for head, lines in sections if lines)
        names = _names(shown[deep:], text)  # the others have excerpts
        parts = [text, names, "\n".join([EARLIER, *self.earlier])]
        return "\n".join(part for part in parts[: 3 if self.earlier else 2] if part)


def is_digest(text: str) -> bool:
    """Whether a summary is a digest, not written by another."""
    return text.partition("\n")[0] in _HEADINGS or text.startswith(NAMES)


def written(draft: Draft, room: int, counter: TokenCounter) -> str:
    """As much of the draft as `room` tokens hold; empty if they do not hold its lines.

    Args:
        draft: What there is to say.
        room: Tokens.
        counter: Of the model that reads it.
    """
    best, most = draft.text(0), draft.steps
    low, under = 0, counter.count_text(best).tokens
    if under > room:
        return ""
    high, over = most + 1, 0
    step = min(most, max(1, (room - under) // _AROUND))
    for _ in range(_TRIES):
        if not low < step < high:
            break
        text = draft.text(step)
        used = counter.count_text(text).tokens
        if used > room:
            high, over = step, used
        else:
            low, under, best = step, used, text
            if used > room * _ENOUGH:
                break
        wanted = low + int((high - low) * (room - under) / (over - under)) if over else 2 * step
        step = min(high - 1, max(low + 1, wanted))
    return best


class _Span(NamedTuple):
    text: str
    start: int
    end: int
    tool: str

    @property
    def excerpt(self) -> str:
        return self.text[self.start : self.end].strip()


def _spans(spots: Sequence[Spot], around: int) -> list[_Span]:
    """What stands around the atoms, overlapping spans as one, oldest first."""
    out: list[_Span] = []
    last = None
    for spot in sorted(spots, key=lambda spot: (spot.place, spot.source, spot.start)):
        start, end = max(0, spot.start - around), spot.start + len(spot.name) + around
        source = spot.place, spot.source
        if source == last and start <= out[-1].end:
            out[-1] = out[-1]._replace(end=max(end, out[-1].end))
        else:
            out.append(_Span(spot.text, start, end, spot.tool))
        last = source
    return out


def _names(spots: Sequence[Spot], text: str) -> str:
    """The names that are no words of the text, nor part of a name before them."""
    there, names = words_of(text), ""
    for spot in spots:
        if spot.name not in there and spot.name not in names:
            names += f" {spot.name}"
    return f"{NAMES}{names}" if names else ""
