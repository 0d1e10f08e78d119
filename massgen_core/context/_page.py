"""Reading a long text page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from massgen_core.context._clip import safe_cut

if TYPE_CHECKING:
    from collections.abc import Callable

_DENSE: Final = 8
"""Characters a token has at most in ordinary text: where the search for the end begins."""


def page_end(text: str, start: int, limit: int, count: Callable[[str], int]) -> int:
    """Where the page of at most `limit` tokens that begins at `start` ends.

    It ends where a line does if one ends near, and never within a grapheme cluster; within base64
    only if that is longer than a page. Pages joined are the text. A page has at least one
    character, even if `limit` does not.

    Args:
        text: What is read.
        start: Characters before the page, 0 <= start <= len(text).
        limit: Tokens of the page.
        count: Counts the tokens of a text.
    """
    size = min(len(text) - start, limit * _DENSE)
    while size > 1:
        end = _cut(text, start, start + size)
        used = count(text[start:end])
        if used <= limit:
            return end
        size = min(size - 1, int(size * limit / used * 0.97))
    return min(len(text), start + 1)


def _cut(text: str, start: int, end: int) -> int:
    if end >= len(text):
        return len(text)
    cut = safe_cut(text, end, forward=False)
    return cut if cut > start else end
