"""Opening long-term memory with plugins by name.

Examples:
    >>> import asyncio, tempfile
    >>> from massgen_core import open_memory
    >>> async def main(folder):
    ...     async with open_memory(folder) as memory:
    ...         await memory.remember("I am allergic to nuts.", scope={"user": "ada"})
    ...         hits = await memory.recall("Are there nuts in it?", scope={"user": "ada"})
    ...         return [hit.record.text for hit in hits]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     asyncio.run(main(folder))
    ['I am allergic to nuts.']
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from massgen_core.backends import Request
from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.errors import InvalidArgument
from massgen_core.events import TextDelta
from massgen_core.memory import Memory, Plugins, path_of
from massgen_core.messages import system, user
from massgen_core.plugin import PluginContext, PluginHost
from massgen_core.sessions import redact
from massgen_core.storage import Opening, database_path, indexes_beside
from massgen_core.tokens import ModelCatalogue

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from pathlib import Path
    from typing import TypeAlias

    from massgen_core.backends import Backend
    from massgen_core.clock import Clock
    from massgen_core.memory import Asks, Extractor
    from massgen_core.messages import JSONValue
    from massgen_core.plugin import Kind
    from massgen_core.storage import Synchronous

    AskedBackend: TypeAlias = Callable[[Mapping[str, JSONValue] | None], tuple[Backend, str]]

__all__ = ["ANSWER", "asking", "open_memory"]

ANSWER: Final = 4_000
"""Tokens that an extractor's answer may have."""


def open_memory(  # noqa: PLR0913 - each is a decision of its own
    path: str | os.PathLike[str],
    *,
    indexes: Sequence[str] = (),
    embedder: str | None = None,
    reranker: str | None = None,
    expander: str | None = None,
    extractor: Extractor | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    synchronous: Synchronous = "full",
    read_only: bool = False,
    host: PluginHost | None = None,
    clock: Clock = SYSTEM_CLOCK,
    backend: AskedBackend | None = None,
    told: Callable[[str, str], None] = lambda name, reason: None,  # noqa: ARG005
) -> Opening[Memory]:
    """The long-term memory at `path`: await it or enter it.

    Without any plugin it recalls by words and structure. Which plugins are named may change at any
    time: they index what the ledger has, and lose nothing when they go.

    Args:
        path: A database file, or the folder it lies in as ``massgen.db``; created if missing.
        indexes: Registered names of memory stores.
        embedder: Registered name of an embedder.
        reranker: Registered name of a reranker.
        expander: Registered name of a query expander.
        extractor: Proposes facts from messages when `Memory.work` is called, e.g.
            ``Facts(asking(backend, model))``.
        settings: Settings of plugins, by their names; those of plugins that are not named wait.
        synchronous: ``full``: what is acknowledged survives a power cut; ``normal``: the end of
            the process.
        read_only: Whether nothing may change on disk; indexes are left out then.
        host: Knows the plugins; all that are installed if omitted.
        clock: Dates what is remembered.
        backend: Gives plugins that ask a model a backend, as in `PluginContext`.
        told: Is told when a plugin could not help, by its name, and why.

    Raises:
        InvalidArgument: The path is none, a plugin is not named by text, the indexes are by no
            list, or the settings by no names.
        PluginError: A plugin is not installed, or broken.
        SettingsError: Its settings are wrong.
        StorageError: As `Memory.open` says.
    """
    file = database_path(path_of("path", path))
    names = {"embedder": embedder, "reranker": reranker, "query_expander": expander}
    plugins = _plugins(
        host or PluginHost(), _context(file, clock, backend), settings, names, indexes
    )
    return Memory.open(
        file,
        plugins=replace(plugins, extractor=extractor),
        synchronous=synchronous,
        read_only=read_only,
        clock=clock,
        told=told,
        journals=redact,
    )


def _context(file: Path, clock: Clock, backend: AskedBackend | None) -> PluginContext:
    return PluginContext(
        clock=clock,
        data_dir=indexes_beside(file),
        models=ModelCatalogue.shipped(),
        backend=backend,
    )


def _plugins(
    host: PluginHost,
    ctx: PluginContext,
    settings: Mapping[str, Mapping[str, Any]] | None,
    names: Mapping[str, str | None],
    indexes: Sequence[str],
) -> Plugins:
    """The plugins that are named; the embedder first, for others may ask for it."""
    if isinstance(indexes, str) or not isinstance(indexes, Sequence):
        raise InvalidArgument(
            f"indexes is {indexes!r}, expected a list of names", hint='E.g. indexes=["chroma"].'
        )
    own = _settings_of(settings)

    def made(kind: Kind, name: str | None) -> Any:
        if name is not None and not isinstance(name, str):
            raise InvalidArgument(f"{kind} is {name!r}, expected the name of an installed one")
        return None if name is None else host.create(kind, name, dict(own.get(name, {})), ctx)

    vectors = made("embedder", names["embedder"])
    ctx = replace(ctx, embedder=lambda: vectors)
    return Plugins(
        embedder=vectors,
        stores={name: made("memory_store", name) for name in dict.fromkeys(indexes)},
        reranker=made("reranker", names["reranker"]),
        expander=made("query_expander", names["query_expander"]),
    )


def _settings_of(
    settings: Mapping[str, Mapping[str, Any]] | None,
) -> Mapping[str, Mapping[str, Any]]:
    if settings is None:
        return {}
    if not isinstance(settings, Mapping):
        raise InvalidArgument(f"settings is {settings!r}, expected settings by plugin")
    for name, own in settings.items():
        if not isinstance(own, Mapping):
            raise InvalidArgument(f"settings of {name!r} are {own!r}, expected them by name")
    return settings


def asking(backend: Backend, model: str, *, max_output: int = ANSWER) -> Asks:
    """A way to ask a model of a backend, as `Facts` and `Summaries` want it.

    Args:
        backend: Runs the model; it is not closed.
        model: The model's name as the provider knows it.
        max_output: Tokens an answer may have.

    Examples:
        >>> import asyncio
        >>> from massgen_core.longterm import asking
        >>> from massgen_core.testing import ScriptedBackend
        >>> asks = asking(ScriptedBackend(["Bonjour!"]), "scripted")
        >>> asyncio.run(asks("Translate to French.", "Good morning!"))
        'Bonjour!'
    """

    async def asks(instructions: str, text: str, /) -> str:
        messages = (system(instructions), user(text))
        request = Request(model, messages, max_output=max_output, temperature=0)
        async with aclosing(backend.stream(request)) as events:
            return "".join([event.text async for event in events if isinstance(event, TextDelta)])

    return asks
