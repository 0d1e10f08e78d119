"""Plugins of memory that tests look into."""

import asyncio

from massgen_core.memory import Candidate, Health


class Letters:
    """An embedder that counts letters; `fails` times it fails first."""

    def __init__(self, letters="aeiou", fails=0):
        self.identity = f"letters/{letters}"
        self.dimensions = len(letters)
        self.letters = letters
        self.fails = fails
        self.made = []

    async def embed(self, texts, /, *, purpose):
        if self.fails:
            self.fails -= 1
            raise RuntimeError("no model")
        if purpose == "document":
            self.made += texts
        return [[1.0 + text.count(letter) for letter in self.letters] for text in texts]

    async def close(self):
        pass


class Index:
    """An index in memory that knows what was done with it; it may be slow, or broken."""

    identity = "index/1"

    def __init__(self):
        self.rows, self.seq, self.rebuilds = {}, 0, 0
        self.broken, self.applied, self.searches = False, [], 0
        self.ready = asyncio.Event()
        self.ready.set()

    async def apply(self, batch, /):
        await self.ready.wait()
        self.applied += batch
        for change in batch:
            self.rows[change.record_id] = change.vector
            self.seq = max(self.seq, change.seq)

    async def search(self, query, vector, scope, k):
        self.searches += 1
        return [Candidate(key, 1.0) for key in self.rows][:k]

    async def watermark(self):
        return self.seq

    async def health(self):
        return Health(ok=True)

    async def rebuild(self):
        if self.broken:
            raise RuntimeError("no disk")
        self.rows, self.seq = {}, 0
        self.rebuilds += 1

    async def close(self):
        pass
