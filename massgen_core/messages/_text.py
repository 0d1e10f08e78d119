"""Text that can be sent."""

from __future__ import annotations


def without_surrogates(text: str) -> str:
    """The text with U+FFFD for lone surrogates, which no UTF-8 and so no request can hold.

    Two halves of a pair become the character they stand for.
    """
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
