"""The embedder ``minilm``: the model in a thread of its own."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from massgen_core.errors import Fatal
from massgen_embed_minilm._files import WEIGHTS_SHA256
from massgen_embed_minilm.settings import MiniLMSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from massgen_core.plugin import PluginContext
    from massgen_embed_minilm._model import Model

_T = TypeVar("_T")

_SORTED: Final = 512
"""Texts that are ordered by length together; further ones wait, so memory does not grow."""


class MiniLM:
    """all-MiniLM-L6-v2 inside the process, 384 dimensions.

    The model is loaded by the first call, in the thread that computes everything; the event loop
    stays free. Calls take turns batch by batch: a query does not wait for a long list of documents.
    Of a text longer than 256 tokens (about 200 words) only the head counts.

    Args:
        settings: CPU threads.
        ctx: What the core gives to plugins; not needed here.
    """

    identity: Final = f"onnx/all-MiniLM-L6-v2-int8/{WEIGHTS_SHA256[:12]}/384/mean"
    dimensions: Final = 384

    def __init__(
        self, settings: MiniLMSettings | None = None, ctx: PluginContext | None = None
    ) -> None:
        del ctx
        self._threads = (settings or MiniLMSettings()).threads
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="minilm")
        self._model: Model | None = None

    async def embed(
        self, texts: Sequence[str], /, *, purpose: Literal["document", "query"]
    ) -> list[list[float]]:
        """A vector of length 1 per text, in order; the model makes no difference by `purpose`.

        Raises:
            PluginBroken: A file of the model is missing or damaged.
            Fatal: The embedder is closed.
        """
        del purpose
        vectors: list[list[float]] = []
        for start in range(0, len(texts), _SORTED):
            vectors += await self._embedded(texts[start : start + _SORTED])
        return vectors

    async def close(self) -> None:
        """Ends the thread after the batch it is at, and lets go of the model."""
        await asyncio.to_thread(self._worker.shutdown)
        self._model = None

    async def _embedded(self, texts: Sequence[str]) -> list[list[float]]:
        from massgen_embed_minilm._model import batches  # noqa: PLC0415 - imports 100 MB

        tokens = await self._run(lambda model: model.tokens(texts))
        vectors: dict[int, list[float]] = {}
        for batch in batches(tokens):
            of = [tokens[position] for position in batch]
            found = await self._run(partial(_vectors, of))
            vectors |= zip(batch, found, strict=True)
        return [vectors[position] for position in range(len(texts))]

    async def _run(self, job: Callable[[Model], _T]) -> _T:
        loop = asyncio.get_running_loop()
        try:
            done = loop.run_in_executor(self._worker, lambda: job(self._loaded()))
        except RuntimeError as exc:  # the worker takes no more jobs
            raise Fatal("the embedder is closed", backend="minilm") from exc
        return await done

    def _loaded(self) -> Model:
        """The model; called by the worker only, so it is loaded once."""
        if self._model is None:
            from massgen_embed_minilm._model import Model  # noqa: PLC0415 - imports 100 MB

            self._model = Model(self._threads)
        return self._model


def _vectors(batch: Sequence[Sequence[int]], model: Model) -> list[list[float]]:
    return model.vectors(batch)
