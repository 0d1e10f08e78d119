"""A disk that loses power: what of a trace of system calls is on it at a moment.

What a file got since it was last synced is there or not, each write by itself, in any order. What
happened to the names of a folder since that was last synced is there up to some point. Nothing else
is promised by POSIX, and file systems make use of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from pathlib import Path

CALLS = (
    *("openat", "write", "pwrite64", "lseek", "ftruncate", "fsync", "fdatasync"),
    *("rename", "link", "unlink", "mkdir", "sendfile", "copy_file_range"),
)
_CALL = re.compile(r"(\w+)\((.*)\)\s+= (-?\d+)")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_FD = re.compile(r"\b\d+<((?:\\x[0-9a-f]{2})*)>")


class Call(NamedTuple):
    """A system call that succeeded."""

    name: str
    args: str
    result: int

    @property
    def fd(self) -> int:
        return int(self.args.partition("<")[0])

    @property
    def path(self) -> str:
        """The file that the first argument is open on."""
        return next(iter(self.paths), "")

    @property
    def paths(self) -> list[str]:
        """The files that arguments are open on."""
        return [_raw(found).decode() for found in _FD.findall(self.args)]

    @property
    def texts(self) -> list[bytes]:
        return [_raw(found) for found in _TEXT.findall(self.args)]

    @property
    def last(self) -> int:
        return int(self.args.rpartition(", ")[2])


def calls(trace: Path) -> Iterator[Call]:
    """The calls of ``strace -f -y -qq -xx``, in the order in which they ended."""
    begun: dict[str, str] = {}
    with trace.open() as lines:
        for line in lines:
            thread, _, text = line.rstrip("\n").partition(" ")
            text = text.strip()
            if text.endswith("<unfinished ...>"):
                begun[thread] = text.removesuffix("<unfinished ...>").rstrip()
                continue
            if text.startswith("<... "):
                rest = text.partition(" resumed>")[2]
                text = begun.pop(thread) + rest
            found = _CALL.match(text)
            if found is not None and int(found[3]) >= 0:
                yield Call(found[1], found[2], int(found[3]))


def _raw(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))


@dataclass
class File:
    """Content that is on disk, and what may be; or a folder."""

    folder: bool = False
    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int | None, bytes | int]] = field(default_factory=list)

    def sync(self) -> None:
        for change in self.pending:
            _apply(self.durable, *change)
        self.pending.clear()

    def now(self) -> bytes:
        """As those who read it see it."""
        data = bytearray(self.durable)
        for change in self.pending:
            _apply(data, *change)
        return bytes(data)

    def after_loss(self, rnd: random.Random) -> bytes:
        data = bytearray(self.durable)
        share = rnd.choice([0.0, 0.5, 0.9, 1.0])
        for change in self.pending:
            if rnd.random() < share:
                _apply(data, *change)
        return bytes(data)


def _apply(data: bytearray, place: int | None, what: bytes | int) -> None:
    if place is None:
        assert isinstance(what, int)
        del data[what:]
        data.extend(bytes(what - len(data)))
        return
    assert isinstance(what, bytes)
    data.extend(bytes(max(0, place - len(data))))
    data[place : place + len(what)] = what


class Disk:
    """Files and folders under a root, as a trace leaves them."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.names: dict[str, File] = {}
        self.durable: dict[str, File] = {}
        self.pending: dict[str, list[list[tuple[str, File | None]]]] = {}
        self.places: dict[int, int] = {}

    def put(self, path: Path) -> None:
        """A file that was there before."""
        file = File(durable=bytearray(path.read_bytes()))
        self.names[str(path)] = self.durable[str(path)] = file

    def take(self, call: Call) -> None:
        getattr(self, f"_{call.name}", self._unknown)(call)

    def after_loss(self, rnd: random.Random) -> dict[str, bytes]:
        names = dict(self.durable)
        for changes in self.pending.values():
            for changed in changes[: rnd.randrange(len(changes) + 1)]:
                self._rename_to(names, changed)
        return {
            name: file.after_loss(rnd)
            for name, file in names.items()
            if not file.folder and self._is_reached(name, names)
        }

    def _is_reached(self, name: str, names: dict[str, File]) -> bool:
        folder = name.rpartition("/")[0]
        return folder == self.root or folder in names

    def _ours(self, path: str) -> bool:
        passing = ("-shm", ".lock", "(deleted)")
        return path.startswith(f"{self.root}/") and not path.endswith(passing)

    def _change(self, changes: list[tuple[str, File | None]]) -> None:
        """Names that change in one step: all of it is on disk, or nothing."""
        if not self._ours(changes[0][0]):
            return
        self._rename_to(self.names, changes)
        folder = changes[0][0].rpartition("/")[0]
        self.pending.setdefault(folder, []).append(changes)

    @staticmethod
    def _rename_to(names: dict[str, File], changes: list[tuple[str, File | None]]) -> None:
        for name, file in changes:
            if file is None:
                names.pop(name, None)
            else:
                names[name] = file

    def _openat(self, call: Call) -> None:
        path = call.texts[0].decode()
        self.places[call.result] = 0
        if not self._ours(path):
            return
        if path not in self.names and "O_CREAT" in call.args:
            self._change([(path, File())])
        elif "O_TRUNC" in call.args:
            self.names[path].pending.append((None, 0))

    def _write(self, call: Call) -> None:
        place = self.places.get(call.fd, 0)
        self.places[call.fd] = place + call.result
        self._written(call, place, call.texts[0][: call.result])

    def _pwrite64(self, call: Call) -> None:
        self._written(call, call.last, call.texts[0][: call.result])

    def _copy_file_range(self, call: Call) -> None:
        """Of a whole file into an empty one, in pieces: there are no offsets."""
        source, target = call.paths
        if self._ours(target):
            place = len(self.names[target].now())
            data = self.names[source].now()[place : place + call.result]
            self.names[target].pending.append((place, data))

    def _written(self, call: Call, place: int, data: bytes) -> None:
        if self._ours(call.path) and call.path in self.names:
            self.names[call.path].pending.append((place, data))

    def _lseek(self, call: Call) -> None:
        self.places[call.fd] = call.result

    def _ftruncate(self, call: Call) -> None:
        if self._ours(call.path):
            self.names[call.path].pending.append((None, call.last))

    def _fsync(self, call: Call) -> None:
        path = call.path
        for changes in self.pending.pop(path, []):
            self._rename_to(self.durable, changes)
        if path in self.names:
            self.names[path].sync()

    _fdatasync = _fsync

    def _rename(self, call: Call) -> None:
        old, new = (text.decode() for text in call.texts)
        if self._ours(old):
            self._change([(old, None), (new, self.names[old])])

    def _link(self, call: Call) -> None:
        old, new = (text.decode() for text in call.texts)
        if self._ours(old):
            self._change([(new, self.names[old])])

    def _unlink(self, call: Call) -> None:
        self._change([(call.texts[0].decode(), None)])

    def _mkdir(self, call: Call) -> None:
        self._change([(call.texts[0].decode(), File(folder=True))])

    def _unknown(self, call: Call) -> None:
        if self._ours(call.path):
            raise AssertionError(f"{call.name} is not understood")
