"""The ``mem0`` memory store."""

from __future__ import annotations

import asyncio
import random
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from massgen_core.errors import InvalidArgument, InvalidSetting, StorageError
from massgen_core.logs import logger
from massgen_core.memory import Health, IndexFolder, ThreadedStore
from massgen_mem0.bridge import Answers, Bridge, Call, Vectors, unit
from massgen_mem0.engine import Engine, damage, failures
from massgen_mem0.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from massgen_core.memory import Candidate, Change, Embedder, Scope
    from massgen_core.plugin import PluginContext

_In = ParamSpec("_In")
_Out = TypeVar("_Out")

FORMAT: Final = "mem0/1"
"""How memories are written; another number makes every index be built anew."""


class Mem0Index:
    """Puts texts, or facts of them, into mem0, and finds the records they are of; it blocks.

    Args:
        folder: Where its files are.
        vectors: What embeds.
        answers: What extracts facts; None keeps texts as they are.
        embedder: What `vectors` uses; None if only given vectors can be indexed.
    """

    def __init__(
        self,
        folder: IndexFolder,
        vectors: Vectors,
        answers: Answers | None,
        embedder: Embedder | None,
    ) -> None:
        self.identity = folder.state.identity
        self._folder = folder
        self._vectors = vectors
        self._answers = answers
        self._embedder = embedder
        self._engine: Engine | None = None
        self._mismatch = ""
        self._note = ""
        self._log = logger(__name__)

    def open(self) -> None:
        """Locked, and emptied if it cannot be trusted."""
        problem = self._folder.open(
            lambda data, state: damage(data, self._home) if state.dimensions else ""
        )
        if problem:
            self._note = f"it was emptied: {problem}"
            self._log.warning("memory index emptied", store="mem0", reason=problem)

    def apply(self, batch: Sequence[Change]) -> None:
        """Stores what became of each record, then the watermark.

        Raises:
            InvalidArgument: A vector has another length than those before; `health` says so too
                until the index is rebuilt.
            StorageError: It cannot be written; the watermark is as before.
        """
        last = {change.record_id: change for change in batch}
        with ExitStack() as undo, failures(self._where):
            undo.callback(self._release)  # what is in memory may not be what is on disk
            skipped = 0
            for change in sorted(last.values(), key=lambda one: one.seq):
                skipped += self._apply(change)
                if self._answers is not None:  # each was paid for
                    self._save(change.seq, skipped)
                    skipped = 0
            self._save(max(change.seq for change in batch), skipped)
            undo.pop_all()

    def search(
        self, query: str, vector: Sequence[float] | None, scope: Scope, k: int
    ) -> Sequence[Candidate]:
        """The best by mem0's score; nothing if there is no vector, and no embedder to make one.

        Raises:
            InvalidArgument: The vector has another length than those of the index.
            StorageError: It cannot be read.
        """
        dimensions = self._folder.state.dimensions
        wanted = unit(vector)
        if not dimensions or (wanted is None and (self._embedder is None or not query.strip())):
            return ()
        if wanted is not None and len(wanted) != dimensions:
            raise _wrong_length(len(wanted), dimensions)
        words = _clean(query).strip() or "?"  # mem0 refuses to search for nothing
        self._vectors.known = {} if wanted is None else {words: wanted}
        with failures(self._where):
            return self._opened(dimensions).search(words, scope, k)

    def watermark(self) -> int:
        """What is applied."""
        return self._folder.state.watermark

    def health(self) -> Health:
        """Looks at the folder, at the number of memories, and for one of them."""
        try:
            with failures(self._where):
                problem = self._mismatch or self._damage()
        except StorageError as exc:
            problem = exc.message
        return Health(ok=not problem, detail=problem or self._detail())

    def rebuild(self) -> None:
        """Empties the index."""
        self._release()
        self._folder.restart(keep=False)
        self._mismatch = self._note = ""

    def close(self) -> None:
        """Closes mem0 and the folder."""
        self._release()
        self._folder.close()

    @property
    def _where(self) -> str:
        return str(self._folder.path)

    @property
    def _home(self) -> Path:
        return self._folder.path / "mem0"

    def _apply(self, change: Change) -> int:
        """How many more changes have no vector: 1, or -1 if this one had none when it came before.

        It may come again, for the sake of vectors; facts would be paid for again.
        """
        state = self._folder.state
        again = change.op == "put" and change.seq <= state.watermark
        if state.dimensions:
            engine = self._opened(state.dimensions)
            if again and change.record_id in engine.ids:
                return 0
            engine.remove(change.record_id)
        text = _clean(change.text)
        if change.op == "remove" or not text.strip():
            return 0
        vector = unit(change.vector)
        if vector is None and self._embedder is None:
            return 0 if again else 1
        self._vectors.known = {} if vector is None else {text: vector}
        dimensions = len(self._vectors.embed(text, "add"))
        if state.dimensions not in (0, dimensions):
            error = _wrong_length(dimensions, state.dimensions)
            self._mismatch = error.message
            raise error
        # Not only once it is saved: mem0's files are of this length from here on.
        self._folder.state = replace(state, dimensions=dimensions)
        self._store(self._opened(dimensions), change, text)
        return -1 if again else 0

    def _store(self, engine: Engine, change: Change, text: str) -> None:
        """Facts if they can be had, else the text, so that no record cannot be found."""
        record, scope = change.record_id, change.scope
        for attempt in range(2 if self._answers is not None else 0):
            try:
                with failures(self._where):
                    made = engine.add(record, scope, text, infer=True)
                reason = "mem0 made nothing of the text"
            except StorageError as exc:
                made, reason = 0, exc.message
            if made:
                return
            self._log.warning("no facts", record=record, attempt=attempt + 1, reason=reason)
        engine.add(record, scope, text, infer=False)

    def _save(self, seq: int, skipped: int) -> None:
        state = self._folder.state
        count = self._engine.count if self._engine is not None else state.count
        after = replace(
            state,
            watermark=max(state.watermark, seq),
            count=count,
            skipped=max(0, state.skipped + skipped),
        )
        self._folder.save(after)

    def _opened(self, dimensions: int) -> Engine:
        if self._engine is None:
            self._engine = Engine(
                self._folder.data, self._home, dimensions, self._vectors, self._answers
            )
        return self._engine

    def _release(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def _damage(self) -> str:
        if not self._folder.intact():
            return "its folder was deleted while it was open"
        state = self._folder.state
        if not state.dimensions:
            return ""
        engine = self._opened(state.dimensions)
        if engine.count != state.count:
            return f"it holds {engine.count} memories, {state.count} were written"
        if engine.ids and engine.lost(random.choice(list(engine.ids))):  # noqa: S311 - a sample
            return "a memory that was written is not there"
        return ""

    def _detail(self) -> str:
        skipped = self._folder.state.skipped
        said = [self._note] if self._note else []
        if skipped:
            said.append(f"no vectors: {skipped} changes had none and are not indexed")
        return "; ".join(said)


class Mem0Store(ThreadedStore):
    """The index in a thread of its own; its questions are answered in the caller's event loop."""

    def __init__(self, index: Mem0Index, bridge: Bridge) -> None:
        super().__init__(index)
        self._bridge = bridge

    async def _run(
        self, call: Callable[_In, _Out], /, *args: _In.args, **kwargs: _In.kwargs
    ) -> _Out:
        served = Call(asyncio.get_running_loop())

        def work() -> _Out:
            self._bridge.call = served
            return call(*args, **kwargs)

        try:
            return await super()._run(work)
        except asyncio.CancelledError:
            served.cancel()
            raise


def _clean(text: str) -> str:
    """The text without what cannot be written as UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _wrong_length(found: int, expected: int) -> InvalidArgument:
    return InvalidArgument(
        f"a vector has {found} dimensions, those of the index have {expected}",
        hint="After a change of the embedder the index must be rebuilt.",
    )


def make(settings: Settings | None, ctx: PluginContext) -> Mem0Store:
    """The store; called by massgen-core. mem0 is loaded when it is first used.

    Raises:
        InvalidSetting: `infer` is on, and there is no embedder or no backend.
        StorageError: There is no folder it may use.
        PluginError: The backend of the settings cannot be used.
    """
    settings = settings or Settings()
    path = settings.path or (ctx.data_dir / "mem0" if ctx.data_dir else None)
    if path is None:
        raise StorageError("the mem0 store has no folder for its files", hint="Set its `path`.")
    bridge = Bridge(settings.timeout)
    embedder = ctx.embedder() if ctx.embedder else None
    answers = _answers(settings, ctx, bridge, embedder) if settings.infer else None
    what = "facts" if settings.infer else "texts"
    identity = f"{FORMAT}/{what}/{embedder.identity if embedder else ''}"
    folder = IndexFolder(path.expanduser(), identity)
    vectors = Vectors(bridge, embedder)
    return Mem0Store(Mem0Index(folder, vectors, answers, embedder), bridge)


def _answers(
    settings: Settings, ctx: PluginContext, bridge: Bridge, embedder: Embedder | None
) -> Answers:
    if ctx.backend is None or embedder is None:
        lacking = "a backend" if ctx.backend is None else "an embedder"
        raise InvalidSetting(
            f"infer needs {lacking}, and there is none",
            path="memory_store.infer",
            hint="Facts are extracted by a model and embedded; without them leave it off.",
        )
    chosen = settings.backend
    section = None if chosen is None else chosen.model_dump(exclude_none=True)
    backend, model = ctx.backend(section)
    return Answers(bridge, backend, model)
