"""The Protocol of each kind, and what an object lacks of it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Final, Generic, Protocol

from massgen_core.plugin._imports import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from massgen_core.plugin._provides import Kind

PROTOCOLS: Final[Mapping[Kind, str]] = {
    "backend": "massgen_core.backends:Backend",
    "strategy": "massgen_core.context:TruncationStrategy",
    "memory_store": "massgen_core.memory:MemoryStore",
    "embedder": "massgen_core.memory:Embedder",
    "reranker": "massgen_core.memory:Reranker",
    "query_expander": "massgen_core.memory:QueryExpander",
    "token_counter": "massgen_core.tokens:TokenCounter",
    "tools": "massgen_core.agents:ToolProvider",
}


def missing_members(kind: Kind, made: object) -> tuple[str, ...]:
    """The members of the kind's Protocol that the object lacks, methods with ``()``."""
    protocol = resolve(PROTOCOLS[kind])
    assert isinstance(protocol, type)  # noqa: S101  # our own table
    return tuple(sorted(_missing(protocol, made)))


def _missing(protocol: type, made: object) -> Iterator[str]:
    for name, is_method in _members(protocol).items():
        if is_method and not callable(getattr(made, name, None)):
            yield f"{name}()"
        elif not is_method and not hasattr(made, name):
            yield name


def _members(protocol: type) -> dict[str, bool]:
    """Public members by name, and whether each is a method.

    ``typing.get_protocol_members`` says the same from Python 3.13 on.
    """
    members: dict[str, bool] = {}
    for base in reversed(protocol.__mro__):
        if base in (object, Protocol, Generic):
            continue
        members |= dict.fromkeys(inspect.get_annotations(base), False)
        members |= {name: inspect.isroutine(value) for name, value in vars(base).items()}
    return {name: method for name, method in members.items() if not name.startswith("_")}
