"""The power goes out: what was acknowledged is on disk, though nothing unsynced may be.

A memory is changed under strace; at random moments the disk is made as it may be after a loss of
power (`disk`), and opened. `MASSGEN_POWER_CUTS` says how many; ``nox -s crash`` makes 300.
"""

import asyncio
import gzip
import os
import pickle
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from massgen_core.memory import Memory, check_snapshot

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from acting import KEEP, OPERATIONS, State, found, is_consolidated, same, whole  # noqa: E402
from disk import CALLS, Disk, calls  # noqa: E402

V1 = HERE.parent / "data" / "schemas" / "v1.db.gz"
SAMPLE = 30
CUTS = int(os.environ.get("MASSGEN_POWER_CUTS", str(SAMPLE)))
PER_RUN = 60


def can_trace():
    strace = shutil.which("strace")
    if strace is None:
        return False
    return subprocess.run([strace, "true"], capture_output=True, check=False).returncode == 0


pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux") or not can_trace(), reason="no strace"),
    pytest.mark.timeout(120 + 2 * CUTS),
    *([pytest.mark.slow] if CUTS > SAMPLE else []),
]


def trace(folder, seed, *, old):
    """A disk as it was before, and all that was done to it."""
    folder.mkdir()
    root = folder / "root"
    root.mkdir()
    disk = Disk(root)
    if old:
        (root / "massgen.db").write_bytes(gzip.decompress(V1.read_bytes()))
        disk.put(root / "massgen.db")
    options = ("-f", "-y", "-qq", "-xx", "-s", "100000000", "-e", f"trace={','.join(CALLS)}")
    given = (str(root), str(folder / "acks"), seed, str(len(OPERATIONS) - 1))
    script = (sys.executable, str(HERE / "traced.py"), *given)
    out = folder / "trace"
    subprocess.run(["strace", *options, "-o", str(out), *script], check=True, timeout=100)
    ours = "".join(f"\\x{byte:02x}" for byte in bytes(folder))
    return disk, [call for call in calls(out) if ours in call.args]


class Known:
    """What was said up to a moment."""

    def __init__(self):
        self.state, self.pending, self.doing, self.exported = State(), State(), "migrate", {}

    def hear(self, kind, name, value):
        if kind == "begin":
            self.pending, self.doing = value, name
        elif kind == "done":
            self.state, self.pending, self.doing = value, None, ""
        else:
            self.exported[name] = value


async def check(path, known):
    """Nothing acknowledged is lost, nothing is torn; the last operation may be there or not."""
    if not path.exists():
        assert known.doing == "migrate"
        return
    async with Memory.open(path) as memory:
        await whole(memory, known.doing)
        now = await found(memory, known.state, known.pending or known.state)
        if not same(now, known.state):
            if known.doing == "consolidate":
                assert await is_consolidated(memory, known.state, now)
            else:
                assert known.pending is not None, f"{known.state}\n{now}"
                assert same(now, known.pending), f"{known.doing}\n{known.pending}\n{now}"
        listed = {one.path.name: one.path for one in await memory.snapshots()}
        for name in [path.name for path, _ in known.state.snapshots][-KEEP + 1 :]:
            assert name in listed, f"{name} is lost"
            check_snapshot(listed[name])
    for name in known.exported:
        async with Memory.open(path.with_name("import.db")) as other:
            await other.import_(path.parent / Path(name).name)


def lose_power(disk, rnd, target):
    shutil.rmtree(target, ignore_errors=True)
    for name, data in disk.after_loss(rnd).items():
        path = target / Path(name).relative_to(disk.root)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def test_no_loss_of_power_takes_what_a_memory_acknowledged(tmp_path):
    seed = int(os.environ.get("MASSGEN_CRASH_SEED", str(random.randrange(1 << 30))))
    during = Counter()
    for number in range(-(-CUTS // PER_RUN)):
        rnd = random.Random(f"{seed} {number}")
        folder = tmp_path / str(number)
        disk, done = trace(folder, f"{seed} {number}", old=number % 2 == 0)
        known = Known()
        cuts = sorted(rnd.sample(range(len(done)), min(PER_RUN, CUTS - PER_RUN * number)))
        for place, call in enumerate(done):
            if call.name == "write" and call.path == str(folder / "acks"):
                known.hear(*pickle.loads(call.texts[0]))
            else:
                disk.take(call)
            if cuts and place == cuts[0]:
                cuts.pop(0)
                lose_power(disk, rnd, folder / "after")
                during[known.doing or "between"] += 1
                try:
                    asyncio.run(check(folder / "after" / "massgen.db", known))
                except Exception as exc:
                    exc.add_note(f"MASSGEN_CRASH_SEED={seed}, run {number}, call {place}: {call}")
                    raise
        shutil.rmtree(folder)
    print(f"{CUTS} losses of power, 0 acknowledged lost: during {dict(during)}")  # noqa: T201
