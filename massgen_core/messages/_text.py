"""Text that can be sent, and text that can be written down."""

from __future__ import annotations


def without_surrogates(text: str) -> str:
    """The text with U+FFFD for lone surrogates, which no UTF-8 and so no request can hold.

    Two halves of a pair become the character they stand for.
    """
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def with_pairs_joined(text: str) -> str:
    """The text with the character for each pair of surrogates, as JSON reads it; lone ones stay.

    Pieces of a stream that are put together can hold such pairs.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return text
