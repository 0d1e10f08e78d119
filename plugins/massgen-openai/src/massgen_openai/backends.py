"""Makes the backend of a provider; an attribute for each row of `massgen_openai.providers`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from massgen_openai.backend import OpenAIBackend
from massgen_openai.providers import provider

if TYPE_CHECKING:
    from collections.abc import Callable


def __getattr__(name: str) -> Callable[..., OpenAIBackend]:
    """The factory of the provider with this name: ``factory(settings, ctx)``."""
    try:
        return partial(OpenAIBackend, provider=provider(name))
    except KeyError as exc:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from exc
