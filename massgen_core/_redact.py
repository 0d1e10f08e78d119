"""What must never be shown or logged, and what is shown instead."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
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
_SHORTEST: Final = 4  # characters: a shorter secret is found in too many innocent words
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def looks_secret(key: str) -> bool:
    """Whether a key is named like a secret: ``api_key``, ``X-Auth-Token``; not ``max_tokens``."""
    snake = _CAMEL.sub("_", key).lower().replace("-", "_")
    return _SECRET_KEY.search(snake) is not None


def scrubbed(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with stars in place of secrets, and of what has the form of a provider's key."""
    for secret in secrets:
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, STARS)
    return _KEY_FORMS.sub(STARS, text)


def scrub(error: BaseException, secrets: Iterable[str] = ()) -> None:
    """Takes secrets out of a library's exception, and of its causes, before it is chained.

    Texts get stars. What else shows a secret, the parsed body of an answer, is left out.
    """
    known = tuple(secrets)
    found: BaseException | None = error
    while found is not None:
        shown = tuple([_shown(value, known) for value in found.args])
        if shown != found.args:
            found.args = shown
        for name, value in tuple(getattr(found, "__dict__", {}).items()):
            if (clean := _shown(value, known)) is not value:
                setattr(found, name, clean)
        found = found.__cause__ or found.__context__


def _shown(value: Any, secrets: tuple[str, ...]) -> Any:
    text = value if isinstance(value, str) else str(value)
    clean = scrubbed(text, secrets)
    if clean == text:
        return value
    return clean if isinstance(value, str) else None


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
