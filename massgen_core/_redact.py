"""What must never be shown or logged, and what is shown instead."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

STARS: Final = "**********"
"""Stands where a secret was."""

_SECRET_KEY: Final = re.compile(
    r"(^|[_.])(api_?keys?|access_?key|private_?key|(auth|access|refresh|bearer|id|api)_?tokens?"
    r"|token|secrets?|client_?secret|passw(or)?ds?|passphrase|(proxy_)?authorization"
    r"|credentials?|(set_)?cookies?)$"
)
_KEY_FORMS: Final = re.compile(
    r"\b(sk-[\w-]{16,}|xai-[\w-]{16,}|gsk_\w{16,}|AIza[\w-]{30,}|AKIA[A-Z0-9]{16}"
    r"|gh[pousr]_\w{20,}|hf_\w{20,}|xox[abprs]-[\w-]{10,}|nvapi-[\w-]{16,})"
    r"|(?<=\bBearer )[\w.~+/=-]{16,}"
)
"""Keys of providers, as they look in a text."""
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def looks_secret(key: str) -> bool:
    """Whether a key is named like a secret: ``api_key``, ``X-Auth-Token``; not ``max_tokens``."""
    snake = _CAMEL.sub("_", key).lower().replace("-", "_")
    return _SECRET_KEY.search(snake) is not None


def scrubbed(text: str) -> str:
    """The text with stars in place of what has the form of a provider's key."""
    return _KEY_FORMS.sub(STARS, text)


def is_secret(value: object) -> bool:
    """Whether a value is one of pydantic's secret types; pydantic is not imported to tell."""
    return hasattr(value, "get_secret_value")


def redacted(value: Any, key: str = "") -> Any:
    """The value with stars in place of every secret in it; mappings and lists are copied.

    Args:
        value: Any value.
        key: The key it is under; one that is named like a secret hides the whole value.
    """
    if value is not None and (looks_secret(key) or is_secret(value)):
        return STARS
    if isinstance(value, Mapping):
        return {name: redacted(inner, str(name)) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(inner) for inner in value]
    return value
