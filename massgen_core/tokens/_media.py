"""What sounds, documents and unknown parts cost: documented rates, else stated upper bounds."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from massgen_core.messages import Audio, File, JSONValue, Unknown
    from massgen_core.tokens._images import ImageFormula

AUDIO_RATE: Final = 32.0
"""Tokens per second: Gemini's rate (ai.google.dev/gemini-api/docs/tokens), the highest known."""
_AUDIO_BYTES: Final = 4_000.0
"""Bytes per second of a compressed sound of unknown length: speech at 32 kbit/s."""
PAGE_TEXT: Final = 3_000
"""Tokens of text on a page of a PDF: the upper end of Anthropic's "1,500 to 3,000 per page"."""
_PAGE_BYTES: Final = 20_000
_PDF_PAGE: Final = re.compile(rb"/Type\s*/Page(?![a-z])")
_PDF_COUNT: Final = re.compile(rb"/Count\s+(\d{1,6})")
_TEXT_TYPES: Final = re.compile(
    r"text/|application/(?:.*\+)?(?:json|xml|yaml|toml|javascript|sql|x-sh)\b"
)
_BLOB: Final = re.compile(r"[A-Za-z0-9+/_=-]{1024,}")


def audio_tokens(audio: Audio) -> int:
    """Tokens of a sound: its seconds, from the part or from the file, at `AUDIO_RATE`."""
    return math.ceil(
        (audio.seconds if audio.seconds > 0 else _seconds(audio.data or b"")) * AUDIO_RATE
    )


def _seconds(data: bytes) -> float:
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return len(data) / max(1, int.from_bytes(data[28:32], "little"))
    return len(data) / _AUDIO_BYTES


def file_tokens(file: File, length: Callable[[str], int], image: ImageFormula) -> int:
    """Tokens of a document: text as text; a PDF by its pages, each its text and its picture.

    A document of another type costs a token per 2 bytes; one we have only the address of, one page.
    """
    page = PAGE_TEXT + image(0, 0, "")
    if not file.data:
        return page
    if file.data.startswith(b"%PDF"):
        return _pages(file.data) * page
    if _TEXT_TYPES.match(file.media_type):
        return length(file.data.decode("utf-8", "replace"))
    return math.ceil(len(file.data) / 2)


def _pages(data: bytes) -> int:
    """Pages by the page objects or the page tree; by size where both lie in object streams."""
    tree = max(map(int, _PDF_COUNT.findall(data)), default=0)
    return max(len(_PDF_PAGE.findall(data)), tree) or math.ceil(len(data) / _PAGE_BYTES)


def unknown_tokens(part: Unknown, length: Callable[[str], int]) -> int:
    """Tokens of a part we do not model: its JSON as text, each embedded file as one page."""
    text = json.dumps({"type": part.name, **part.data}, ensure_ascii=False, default=_plain)
    slim, blobs = _BLOB.subn("", text)
    return length(slim) + blobs * PAGE_TEXT


def _plain(value: object) -> dict[str, JSONValue] | str:
    """What json.dumps does not know: a Mapping that is no dict, or anything else."""
    return dict(value) if isinstance(value, Mapping) else str(value)
