"""Real processes killed with SIGKILL while they append and migrate.

`MASSGEN_CRASH_KILLS` says how many kills there are; ``nox -s crash`` makes them 200 or more.
"""

import asyncio
import os
import random
import runpy
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

import pytest

from massgen_core.messages import user
from massgen_core.sessions import NewEntry, SessionStore
from massgen_core.storage import SCHEMA, Database

HERE = Path(__file__).parent
SAMPLE = 15
KILLS = int(os.environ.get("MASSGEN_CRASH_KILLS", str(SAMPLE)))
# A file is used for this many kills, so that it is resumed often but checking it stays fast.
KILLS_PER_FILE = 12

digest = runpy.run_path(str(HERE / "writer.py"))["digest"]
later = runpy.run_path(str(HERE / "migrator.py"))["LATER"]

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL"),
    pytest.mark.timeout(60 + 5 * KILLS),
    *([pytest.mark.slow] if KILLS > SAMPLE else []),
]


class Witness:
    """What the processes said was on disk: digest by sequence number, by session."""

    def __init__(self):
        self.heard = defaultdict(dict)
        self.kills = 0
        self.gate = threading.Lock()

    @property
    def acknowledged(self):
        return sum(map(len, self.heard.values()))

    def listen(self, line):
        session_id, _, entries = line.rstrip("\n").partition("\t")
        with self.gate:
            for entry in entries.split():
                seq, _, mark = entry.partition(":")
                assert int(seq) not in self.heard[session_id], "a place was given away twice"
                self.heard[session_id][int(seq)] = mark


def append_until_killed(path, name, seed, witness):
    """Run a writer and kill it: after some acknowledged appends, or at any time from its start."""
    rnd = random.Random(f"kill {name} {seed}")
    appends = rnd.choice([0, 1, 2, 5, 20, 60])
    child = subprocess.Popen(
        [sys.executable, str(HERE / "writer.py"), str(path), name, str(seed)],
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        if appends == 0:
            time.sleep(rnd.uniform(0.1, 0.6))
        for _ in range(appends):
            witness.listen(child.stdout.readline())
        time.sleep(rnd.uniform(0, 0.004))
        child.send_signal(signal.SIGKILL)
        for line in child.stdout:
            if line.endswith("\n"):
                witness.listen(line)
    assert child.returncode == -signal.SIGKILL, "the writer ended by itself"
    witness.kills += 1


async def check(path, witness):
    """Nothing acknowledged is lost, the journal verifies, the next append works."""
    async with SessionStore.open(path) as store:
        assert (await store.verify()).problems == ()
        for info in await store.list():
            check_session(await store.read(info.id), witness.heard[info.id])
        known = {info.id for info in await store.list()}
        assert {name for name, heard in witness.heard.items() if heard} <= known
        for session_id in sorted(known):
            async with store.open_session(session_id) as session:
                assert session.quarantined is None
                [entry] = await session.append(NewEntry.message(user("goes on"), 1, "words"))
                assert entry.seq == len(session.entries) + 1
        assert (await store.verify()).problems == ()


def check_session(entries, heard):
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    for seq, mark in heard.items():
        assert seq <= len(entries), f"entry {seq} was acknowledged and is lost"
        assert digest(entries[seq - 1]) == mark, f"entry {seq} is not what was acknowledged"
    for before, entry, after in zip(entries, entries[1:], entries[2:], strict=False):
        if entry.kind == "usage":  # written between a message and a tool state, or not at all
            assert before.message.calls[0].id == entry.body["group"] == after.body["call_id"]
    if entries:
        assert entries[-1].kind != "usage"


def migrate_until_killed(path, seed, witness):
    """Kill a migration of a copy of the file at a random statement; then let it finish."""
    copy = path.with_name(f"copy-{seed}") / path.name
    copy.parent.mkdir()
    for suffix in ("", "-wal"):
        if (source := path.with_name(path.name + suffix)).exists():
            shutil.copy(source, copy.with_name(copy.name + suffix))
    rnd = random.Random(f"migrate {seed}")
    for left in (rnd.randrange(1, 90), rnd.randrange(1, 60 + witness.acknowledged), 1 << 40):
        done = subprocess.run(
            [sys.executable, str(HERE / "migrator.py"), str(copy), str(left)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in {0, -signal.SIGKILL}, done.stderr
        witness.kills += done.returncode != 0
    assert done.stdout == f"done {len(SCHEMA) + 2}\n"
    asyncio.run(check_migrated(copy, witness))
    shutil.rmtree(copy.parent)


async def check_migrated(path, witness):
    async with Database.open(path, migrations=later) as database:
        counts = [
            await database.read(lambda conn, query=query: conn.execute(query).fetchone()[0])
            for query in (
                "SELECT count(*) FROM entry",
                "SELECT count(*) FROM seen",
                "SELECT sum(stars) FROM session",
                "SELECT count(*) FROM (SELECT DISTINCT session_id, seq FROM seen)",
            )
        ]
    assert len(set(counts)) == 1, counts
    async with SessionStore.open(path, read_only=True) as store:  # newer than the program
        assert (await store.verify()).problems == ()
        for info in await store.list():
            check_session(await store.read(info.id), witness.heard[info.id])


def test_no_kill_loses_what_was_acknowledged(tmp_path):
    seed = int(os.environ.get("MASSGEN_CRASH_SEED", str(random.randrange(1 << 30))))
    kills = acknowledged = number = 0
    while kills < KILLS:
        path = tmp_path / str(number) / "massgen.db"
        witness = Witness()
        try:
            while witness.kills < min(KILLS_PER_FILE, KILLS - kills):
                number += 1
                one_round(path, f"{seed}-{number}", witness)
        except BaseException:
            print(f"MASSGEN_CRASH_SEED={seed}, round {number}, files in {path.parent}")  # noqa: T201
            raise
        kills += witness.kills
        acknowledged += witness.acknowledged
    print(f"{kills} kills, {acknowledged} acknowledged entries, 0 lost")  # noqa: T201
    assert acknowledged > KILLS


def one_round(path, seed, witness):
    """Two writers on one file, killed at different times; every third round a migration too."""
    errors = []

    def write(name):
        try:
            append_until_killed(path, name, seed, witness)
        except AssertionError as exc:
            errors.append(exc)

    writers = [threading.Thread(target=write, args=(name,)) for name in ("a", "b")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    if errors:
        raise errors[0]
    if path.exists() and int(seed.rpartition("-")[2]) % 3 == 0:
        migrate_until_killed(path, seed, witness)
    asyncio.run(check(path, witness))
