import os
import signal
import subprocess
import sys

from massgen_core.storage import FileLock

HOLD = """
import sys
from pathlib import Path
from massgen_core.storage import FileLock

lock = FileLock(Path(sys.argv[1]))
assert lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_holder_in_the_same_process_is_turned_away(tmp_path):
    one, two = FileLock(tmp_path / "a.lock"), FileLock(tmp_path / "a.lock")
    assert one.acquire()
    assert not two.acquire()
    assert two.owner() == str(os.getpid())
    one.release()
    assert two.acquire()
    two.release()


def test_another_process_is_turned_away_and_a_killed_one_holds_nothing(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "a.lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout.readline() == b"held\n"
        lock = FileLock(tmp_path / "a.lock")
        assert not lock.acquire()
        assert lock.owner() == str(child.pid)
        child.send_signal(signal.SIGKILL)
        child.wait(10)
    assert lock.acquire()
    lock.release()


def test_a_released_lock_can_take_its_file_along(tmp_path):
    lock = FileLock(tmp_path / "deep" / "a.lock")
    assert lock.acquire()
    lock.release(remove=True)
    lock.release(remove=True)
    assert list((tmp_path / "deep").iterdir()) == []


def test_a_lock_on_a_file_that_is_gone_does_not_count(tmp_path, monkeypatch):
    """Between open and lock the holder may have removed the file; others would hold the new one."""
    path = tmp_path / "a.lock"
    opened, real = [], os.open

    def remove_once(*args):
        fd = real(*args)
        if not opened:
            path.unlink()
        opened.append(fd)
        return fd

    monkeypatch.setattr(os, "open", remove_once)
    lock = FileLock(path)
    assert lock.acquire()
    assert len(opened) == 2
    assert path.exists()
    lock.release()
