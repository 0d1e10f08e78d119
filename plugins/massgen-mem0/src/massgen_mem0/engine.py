"""mem0 itself, with its default store in a folder: what is asked of it, and what it must not do."""

from __future__ import annotations

import hashlib
import importlib.util
import math
import os
import sqlite3
import sys
import zlib
from contextlib import closing, contextmanager
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from massgen_core.errors import MassgenError, StorageError, StorageFull
from massgen_core.memory import Candidate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from massgen_core.memory import Scope
    from massgen_mem0.bridge import Answers, Vectors

_COLLECTION: Final = "massgen"
_EVERYTHING: Final = {"run_id": _COLLECTION}
"""mem0 searches only within a user, an agent or a run: all of ours are of one run."""
_FIELDS: Final = ("tenant", "team", "user", "agent", "session", "run")
_PER_RECORD: Final = 5
"""Facts that are looked through for one record, so that `k` records can be found."""
_PAGE: Final = 1000
_FULL: Final = ("disk is full", "no space left", "file too large", "disk i/o error")


class Engine:
    """An open mem0; every method blocks, and may be called from one thread only.

    Args:
        folder: Where its files are.
        home: Where mem0 may write what it writes when it is imported.
        dimensions: Length of the vectors.
        vectors: What embeds.
        answers: What extracts facts; None if nothing does.
    """

    def __init__(
        self, folder: Path, home: Path, dimensions: int, vectors: Vectors, answers: Answers | None
    ) -> None:
        self.dimensions = dimensions
        self._vectors = vectors
        self._memory = _opened(folder, home, dimensions)
        self._memory.embedding_model = vectors
        self._memory.llm = answers
        self.ids = dict(self._stored())

    @property
    def count(self) -> int:
        """How many memories it holds."""
        counted = self._client.count(_COLLECTION, exact=True)
        return int(counted.count)

    def add(self, record: str, scope: Scope, text: str, *, infer: bool) -> int:
        """How many memories mem0 made of the text; each is known as one of the record's."""
        made = self._memory.add(
            text,
            user_id="/".join(map(_escaped, scope.values())),
            run_id=_COLLECTION,
            metadata=_metadata(record, scope),
            infer=infer,
        )
        ids = [str(one["id"]) for one in made["results"]]
        self.ids.setdefault(record, []).extend(ids)
        return len(ids)

    def remove(self, record: str) -> None:
        """Deletes all memories of a record, and what mem0 remembers of having had them."""
        ids = self.ids.pop(record, ())
        if not ids:
            return
        for name in ids:
            self._memory.delete(name)
        self._memory.db.reset()
        self._memory.db.close()
        self._memory.db = type(self._memory.db)(":memory:")

    def search(self, query: str, scope: Scope, k: int) -> list[Candidate]:
        """The best records of the scope, each with the score of its best memory."""
        wanted = zip(_FIELDS, scope.values(), strict=True)
        filters = {f"scope_{name}": _escaped(value) for name, value in wanted if value}
        facts = self.count > len(self.ids)
        found = self._memory.search(
            query,
            filters=_EVERYTHING | filters,
            top_k=k * _PER_RECORD if facts else k,
            threshold=0.0,
        )
        best: dict[str, float] = {}
        for hit in found["results"]:
            record, score = hit["metadata"]["record_id"], float(hit["score"])
            if record in self.ids:
                best[record] = max(best.get(record, -math.inf), score)
        ranked = sorted(best.items(), key=lambda one: (-one[1], one[0]))
        return [Candidate(record, score) for record, score in ranked[:k]]

    def lost(self, record: str) -> bool:
        """Whether a memory of the record is no longer there."""
        ids = self.ids[record]
        return len(self._client.retrieve(_COLLECTION, ids)) != len(ids)

    def close(self) -> None:
        """Closes its files."""
        self._memory.close()
        self._client.close()

    @property
    def _client(self) -> Any:
        return self._memory.vector_store.client

    def _stored(self) -> Iterator[tuple[str, list[str]]]:
        """The memories of each record."""
        found: dict[str, list[str]] = {}
        page = None
        while True:
            points, page = self._client.scroll(_COLLECTION, limit=_PAGE, offset=page)
            for point in points:
                found.setdefault(point.payload["record_id"], []).append(str(point.id))
            if page is None:
                return iter(found.items())


def damage(folder: Path, home: Path) -> str:
    """What is wrong with files that were not closed; nothing if nothing is.

    Every memory is read, and compared with the checksums in it.
    """
    files = sorted(folder.rglob("storage.sqlite"))
    if not files:
        return "its files are gone"
    try:
        with failures(str(folder)):
            return next(filter(None, (_damage_of(file, home) for file in files)), "")
    except StorageError as exc:
        return exc.message


