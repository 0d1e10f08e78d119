"""What is imported from: a file, a folder, or a zip archive, none of which is trusted."""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from massgen_core.errors import InvalidImport, UnsafeArchive

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_FILES: Final = 100_000
"""Files that an archive or a folder may have."""
_MOST_BYTES: Final = 1 << 30
"""Bytes that all files which are read may have together, unpacked."""
_MOST_RATIO: Final = 200
"""How many times its packed size a file may have; texts reach 20, zlib can do 1,000."""
_SMALL: Final = 1 << 20
"""Bytes up to which a file may be packed as well as it likes."""
_CHUNK: Final = 1 << 16
_ENCRYPTED: Final = 0x1


class Source:
    """Files by name, with ``/`` between folders; a single file has its own name.

    Attributes:
        path: Where it is.
        names: All files in it, sorted.
    """

    def __init__(self, path: Path, names: list[str], archive: zipfile.ZipFile | None) -> None:
        self.path = path
        self.names = names
        self._archive = archive
        self._room = _MOST_BYTES

    def where(self, name: str) -> str:
        """The file as a person knows it."""
        return str(self.path) if name == self.path.name else f"{self.path}: {name}"

    def file(self, name: str) -> Path:
        """Where a file is on disk; for those that are in no archive."""
        return self.path if self.path.is_file() else self.path / name

    def read(self, name: str) -> bytes:
        """What is in a file.

        Raises:
            UnsafeArchive: It unpacks to more than it should.
            InvalidImport: It cannot be read.
        """
        data = bytearray()
        try:
            for chunk in self._chunks(name):
                data += chunk
                self._room -= len(chunk)
                if self._room < 0:
                    raise UnsafeArchive(
                        f"{self.where(name)} is too large: more than {_MOST_BYTES:,} bytes in all",
                        file=name,
                        hint="Import parts of it. Nothing was imported.",
                    )
        except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as exc:
            raise InvalidImport(
                f"{self.where(name)} cannot be read: {exc}",
                file=name,
                hint="It is damaged, or may not be read. Nothing was imported.",
            ) from exc
        return bytes(data)

    def text(self, name: str) -> str:
        """The same as text.

        Raises:
            InvalidImport: It is no UTF-8.
        """
        data = self.read(name)
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as exc:
            raise InvalidImport(
                f"{self.where(name)} is no UTF-8 text: byte {exc.start} is {data[exc.start]:#04x}",
                file=name,
                place=f"byte {exc.start}",
                hint="Nothing was imported.",
            ) from exc

    def _chunks(self, name: str) -> Iterator[bytes]:
        if self._archive is None:
            with self.file(name).open("rb") as plain:
                while chunk := plain.read(_CHUNK):
                    yield chunk
            return
        info = self._archive.getinfo(name)
        most = max(_SMALL, _MOST_RATIO * info.compress_size)
        size = 0
        with self._archive.open(info) as packed:
            while chunk := packed.read(_CHUNK):
                size += len(chunk)
                if size > most:  # whatever its header says
                    raise UnsafeArchive(
                        f"{self.where(name)} unpacks to more than {_MOST_RATIO} times its size",
                        file=name,
                        hint="It may be a zip bomb. Nothing was imported.",
                    )
                yield chunk


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """The files of a file, a folder or an archive; nothing is unpacked to disk.

    Raises:
        InvalidImport: There is nothing, or it cannot be read.
        UnsafeArchive: A name leads out of it, it has links, or too much in it.
    """
    if path.is_dir():
        yield Source(path, _in_folder(path), None)
    elif not path.is_file():
        raise InvalidImport(f"there is no file {str(path)!r}", file=str(path))
    elif not zipfile.is_zipfile(path):
        yield Source(path, [path.name], None)
    else:
        try:
            archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as exc:
            raise InvalidImport(f"{path} is no zip archive: {exc}", file=path.name) from exc
        with archive:
            names = [_checked(path, info) for info in archive.infolist() if not info.is_dir()]
            _check_number(path, len(names))
            if len(set(names)) < len(names):
                raise _unsafe(path, "two files have one name")
            yield Source(path, sorted(names), archive)


def _in_folder(path: Path) -> list[str]:
    """The files in it; links are not followed, as they may lead anywhere."""
    names: list[str] = []
    for folder, folders, files in os.walk(path, followlinks=False):
        folders[:] = sorted(one for one in folders if not (Path(folder) / one).is_symlink())
        for name in files:
            file = Path(folder) / name
            if not file.is_symlink() and file.is_file():
                names.append(file.relative_to(path).as_posix())
        _check_number(path, len(names))
    return sorted(names)


def _checked(path: Path, info: zipfile.ZipInfo) -> str:
    name = info.filename
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if name.startswith(("/", "\\")) or ".." in parts or (parts and parts[0].endswith(":")):
        raise _unsafe(path, f"{name!r} leads out of it")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise _unsafe(path, f"{name!r} is a link")
    if info.flag_bits & _ENCRYPTED:
        raise InvalidImport(f"{path}: {name!r} is encrypted", file=name, hint="Unpack it first.")
    return name


def _check_number(path: Path, number: int) -> None:
    if number > _MOST_FILES:
        raise _unsafe(path, f"it has more than {_MOST_FILES:,} files")


def _unsafe(path: Path, what: str) -> UnsafeArchive:
    return UnsafeArchive(f"{path}: {what}", file=path.name, hint="Nothing was imported.")
