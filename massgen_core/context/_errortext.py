"""Telling a summary from the text of an error that came in its place."""

from __future__ import annotations

import re
from typing import Final

_LONGEST: Final = 600
"""Characters: a longer text says more than that something failed."""
_ERROR: Final = re.compile(
    r"""[\W_]*(?:
        (?:(?:an|the|internal|server|api|unknown|unexpected|fatal)\s+)*
            error(?:\s+code)?\W?\s*(?:[:(-]|\d{3}\b|occurred|$)
        | [\w.]*(?:Error|Exception)\s*[:(]
        | traceback\s\(most
        | (?:http(?:/[\d.]+)?\s+)?[45]\d\d\s+(?:bad|unauthori[sz]ed|payment|forbidden|not\sfound
            |request|too\smany|internal|server|service|gateway|client)
        | (?:the\s+)?(?:request|connection|operation)\s+(?:has\s+)?
            (?:failed|timed\sout|was\srefused)
        | (?:rate\slimit|quota)\s+(?:exceeded|reached|hit)
        | (?:i(?:\W?m|\s+am)\s+)?(?:very\s+)?sorry\b
        | i(?:\s+can(?:\W?t|not)|(?:\W?m|\s+am)\s+unable)\b
        | as\s+an?\s+ai\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)
"""How providers' and libraries' errors begin, and refusals of models."""


def is_error_text(text: str) -> bool:
    """Whether the text is that of an error, or of a refusal, and nothing else."""
    return len(text) <= _LONGEST and _ERROR.match(text) is not None
