"""Long-term memory as the settings describe it."""
# ruff: noqa: PLC0415 - few users of an app need memory, which loads sqlite3

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from massgen_core.agents import LongTerm
    from massgen_core.app._app import App
    from massgen_core.memory import Asks, Plugins

_ANSWER_SHARE: Final = 4
"""An extractor's answer has at most 1/4 of its model's window."""


def memory_plugins(app: App, file: Path) -> Plugins:
    """What helps the memory in `file` to find things, and to learn.

    Raises:
        PluginError: An index or the embedder is not installed, or broken.
    """
    from massgen_core.memory import Facts, Plugins
    from massgen_core.storage import indexes_beside

    section, chosen = app.settings.memory, app.settings.memory_store
    own = {} if chosen is None else {chosen.name: chosen.settings}
    context = replace(app.context, data_dir=indexes_beside(file))
    stores = {
        name: app.host.create("memory_store", name, own.get(name), context)
        for name in dict.fromkeys([*section.indexes, *own])
    }
    extractor = Facts(app.asks) if section.extraction.enabled else None
    return Plugins(embedder=app.embedder(), stores=stores, extractor=extractor)


def asks_of(app: App) -> Asks:
    """A way to ask the model of ``memory.extraction``."""
    from massgen_core.longterm import ANSWER, asking

    async def asks(instructions: str, text: str, /) -> str:
        chosen = app.settings.memory.extraction.backend
        section = {} if chosen is None else chosen.model_dump(exclude_none=True)
        backend, model = app.backend_and_model(section)
        window = (await app.info_of(backend, model)).window
        most = min(ANSWER, window // _ANSWER_SHARE)
        return await asking(backend, model, max_output=most)(instructions, text)

    return asks


async def longterm(app: App) -> LongTerm | None:
    """How agents remember; None if the settings do not let them."""
    from massgen_core.agents import LongTerm

    section = app.settings.memory
    if not section.enabled:
        return None
    return LongTerm(
        await app.memory(),
        section.scope.model_dump(exclude_none=True),
        tuple(scope.model_dump(exclude_none=True) for scope in section.also),
        section.retrieval.limit,
        section.retrieval.tokens,
        section.retrieval.exclude_recent,
    )