def _damage_of(file: Path, home: Path) -> str:
    with closing(sqlite3.connect(file)) as connection:
        said = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if said != ("ok",):
        return f"storage.sqlite: {said[0]}"
    if file.parent.name != _COLLECTION:
        return ""
    imported(home)
    from qdrant_client.local.persistence import CollectionPersistence  # noqa: PLC0415  # heavy

    with closing(CollectionPersistence(str(file.parent))) as stored:
        wrong = next((point.id for point in stored.load() if not _is_whole(point)), None)
    return "" if wrong is None else f"the memory {wrong!r} is not what was written"


def _is_whole(point: Any) -> bool:
    payload = point.payload
    text = hashlib.md5(payload["data"].encode(), usedforsecurity=False).hexdigest()
    scope = [payload[f"scope_{name}"] for name in _FIELDS]
    length = math.sqrt(sum(value * value for value in point.vector[""]))
    return (
        payload["hash"] == text
        and payload["check"] == _check(payload["record_id"], scope)
        and math.isclose(length, 1.0, abs_tol=1e-3)
    )


def _metadata(record: str, scope: Scope) -> dict[str, str | int]:
    values = [_escaped(value) for value in scope.values()]
    fields = {f"scope_{name}": value for name, value in zip(_FIELDS, values, strict=True)}
    return {"record_id": record, **fields, "check": _check(record, values)}


def _check(record: str, scope: list[str]) -> int:
    return zlib.crc32("\0".join([record, *scope]).encode())


def _escaped(value: str) -> str:
    """The same for the same bytes only, and nothing that mem0 trims or takes for a wildcard."""
    return quote(value, safe="")


def imported(home: Path) -> None:
    """Imports mem0 without telemetry, so that it writes into `home` only and downloads nothing.

    What a program has imported before stays as it is.
    """
    if "mem0" not in sys.modules:
        home.mkdir(parents=True, exist_ok=True)
        with _environment(MEM0_DIR=str(home), MEM0_TELEMETRY="False"):
            import mem0  # noqa: F401, PLC0415  # heavy
    from mem0.utils import spacy_models  # noqa: PLC0415  # as above

    if importlib.util.find_spec("en_core_web_sm") is None:
        spacy_models._load_failed_full = True  # noqa: SLF001 - else it downloads the model
        spacy_models._load_failed_lemma = True  # noqa: SLF001 - as above


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _opened(folder: Path, home: Path, dimensions: int) -> Any:
    imported(home)
    from mem0 import Memory  # noqa: PLC0415  # heavy

    unused = {"config": {"api_key": "unused"}}  # both are replaced by ours
    store = {
        "collection_name": _COLLECTION,
        "path": str(folder / "qdrant"),
        "on_disk": True,
        "embedding_model_dims": dimensions,
    }
    config: Mapping[str, object] = {
        "vector_store": {"provider": "qdrant", "config": store},
        "llm": {"provider": "openai", **unused},
        "embedder": {"provider": "openai", **unused},
        "history_db_path": ":memory:",  # the ledger has the history; nothing forgotten stays here
    }
    memory = Memory.from_config(dict(config))
    memory.vector_store._bm25_encoder = False  # noqa: SLF001 - else fastembed downloads a model
    for collection in memory.vector_store.client._client.collections.values():  # noqa: SLF001
        # No setting of Qdrant's: what was forgotten shall not stay in free pages of the file.
        collection.storage.storage.execute("PRAGMA secure_delete = ON")
    return memory


@contextmanager
def failures(where: str) -> Iterator[None]:
    """Raises what mem0 and its store raise as `StorageError`, the original chained."""
    try:
        yield
    except MassgenError:
        raise
    except _raised() as exc:
        text = " ".join(str(exc).split())[:300] or type(exc).__name__
        if any(words in text.lower() for words in _FULL):
            raise StorageFull(
                f"mem0 has no room to write {where!r}: {text}",
                path=where,
                hint="Free disk space; the index catches up from the ledger.",
            ) from exc
        raise StorageError(f"mem0 failed at {where!r}: {text}", path=where) from exc


def _raised() -> tuple[type[Exception], ...]:
    """What mem0, its store and the pickles in it raise; its own errors once it is imported."""
    exceptions = sys.modules.get("mem0.exceptions")
    own = [exceptions.MemoryError] if exceptions else []
    usual = (ArithmeticError, AttributeError, EOFError, ImportError, LookupError, OSError)
    return (*usual, RuntimeError, TypeError, ValueError, sqlite3.Error, UnpicklingError, *own)
