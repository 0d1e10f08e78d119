"""A sound memory store in forty lines, which tests of the suites break in every way they know."""

import hashlib
import json
import math
import os
from pathlib import Path

from massgen_core.errors import StorageBusy, StorageError
from massgen_core.memory import Candidate, Health, Scope
from massgen_core.storage import FileLock


class Plain:
    identity = "plain/1"

    def __init__(self, folder):
        self.folder = Path(folder)
        self.lock = None
        self.seq, self.entries = 0, {}

    async def apply(self, batch, /):
        self.ready()
        entries, seq = dict(self.entries), self.seq
        for change in batch:
            entries.pop(change.record_id, None)
            if change.op == "put":
                entries[change.record_id] = (change.scope, change.text, self.usable(change.vector))
            seq = max(seq, change.seq)
        if batch:
            self.write(entries, seq)
        self.entries, self.seq = entries, seq

    async def search(self, query, vector, scope, k):
        self.ready()
        hits = [
            Candidate(record, self.score(query, self.usable(vector), text, mine))
            for record, (owner, text, mine) in self.entries.items()
            if scope.covers(owner)
        ]
        return sorted(hits, key=lambda hit: (-hit.score, hit.record_id))[:k]

    async def watermark(self):
        self.ready()
        return self.seq

    async def health(self):
        self.ready()
        return Health(ok=True)

    async def rebuild(self):
        self.ready()
        self.entries, self.seq = {}, 0
        self.write({}, 0)

    async def close(self):
        if self.lock is not None:
            self.lock.release()
            self.lock = None

    def ready(self):
        if self.lock is None:
            lock = FileLock(self.folder / "lock")
            if not lock.acquire():
                raise StorageBusy("open in another process")
            self.lock = lock
            self.entries, self.seq = self.read()

    def read(self):
        try:
            body, digest = (self.folder / "index.json").read_text("utf-8").rsplit("\n", 1)
            if digest != hashlib.sha256(body.encode()).hexdigest():
                return {}, 0
            seq, rows = json.loads(body)
        except (OSError, ValueError):
            return {}, 0
        return {record: (Scope(*scope), text, vector) for record, scope, text, vector in rows}, seq

    def write(self, entries, seq):
        rows = [
            (record, scope.values(), text, vec) for record, (scope, text, vec) in entries.items()
        ]
        body = json.dumps([seq, rows])
        new = self.folder / "index.json.new"
        try:
            new.write_text(f"{body}\n{hashlib.sha256(body.encode()).hexdigest()}", "utf-8")
            os.replace(new, self.folder / "index.json")  # noqa: PTH105 - as short
        except OSError as exc:
            raise StorageError(str(exc)) from exc

    def score(self, query, vector, text, mine):
        words, own = set(query.split()), set(text.split())
        shared = len(words & own) / max(1, len(words | own))
        if vector is None or mine is None or len(vector) != len(mine):
            return shared
        return shared + sum(map(float.__mul__, vector, mine)) / math.hypot(*vector) / math.hypot(
            *mine
        )

    def usable(self, vector):
        if not vector or not any(vector) or not all(map(math.isfinite, vector)):
            return None
        return list(vector)
