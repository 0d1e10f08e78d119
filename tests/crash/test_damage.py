"""Damaged files of a long-term memory: every damage is refused, reported or harmless.

`MASSGEN_DAMAGES` says how many are tried; ``nox -s crash`` tries 300.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("damage.py")
SAMPLE = 36
DAMAGES = int(os.environ.get("MASSGEN_DAMAGES", str(SAMPLE)))

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="copies files that are open"),
    pytest.mark.timeout(60 + DAMAGES),
    *([pytest.mark.slow] if DAMAGES > SAMPLE else []),
]


def test_no_damage_is_silent_and_none_ends_the_process(tmp_path):
    seed = os.environ.get("MASSGEN_CRASH_SEED", str(random.randrange(1 << 30)))
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), str(DAMAGES), seed],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"MASSGEN_CRASH_SEED={seed}: {done.returncode}\n{done.stderr}"
    said = json.loads(done.stdout)
    print(f"{DAMAGES} damages, {len(said['silent'])} silent: {said['outcomes']}")  # noqa: T201
    assert said["silent"] == [], f"MASSGEN_CRASH_SEED={seed}"
    assert sum(said["outcomes"].values()) == DAMAGES
