"""Cutting a text in its middle, at places where a reader would not mind.

A cut never parts a grapheme cluster (Unicode Annex 29) and never runs through base64; cut JSON
arguments are JSON again.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD_SHARE: Final = 2 / 3
"""Share of the room that goes to the beginning of a text: openings name what follows."""
_GRAPHEME_REACH: Final = 256
"""Characters around a cut that are searched for a grapheme boundary; clusters are far shorter."""
_LINE_REACH: Final = 80
"""Characters around a cut that are searched for a line break."""
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{256,}={0,2}")
"""A run this long without a blank is encoded data, not words."""
_CODE: Final = re.compile(r"[A-Za-z0-9+/=_-]{2}")
_BREAKS: Final = " \n\t\r\"',;:.()[]{}<>\\"


def clip_text(text: str, limit: int, count: Callable[[str], int], handle: str) -> str | None:
    """The beginning and the end of a text around a marker, at most `limit` tokens in all.

    Args:
        text: What to cut; returned as it is if it fits.
        limit: Tokens, marker included.
        count: Counts the tokens of a text.
        handle: Named in the marker, to restore the original.

    Returns:
        The cut text; only the marker where nothing else fits; None where not even that fits.
    """
    size = count(text)
    if size <= limit:
        return text
    marker = _marker(size, handle)
    room = limit - count(marker)
    if room < 0:
        return None
    keep = int(len(text) * room / size)
    while keep > 0:
        head, tail = _ends(text, keep)
        out = f"{text[:head]}{marker}{text[tail:]}"
        used = count(out)
        if used <= limit:
            return out
        keep = min(keep - 1, int(keep * limit / used * 0.97))
    return marker.strip()


def clip_arguments(
    arguments: str, limit: int, count: Callable[[str], int], handle: str
) -> str | None:
    """Call arguments cut to at most `limit` tokens, still a JSON object.

    Long strings inside are cut; where that is not enough, the whole becomes one cut string under
    ``_clipped``. None where not even that fits.
    """
    size = count(arguments)
    if size <= limit:
        return arguments
    parsed = _parse(arguments)
    if parsed is not None:
        share = limit
        while share >= 8:  # noqa: PLR2004 - below that a marker says nothing
            out = json.dumps(_clip_leaves(parsed, share, count, handle), ensure_ascii=False)
            if count(out) <= limit:
                return out
            share //= 2
    share = limit
    while share > 0:
        clipped = clip_text(arguments, share, count, handle)
        out = json.dumps({"_clipped": clipped}, ensure_ascii=False)
        if clipped is not None and count(out) <= limit:
            return out
        share = share * 3 // 4
    smallest = json.dumps({"_clipped": handle})
    return smallest if count(smallest) <= limit else None


def _marker(tokens: int, handle: str) -> str:
    return f"\n[… {tokens} tokens cut to fit; whole text: {handle} …]\n"


def _parse(arguments: str) -> dict[str, Any] | None:
    try:
        parsed = json.loads(arguments)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _clip_leaves(value: Any, limit: int, count: Callable[[str], int], handle: str) -> Any:
    if isinstance(value, str):
        clipped = clip_text(value, limit, count, handle)
        return handle if clipped is None else clipped
    if isinstance(value, dict):
        return {key: _clip_leaves(item, limit, count, handle) for key, item in value.items()}
    if isinstance(value, list):
        return [_clip_leaves(item, limit, count, handle) for item in value]
    return value


def _ends(text: str, keep: int) -> tuple[int, int]:
    """Where the head ends and the tail begins, so that at most about `keep` characters remain."""
    head = safe_cut(text, int(keep * HEAD_SHARE), forward=False)
    tail = safe_cut(text, len(text) - (keep - int(keep * HEAD_SHARE)), forward=True)
    return head, max(head, tail)


def safe_cut(text: str, position: int, *, forward: bool) -> int:
    """The nearest good place to cut, not after `position` (not before it if `forward`)."""
    if position <= 0 or position >= len(text):
        return max(0, min(position, len(text)))
    position = _outside_base64(text, position, forward=forward)
    if forward:
        line = text.find("\n", position, position + _LINE_REACH)
        position = line + 1 if line >= 0 else position
    else:
        line = text.rfind("\n", max(0, position - _LINE_REACH), position)
        position = line if line > 0 else position
    return _grapheme_boundary(text, position, forward=forward)


def _outside_base64(text: str, position: int, *, forward: bool) -> int:
    if not _CODE.fullmatch(text, position - 1, position + 1):
        return position
    start = max(text.rfind(char, 0, position) for char in _BREAKS) + 1
    run = _BASE64.match(text, start)
    if run is None or run.end() <= position:
        return position
    return run.end() if forward else run.start()


def _grapheme_boundary(text: str, position: int, *, forward: bool) -> int:
    around = text[max(0, position - 1) : position + 1]
    if around.isascii():
        return position + (1 if forward else -1) if around == "\r\n" else position
    import regex  # noqa: PLC0415 - a dependency of tiktoken; only texts beyond ASCII need it

    start = position
    while start > max(0, position - _GRAPHEME_REACH) and not text[start - 1].isascii():
        start -= 1
    start = max(0, start - 1)
    end = start
    for match in regex.finditer(r"\X", text[start : position + _GRAPHEME_REACH]):
        if start + match.end() > position:
            return start + match.end() if forward and end != position else end
        end = start + match.end()
    return end
