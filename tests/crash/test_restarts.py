"""What an agent was told in one life is recalled in every later one, kills or no kills.

`MASSGEN_RESTARTS` says how many lives; ``nox -s crash`` makes 1,000.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("restarts.py")
SAMPLE = 8
LIVES = int(os.environ.get("MASSGEN_RESTARTS", str(SAMPLE)))

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL"),
    pytest.mark.timeout(60 + 3 * LIVES),
    *([pytest.mark.slow] if LIVES > SAMPLE else []),
]


def test_an_agent_recalls_what_it_was_told_in_earlier_lives(tmp_path):
    seed = os.environ.get("MASSGEN_CRASH_SEED", str(random.randrange(1 << 30)))
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), str(LIVES), seed],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"MASSGEN_CRASH_SEED={seed}\n{done.stderr}"
    counts = json.loads(done.stdout)
    print(f"{LIVES} lives of an agent, nothing forgotten: {counts}")  # noqa: T201
    assert counts["lives"] == LIVES
    assert counts["told"] >= LIVES - counts["kills"]
