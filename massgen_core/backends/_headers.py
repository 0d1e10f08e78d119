"""What a provider says in the headers of a refusal."""

from __future__ import annotations

import email.utils
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Seconds until the provider wants to be asked again; None if it does not say.

    ``retry-after`` in seconds or as a date (RFC 9110, 10.2.3), and the ``retry-after-ms`` that the
    SDKs of OpenAI and Anthropic read before it.

    Args:
        headers: Of the answer; names in lower case, or of a type that does not mind.
        now: Seconds since the Unix epoch.

    Examples:
        >>> retry_after({"retry-after": "2"}, now=0)
        2.0
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if math.isfinite(seconds):  # "inf" is a float, too, and nothing to wait for
            return max(0.0, seconds)
    try:
        date = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    return max(0.0, date.timestamp() - now)
