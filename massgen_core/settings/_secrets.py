"""What must never be shown, and what is shown instead."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, Secret, SecretBytes, SecretStr
from pydantic_core import to_jsonable_python

from massgen_core._redact import STARS, looks_secret
from massgen_core.settings._tree import Raw

_NAMED: Final = (
    ((Mapping, BaseModel), "a mapping"),
    ((list, tuple, set, frozenset), "a list"),
    ((Secret, SecretStr, SecretBytes), STARS),
    ((Raw,), "text"),
)
_MIN_SCRUBBED: Final = 4  # characters; a shorter text is found in too many innocent words
_MAX_SHOWN: Final = 60  # characters


def redacted(value: Any, key: str | int = "") -> Any:
    """The value as JSON values, with stars in place of every secret in it."""
    if value is not None and isinstance(key, str) and looks_secret(key):
        return STARS
    if isinstance(value, Secret | SecretStr | SecretBytes):
        return STARS
    if isinstance(value, BaseModel):
        return {name: redacted(getattr(value, name), name) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {str(name): redacted(inner, str(name)) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(inner) for inner in value]
    return to_jsonable_python(value, fallback=str, inf_nan_mode="strings")


def given(value: Any) -> str:
    """How a refused value is quoted in an error: containers are only named."""
    for types, shown in _NAMED:
        if isinstance(value, types):
            return shown
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def scrubbed(text: str, secrets: frozenset[str]) -> str:
    """The text with stars in place of any of the secrets."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _MIN_SCRUBBED:
            text = text.replace(secret, STARS).replace(repr(secret)[1:-1], STARS)
    return text
