"""The ``chroma`` memory store."""

from __future__ import annotations

import random
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from massgen_chroma import entries
from massgen_chroma.failures import translating
from massgen_chroma.home import Folder, Home, Server
from massgen_chroma.settings import Settings
from massgen_core.errors import InvalidArgument, StorageError
from massgen_core.logs import logger
from massgen_core.memory import Health, ThreadedStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chromadb.api.models.Collection import Collection

    from massgen_core.memory import Candidate, Change, Scope
    from massgen_core.plugin import PluginContext

FORMAT: Final = "chroma/1"
"""How entries are written; another number makes every index be built anew."""


class ChromaIndex:
    """Puts vectors into a collection, and finds the nearest; its methods block.

    Args:
        home: Where the collection lives.
        identity: What it is built with.
        dimensions: Length of the vectors; None if the first one decides.
    """

    def __init__(self, home: Home, identity: str, dimensions: int | None) -> None:
        self.identity = identity
        self._home = home
        self._dimensions = dimensions
        self._problem = ""
        self._note = ""

    def open(self) -> None:
        """Opens the collection, emptied if it cannot be trusted."""
        with translating(self._home.where):
            problem = self._home.open()
        if problem:
            self._note = f"it was emptied: {problem}"
            logger(__name__).warning("memory index emptied", store="chroma", reason=problem)

    def apply(self, batch: Sequence[Change]) -> None:
        """Writes what became of each record, then the watermark.

        Raises:
            InvalidArgument: Vectors have another length than those before, and no embedder says
                which is right; `health` says so too until the index is rebuilt.
            StorageError: It cannot be written; the watermark is as before.
        """
        with translating(self._home.where):
            state = self._home.state()
            last = {change.record_id: change for change in batch}
            put = list(self._usable(last.values(), state.dimensions))
            kept = {change.record_id for change, _ in put}
            collection = self._home.collection()
            late = self._late(collection, put, state.watermark)
            with self._writing():
                gone = [one for one in last if one not in kept]
                entries.remove(collection, gone, self._home.most)
                entries.put(collection, put, self._home.most)
            skipped = sum(
                one.op == "put" and one.record_id not in kept and one.seq > state.watermark
                for one in last.values()
            )
            after = replace(
                state,
                watermark=max(state.watermark, *(change.seq for change in batch)),
                count=collection.count(),
                dimensions=len(put[0][1]) if put else state.dimensions,
                skipped=max(0, state.skipped + skipped - late),
            )
            self._home.save(after)

    def search(
        self, query: str, vector: Sequence[float] | None, scope: Scope, k: int
    ) -> Sequence[Candidate]:
        """The nearest by cosine; nothing without a vector.

        Raises:
            InvalidArgument: The vector has another length than those of the index.
            StorageError: It cannot be read.
        """
        del query
        wanted = entries.unit(vector)
        if wanted is None:
            return ()
        with translating(self._home.where):
            dimensions = self._home.state().dimensions
            if not dimensions:
                return ()
            if len(wanted) != dimensions:
                raise _wrong_length(len(wanted), dimensions)
            return entries.find(self._home.collection(), wanted, scope, k)

    def watermark(self) -> int:
        """What is applied."""
        with translating(self._home.where):
            return self._home.state().watermark

    def health(self) -> Health:
        """Looks at the place, at the number of entries, and into a few of them."""
        try:
            with translating(self._home.where):
                problem = self._problem or self._home.check() or self._damage()
                detail = self._detail()
        except StorageError as exc:
            problem, detail = exc.message, ""
        return Health(ok=not problem, detail=problem or detail)

    def rebuild(self) -> None:
        """Empties the collection."""
        with translating(self._home.where):
            self._home.restart()
        self._problem = self._note = ""

    def close(self) -> None:
        """Closes the collection."""
        with translating(self._home.where):
            self._home.close()

    def _usable(
        self, changes: Iterable[Change], known: int
    ) -> Iterator[tuple[Change, entries.Vector]]:
        """What is put with a vector that belongs here."""
        right = self._dimensions or known
        for change in changes:
            vector = entries.unit(change.vector) if change.op == "put" else None
            if vector is None:
                continue
            right = right or len(vector)
            if len(vector) == right:
                yield change, vector
            elif self._dimensions is None:
                error = _wrong_length(len(vector), right)
                self._problem = error.message
                raise error

    def _late(
        self, collection: Collection, put: Sequence[tuple[Change, entries.Vector]], known: int
    ) -> int:
        """How many of the changes came before without their vectors."""
        again = [change.record_id for change, _ in put if change.seq <= known]
        return len(again) - entries.held(collection, again, self._home.most)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with ExitStack() as undo:
            undo.callback(self._distrust)
            yield
            undo.pop_all()

    def _distrust(self) -> None:
        if self._home.distrust():
            self._problem = "it could not be written"

    def _damage(self) -> str:
        state, collection = self._home.state(), self._home.collection()
        count = collection.count()
        if not self._home.shared and count != state.count:
            return f"it holds {count} entries, {state.count} were written"
        return entries.sampled(collection, random.randrange(max(1, count)))  # noqa: S311 - a sample

    def _detail(self) -> str:
        skipped = self._home.state().skipped
        said = [self._note] if self._note else []
        if skipped:
            said.append(f"no vectors: {skipped} changes had none and are not indexed")
        return "; ".join(said)


def _wrong_length(found: int, expected: int) -> InvalidArgument:
    return InvalidArgument(
        f"a vector has {found} dimensions, those of the index have {expected}",
        hint="After a change of the embedder the index must be rebuilt.",
    )


def make(settings: Settings | None, ctx: PluginContext) -> ThreadedStore:
    """The store; called by massgen-core. Chroma is loaded when it is first used.

    Raises:
        StorageError: There is no folder it may use, and no server is set.
    """
    settings = settings or Settings()
    embedder = ctx.embedder() if ctx.embedder else None
    identity = f"{FORMAT}/{embedder.identity if embedder else ''}"
    dimensions = (embedder.dimensions or None) if embedder else None
    return ThreadedStore(ChromaIndex(_home(settings, ctx, identity), identity, dimensions))


def _home(settings: Settings, ctx: PluginContext, identity: str) -> Home:
    if settings.host is not None:
        return Server(settings, identity)
    path = settings.path or (ctx.data_dir / "chroma" if ctx.data_dir else None)
    if path is None:
        raise StorageError(
            "the chroma store has no folder to keep its index in",
            hint="Set its `path`, or `host` for a server.",
        )
    return Folder(path.expanduser(), identity, settings.collection)
