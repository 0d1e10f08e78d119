"""The fault suite of memory stores: killed, torn, flipped, deleted, full, opened twice.

A store is a cache: it may lose everything, but it must say so by its watermark or its health, and
be whole again after the log was applied. It must never take the process with it.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pytest

from massgen_core.errors import MassgenError
from massgen_core.testing._memory_child import PROGRAM, argument, history
from massgen_core.testing._memory_model import faults, recover
from massgen_core.testing._store_suite import StoreSuite
from massgen_core.testing._suite import requires

if TYPE_CHECKING:
    from collections.abc import Callable

_MANY: Final = 40
"""Records of a history."""
_SECONDS: Final = 300
"""For a process of its own."""


class MemoryStoreFaultSuite(StoreSuite):
    """Subclass it beside `MemoryStoreSuite`, with the same store.

    Its class must stand at the top of its module: the module is imported by other processes, too.
    Capabilities: ``durable`` and ``files``, as in `MemoryStoreSuite`. The mark ``slow`` is on tests
    that begin many processes.

    Attributes:
        kills: How often a process is killed.
        room: Bytes by which files may still grow when the disk is made full.
    """

    kills: ClassVar[int] = 2
    room: ClassVar[int] = 8192

    @pytest.mark.slow
    @pytest.mark.timeout(300)
    @requires("durable")
    def test_a_kill_loses_nothing_that_the_watermark_claims(self, tmp_path: Path) -> None:
        """Killed within `apply`: what was acknowledged is there, or is asked for again."""
        model = history(self.dimensions, _MANY)
        folders = []
        for number in range(self.kills):
            folder = tmp_path / str(number)
            applied = self._killed(folder, after=2 + 5 * number)
            assert 0 <= applied <= model.seq
            folders.append(folder)
        self._check(folders)

    @pytest.mark.timeout(300)
    @requires("files")
    def test_a_file_cut_in_half_is_noticed(self, tmp_path: Path) -> None:
        """Each file of a closed index in turn."""
        self._damage(tmp_path, "cut", _cut_in_half)

    @pytest.mark.slow
    @pytest.mark.timeout(300)
    @requires("files")
    def test_an_emptied_file_is_noticed(self, tmp_path: Path) -> None:
        """Each file of a closed index in turn."""
        self._damage(tmp_path, "empty", lambda file: file.write_bytes(b""))

    @pytest.mark.slow
    @pytest.mark.timeout(300)
    @requires("files")
    def test_a_flipped_bit_is_noticed(self, tmp_path: Path) -> None:
        """One of each file of a closed index in turn."""
        self._damage(tmp_path, "flip", _flip)

    @pytest.mark.slow
    @pytest.mark.timeout(300)
    @requires("files")
    def test_a_deleted_file_is_noticed(self, tmp_path: Path) -> None:
        """Each file of a closed index in turn, and all of them."""
        self._damage(tmp_path, "delete", Path.unlink, shutil.rmtree)

    @pytest.mark.slow
    @pytest.mark.timeout(300)
    @requires("files")
    def test_a_kill_and_a_torn_file_are_survived(self, tmp_path: Path) -> None:
        """Each file of an index that was not closed, cut in half in turn."""
        home = tmp_path / "index"
        self._killed(home, after=12)
        folders = []
        for number, name in enumerate(_files(home)):
            folders.append(copy := tmp_path / f"cut-{number}")
            shutil.copytree(home, copy)
            _cut_in_half(copy / name)
        self._check(folders)

    @requires("files")
    def test_a_folder_deleted_while_it_is_open_is_noticed(self, tmp_path: Path) -> None:
        """A typed error or bad health, never an index that claims what is gone."""
        model = history(self.dimensions, _MANY)
        home = tmp_path / "index"

        async def main() -> None:
            async with self.opened(home) as store:
                await store.apply(model.log[:-1])
                shutil.rmtree(home)
                with suppress(MassgenError):
                    await store.apply(model.log[-1:])
            async with self.opened(home) as store:
                await recover(store, model.log)
                assert await faults(store, model) == []

        asyncio.run(main())

    @pytest.mark.timeout(120)
    @requires("durable")
    def test_a_second_process_is_refused_or_works(self, tmp_path: Path) -> None:
        """Refused with a typed error, or it finds what the first one applied."""
        model = history(self.dimensions, _MANY)

        async def main() -> list[dict[str, Any]]:
            async with self.opened(tmp_path) as store:
                await store.apply(model.log)
                said = await asyncio.to_thread(self._told, "use", folder=str(tmp_path))
                assert await faults(store, model) == []
                return said

        [said] = asyncio.run(main())
        assert said["refused"] or "r2" in said["hits"]

    @pytest.mark.timeout(300)
    @requires("files")
    def test_a_full_disk_is_a_typed_error(self, tmp_path: Path) -> None:
        """And once there is room again it recovers, with nothing missing."""
        error, end = self._told("fill", folder=str(tmp_path), room=self.room)
        assert error["error"], "nothing was raised although no file could grow"
        assert end["wrong"] == []

    def _damage(
        self,
        tmp_path: Path,
        name: str,
        damage: Callable[[Path], object],
        whole: Callable[[Path], object] | None = None,
    ) -> None:
        home = tmp_path / "index"
        self._told("write", folder=str(home), many=_MANY, close=True)
        folders = []
        for number, path in enumerate(_files(home)):
            folders.append(copy := tmp_path / f"{name}-{number}-{path.name}")
            shutil.copytree(home, copy)
            damage(copy / path)
        if whole is not None:
            folders.append(home)
            whole(home)
        self._check(folders)

    def _check(self, folders: list[Path]) -> None:
        """Each folder, opened in another process, gives the right answers in the end."""
        assert folders, "the store wrote no file into its folder"
        said = self._told("recover", folders=list(map(str, folders)), many=_MANY)
        wrong = [
            f"{Path(one['folder']).name}: {one['wrong'][0]}" for one in said if one.get("wrong")
        ]
        assert not wrong, "\n".join(wrong)

    def _killed(self, folder: Path, after: int) -> int:
        """The last batch that a process acknowledged before it was killed."""
        arguments = {"folder": str(folder), "many": _MANY, "close": False}
        command = [sys.executable, "-c", PROGRAM, argument(self, "write", arguments)]
        applied = -1
        with subprocess.Popen(  # noqa: S603  # our own interpreter and program
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            for number, line in enumerate(process.stdout):
                applied = json.loads(line)["applied"]
                if number == after:
                    process.kill()
            words = process.stderr.read()
        assert applied >= 0, f"the process could not write: {words}"
        return applied

    def _told(self, task: str, **arguments: Any) -> list[dict[str, Any]]:
        """What a process of its own says."""
        done = subprocess.run(  # noqa: S603  # our own interpreter and program
            [sys.executable, "-c", PROGRAM, argument(self, task, arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        last = f"; the last it said: {said[-1]}" if said else ""
        assert done.returncode >= 0, f"signal {-done.returncode} ended the process{last}"
        assert done.returncode == 0, done.stderr[-2000:] + last
        return said


def _files(home: Path) -> list[Path]:
    """Where the files of an index are, relative to its folder; the largest eight."""
    found = sorted(home.rglob("*"), key=lambda path: (-path.stat().st_size, path))
    return [path.relative_to(home) for path in found if path.is_file() and _size(path)][:8]


def _size(path: Path) -> int:
    return path.stat().st_size


def _cut_in_half(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: _size(file) // 2])


def _flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    rng = random.Random(file.name)  # noqa: S311 - the same place each time
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    file.write_bytes(data)
