"""Each check of the fault suite passes for a sound store, and catches one that breaks it."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from massgen_core.testing import MemoryStoreFaultSuite

sys.path.insert(0, str(Path(__file__).parent))

from plain_store import Plain


class Base(MemoryStoreFaultSuite):
    __test__ = False
    capabilities = frozenset({"durable", "files"})
    kills = 1


class TestPlainFaults(Base):
    __test__ = True

    def store(self, folder):
        return Plain(folder)


class Early(Plain):
    """Says that it is written before it is."""

    def write(self, entries, seq):
        super().write(self.entries, seq)
        self.late = entries, seq

    async def close(self):
        if late := getattr(self, "late", None):
            super().write(*late)
        await super().close()


class Trusting(Plain):
    """Believes what it reads."""

    def read(self):
        try:
            lines = (self.folder / "index.json").read_text("utf-8", "replace").rsplit("\n", 1)
        except FileNotFoundError:
            return {}, 0
        (self.folder / "believed.json").write_text(lines[0])
        try:
            seq, rows = json.loads(lines[0])
        except ValueError:
            return {}, self.last_known()
        (self.folder / "seq").write_text(str(seq))
        return {key: (self.scope(scope), text, vector) for key, scope, text, vector in rows}, seq

    def scope(self, values):
        from massgen_core.memory import Scope

        return Scope(*values)

    def last_known(self):
        return int((self.folder / "seq").read_text() or 0)  # a kill may leave it empty

    def write(self, entries, seq):
        super().write(entries, seq)
        (self.folder / "seq").write_text(str(seq))


class Suicidal(Plain):
    """Ends the process where a library in C would."""

    def read(self):
        found = super().read()
        if not found[1] and (self.folder / "index.json").exists():
            os.kill(os.getpid(), signal.SIGSEGV)
        return found


class Elsewhere(Plain):
    """Keeps its watermark where the folder is not."""

    def write(self, entries, seq):
        super().write(entries, seq)
        self.mark.write_text(str(seq))

    def read(self):
        entries, seq = super().read()
        return entries, int(self.mark.read_text()) if self.mark.exists() else seq

    @property
    def mark(self):
        return self.folder.parent / f"{self.folder.name}.seq"


class Unlocked(Plain):
    """Starts empty while another process has it open."""

    def ready(self):
        try:
            super().ready()
        except Exception:  # noqa: BLE001 - to be bad
            self.entries = {}


class Silent(Plain):
    """Says nothing of a full disk."""

    def write(self, entries, seq):
        try:
            super().write(entries, seq)
        except Exception:  # noqa: BLE001 - to be bad
            self.quiet = True


class EarlyFaults(Base):
    def store(self, folder):
        return Early(folder)


class TrustingFaults(Base):
    def store(self, folder):
        return Trusting(folder)


class SuicidalFaults(Base):
    def store(self, folder):
        return Suicidal(folder)


class ElsewhereFaults(Base):
    def store(self, folder):
        return Elsewhere(folder)


class UnlockedFaults(Base):
    def store(self, folder):
        return Unlocked(folder)


class SilentFaults(Base):
    def store(self, folder):
        return Silent(folder)


BROKEN = [
    (EarlyFaults, "kill_loses_nothing", "is not found"),
    (TrustingFaults, "cut_in_half", "is not found"),
    (TrustingFaults, "emptied_file", "is not found"),
    (TrustingFaults, "kill_and_a_torn_file", "is not found"),
    (TrustingFaults, "flipped_bit", "index.json"),
    (SuicidalFaults, "cut_in_half", "signal 11 ended the process"),
    (ElsewhereFaults, "deleted_file", "is not found"),
    (ElsewhereFaults, "folder_deleted", "is not found"),
    (UnlockedFaults, "second_process", "r2"),
    (SilentFaults, "full_disk", "nothing was raised"),
]


@pytest.mark.timeout(300)  # as the checks themselves: they begin other processes
@pytest.mark.parametrize(("suite", "part", "words"), BROKEN)
def test_a_broken_store_fails_its_check(suite, part, words, tmp_path):
    [check] = [each for each in dir(suite) if each.startswith("test_") and part in each]
    with pytest.raises(AssertionError, match=words):
        getattr(suite(), check)(tmp_path)


def test_every_check_is_broken_by_some_store():
    checks = {name for name in dir(Base) if name.startswith("test_")}
    assert checks == {name for name in checks if any(part in name for _, part, _ in BROKEN)}
