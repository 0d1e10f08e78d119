"""Long-term memory under SIGKILL: what was acknowledged is there, what was not is whole or absent.

`MASSGEN_LEDGER_KILLS` says how many kills there are; ``nox -s crash`` makes 500.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("ledger.py")
SAMPLE = 24
KILLS = int(os.environ.get("MASSGEN_LEDGER_KILLS", str(SAMPLE)))

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL"),
    pytest.mark.timeout(60 + KILLS),
    *([pytest.mark.slow] if KILLS > SAMPLE else []),
]


def test_no_kill_loses_or_tears_what_a_memory_acknowledged(tmp_path):
    seed = os.environ.get("MASSGEN_CRASH_SEED", str(random.randrange(1 << 30)))
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), str(KILLS), seed],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"MASSGEN_CRASH_SEED={seed}\n{done.stderr}"
    counts = json.loads(done.stdout)
    print(f"long-term memory: {KILLS} kills, 0 lost, 0 torn: {counts}")  # noqa: T201
    assert sum(counts["kills"].values()) == KILLS
    assert sum(counts["acknowledged"].values()) > KILLS
