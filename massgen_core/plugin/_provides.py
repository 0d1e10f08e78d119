"""What a plugin declares: names, import strings and words, nothing that needs importing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from massgen_core.clock import Clock

if TYPE_CHECKING:
    # ruff: noqa: TC004 - a plugin's entry is light
    from massgen_core.backends import Backend
    from massgen_core.memory import Embedder
    from massgen_core.messages import JSONValue
    from massgen_core.tokens import ModelCatalogue

PLUGIN_API: Final = 1
ENTRY_POINT_GROUP: Final = "massgen_core.plugins"

Kind: TypeAlias = Literal[
    "backend",
    "strategy",
    "memory_store",
    "embedder",
    "reranker",
    "query_expander",
    "token_counter",
    "tools",
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Provides:
    """One thing a plugin offers, as a hook returns it.

    Attributes:
        name: What settings say to select it: lower-case letters, digits and underscores.
        factory: ``package.module:callable``; imported when it is first used. Called as
            ``factory(settings, ctx)`` with an instance of `settings` (None if there is none) and
            a `PluginContext`; returns an object with the methods of the kind's Protocol.
        settings: ``package.module:Class`` of a pydantic ``BaseModel``; None if it has no settings.
        summary: One line for ``mgc plugins list``.
        capabilities: What it can do beyond the Protocol; the conformance kit checks them.

    Raises:
        ValueError: The name or an import string is malformed.
        TypeError: A field has the wrong type.

    Examples:
        >>> Provides(name="noop", factory="massgen_noop.strategy:Noop").name
        'noop'
    """

    name: str
    factory: str
    settings: str | None = None
    summary: str = ""
    capabilities: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        _check_name(self.name)
        check_import_string("factory", self.factory)
        if self.settings is not None:
            check_import_string("settings", self.settings)
        if not isinstance(self.summary, str):
            raise TypeError(f"summary must be a string, not {self.summary!r}")
        object.__setattr__(self, "capabilities", _capabilities(self.capabilities))


@dataclass(frozen=True, slots=True)
class PluginContext:
    """What a factory may use besides its settings.

    Attributes:
        clock: Time, so that tests can move it.
        data_dir: Folder the plugin may keep files in; None if nothing may be written.
        models: Windows, tokenizers and abilities of models.
        backend: Gives a backend and the model to ask it for; None where there is no application
            that has one. Called with None it gives the agent's own, called with a section of
            settings (``name``, ``model``, the backend's own keys) that one; a section without a
            ``name`` is about the agent's backend. Whoever gave it closes it.
        embedder: Gives the embedder that the settings choose, or None if they choose none; None
            where there is no application. Whoever gave it closes it.
    """

    clock: Clock
    data_dir: Path | None
    models: ModelCatalogue
    backend: Callable[[Mapping[str, JSONValue] | None], tuple[Backend, str]] | None = None
    embedder: Callable[[], Embedder | None] | None = None


@dataclass(frozen=True, slots=True)
class Provided:
    """A `Provides` record with its kind and its owner.

    Attributes:
        kind: The kind of the hook that returned it.
        provides: The record.
        dist: Name of the distribution.
        version: Its version; empty if unknown.
        state: ``active``, ``conflict`` (another distribution claims the name, too) or ``disabled``
            (by ``plugins.deny``, or because ``plugins.prefer`` chose another owner).
        rivals: The other distributions that claim the name.
    """

    kind: Kind
    provides: Provides
    dist: str
    version: str = ""
    state: Literal["active", "conflict", "disabled"] = "active"
    rivals: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The registered name."""
        return self.provides.name


def check_import_string(field: str, value: str) -> None:
    """Nothing, if `value` looks like ``package.module:attribute``; else ValueError or TypeError."""
    if not isinstance(value, str):
        raise TypeError(f"{field} must be an import string, not {value!r}")
    module, colon, attribute = value.partition(":")
    if not (colon and _is_dotted(module) and _is_dotted(attribute)):
        raise ValueError(f"{field} {value!r} is not of the form 'package.module:attribute'")


def _is_dotted(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _check_name(name: str) -> None:
    if not isinstance(name, str):
        raise TypeError(f"name must be a string, not {name!r}")
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"name {name!r} is not usable: up to 64 lower-case letters, digits and underscores, "
            "beginning with a letter"
        )


def _capabilities(value: frozenset[str]) -> frozenset[str]:
    given: object = value
    if isinstance(given, str) or not all(isinstance(item, str) for item in value):
        raise TypeError(f"capabilities must be a set of strings, not {value!r}")
    return frozenset(value)
