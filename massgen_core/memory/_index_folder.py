"""The folder of an index: one process at a time, a state that survives crashes, damage set aside.

::

    FOLDER/
      lock          held while the index is open
      state.json    what is applied; with its own checksum, replaced atomically
      data-3/       the files of the library that keeps the index
      damaged/      the last data folder that could not be trusted

Nothing here is the only copy of anything: what is damaged is set aside, the index starts empty with
watermark 0, and the log is applied again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from massgen_core.errors import StorageBusy, StorageError
from massgen_core.storage import FileLock, translate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

_Stamp: TypeAlias = tuple[int, int, int]
_STATE: Final = "state.json"
_DAMAGED: Final = "damaged"


@dataclass(frozen=True, slots=True)
class IndexState:
    """What is known of an index without opening it.

    Attributes:
        identity: What it was built with.
        generation: Number of its data folder; each time it is emptied it gets the next.
        watermark: Changes up to this one are in it, durably.
        count: Entries it holds.
        dimensions: Length of its vectors; 0 while there are none.
        skipped: Changes since it was empty that had no vector, so that nothing was indexed.
    """

    identity: str
    generation: int = 1
    watermark: int = 0
    count: int = 0
    dimensions: int = 0
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class _Saved:
    """What a state file holds.

    Attributes:
        state: What was applied.
        files: Digests of all files, if the index was closed in order.
        settled: Digests of the settled files, if it was not.
    """

    state: IndexState
    files: dict[str, str] | None
    settled: dict[str, str]


class IndexFolder:
    """Keeps an index's files and its watermark together; every method blocks.

    Closed in order, the state holds a digest of every file, and the next `open` notices whatever
    happened to them. After a crash it holds those of the settled files as they were at the last
    `save`, and `check` has to look into the others.

    Args:
        path: The folder; made if it is not there.
        identity: What the index is built with; files of another identity are not used.
        settled: Pattern of the data files that the library writes as a whole, and not between a
            change and its `save`; none if omitted.
    """

    def __init__(self, path: Path, identity: str, *, settled: str = "") -> None:
        self.path = path
        self.state = IndexState(identity)
        self._lock = FileLock(path / "lock")
        self._settled = settled
        self._known: dict[str, tuple[_Stamp, str]] = {}

    @property
    def data(self) -> Path:
        """Where the library keeps its files."""
        return self.path / f"data-{self.state.generation}"

    def open(self, check: Callable[[Path, IndexState], str]) -> str:
        """Locks the folder, and says why the index starts empty; nothing if it does not, or is new.

        Args:
            check: Called for an index that was not closed: what is wrong with it, or nothing.

        Raises:
            StorageBusy: Another process, or another store of this one, has it open.
            StorageError: It cannot be read or written.
        """
        with self._failures():
            if not self._lock.acquire():
                raise StorageBusy(
                    f"the index in {str(self.path)!r} is open in process {self._lock.owner()}",
                    path=str(self.path),
                    hint="Close it there, or give this one a folder of its own.",
                )
            with ExitStack() as undo:
                undo.callback(self._lock.release)
                problem = self._opened(check)
                undo.pop_all()
            return problem

    def save(self, state: IndexState) -> None:
        """Makes what the library wrote durable, then the state that says so.

        Raises:
            StorageError: It cannot be written; the state is as before.
        """
        with self._failures():
            if not self.intact():
                raise StorageError(
                    f"the index in {str(self.path)!r} was deleted while it was open",
                    path=str(self.path),
                    hint="Open it again; it is built anew from the ledger.",
                )
            _sync_tree(self.data)
            self._write(state)
            self.state = state

    def restart(self, *, keep: bool) -> None:
        """Empties the index: a new data folder, watermark 0. The library must have closed the old.

        Args:
            keep: Whether the old files are set aside for a person to look at.

        Raises:
            StorageError: It cannot be written.
        """
        with self._failures():
            self.path.mkdir(parents=True, exist_ok=True)
            old = self.data
            self._write(state := IndexState(self.state.identity, self._next_generation()))
            self.state = state
            self.data.mkdir(parents=True, exist_ok=True)
            if keep and old.exists():
                shutil.rmtree(self.path / _DAMAGED, ignore_errors=True)
                old.rename(self.path / _DAMAGED)
            self._remove_others()

    def distrust(self) -> None:
        """Makes the index start empty, now by `restart` or at the next `open`; needs no room."""
        with self._failures():
            (self.path / _STATE).unlink(missing_ok=True)

    def intact(self) -> bool:
        """Whether state and data folder still are where they were."""
        return (self.path / _STATE).is_file() and self.data.is_dir()

    def close(self) -> None:
        """Notes a digest of every file, and unlocks; the library must have closed its files."""
        with suppress(OSError, StorageError):  # without the digests the next open looks closer
            if self.intact():
                _sync_tree(self.data)
                self._write(self.state, _digests(self.data, _files(self.data)))
        self._lock.release()

    def abandon(self) -> None:
        """Unlocks only: the next `open` checks the index as after a crash."""
        self._lock.release()

    def _opened(self, check: Callable[[Path, IndexState], str]) -> str:
        wanted = self.state.identity
        saved = _read(self.path / _STATE)
        if saved is not None and saved.state.identity != wanted:
            problem = f"it was built with {saved.state.identity!r}, now {wanted!r} is used"
            self.state = replace(saved.state, identity=wanted)
            self.restart(keep=False)
        elif problem := self._damage(saved, check):
            self.restart(keep=True)
        self.data.mkdir(parents=True, exist_ok=True)
        self._write(self.state)  # no digests while it is open
        self._remove_others()
        return problem

    def _damage(self, saved: _Saved | None, check: Callable[[Path, IndexState], str]) -> str:
        """What speaks against the files on disk; takes over the state found there."""
        if saved is None:
            generations = self._generations()
            if not generations and not (self.path / _STATE).exists():
                return ""
            self.state = replace(self.state, generation=max(generations, default=1))
            return "what it holds is not known: its state file is missing or damaged"
        self.state = saved.state
        if not self.data.is_dir():
            return "its files are gone" if saved.state.watermark else ""
        if saved.files is not None:
            return _difference(saved.files, _digests(self.data, _files(self.data)))
        now = _digests(self.data, self._settled_files())
        return _difference(saved.settled, now) or check(self.data, saved.state)

    def _settled_files(self) -> list[Path]:
        return _files(self.data, self._settled) if self._settled else []

    def _settled_digests(self) -> dict[str, str]:
        """Read only if they were written since the last time."""
        known, self._known = self._known, {}
        for path in self._settled_files():
            name, stamp = path.relative_to(self.path).as_posix(), _stamp(path)
            before = known.get(name)
            digest = before[1] if before and before[0] == stamp else _digest_of(path)
            self._known[name] = stamp, digest
        start = len(f"{self.data.name}/")
        return {name[start:]: digest for name, (_, digest) in self._known.items()}

    def _generations(self) -> list[int]:
        names = (entry.name.removeprefix("data-") for entry in self.path.glob("data-*"))
        return [int(name) for name in names if name.isdecimal()]

    def _next_generation(self) -> int:
        return max([self.state.generation, *self._generations()]) + 1

    def _remove_others(self) -> None:
        for entry in self.path.glob("data-*"):
            if entry != self.data:
                shutil.rmtree(entry, ignore_errors=True)

    def _write(self, state: IndexState, files: Mapping[str, str] | None = None) -> None:
        settled = self._settled_digests() if files is None else {}
        body = asdict(state) | {"files": files, "settled": settled}
        text = json.dumps({"state": body, "sha256": _digest(body)}, indent=1)
        target, new = self.path / _STATE, self.path / f"{_STATE}.new"
        try:
            with new.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            new.replace(target)
        except OSError:
            new.unlink(missing_ok=True)
            raise
        _sync(self.path)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise storage_error(exc, self.path) from exc


def storage_error(exc: OSError, path: Path) -> StorageError:
    """The error of this package that an error of the operating system means."""
    ours = translate(exc, path)
    if isinstance(ours, StorageError):
        return ours
    return StorageError(f"{str(path)!r}: {exc}", path=str(path))


def _read(path: Path) -> _Saved | None:
    """What was saved; nothing if the file is missing or not as it was written."""
    try:
        whole = json.loads(path.read_text("utf-8"))
        body: dict[str, Any] = whole["state"]
        if whole["sha256"] != _digest(body):
            return None
        files, settled = body.pop("files"), body.pop("settled")
        return _Saved(IndexState(**body), files, settled)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _digest(body: Mapping[str, object]) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _files(folder: Path, pattern: str = "**/*") -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if path.is_file())


def _digests(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): _digest_of(path) for path in files}


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stamp(path: Path) -> _Stamp:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _difference(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    changed = sorted(name for name in before if after.get(name) != before[name])
    if not changed and before.keys() == after.keys():
        return ""
    name = (changed or sorted(after.keys() - before.keys()))[0]
    return f"its files are not as they were written: {name}"


def _sync_tree(folder: Path) -> None:
    for path in _files(folder):
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    """Makes a file, or the entries of a folder, survive a power failure."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:  # the library removed it meanwhile: a journal, a temporary file
        return
    except PermissionError:
        if path.is_dir():  # Windows opens no folders, and needs no such call
            return
        raise
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
