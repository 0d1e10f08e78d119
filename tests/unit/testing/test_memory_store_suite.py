"""Each check of the suite passes for a sound store, and catches a store that breaks it."""

import asyncio
import inspect
import sys
import time
import unicodedata
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import Phase, settings

from massgen_core.memory import Candidate, Health, Scope
from massgen_core.testing import MemoryStoreSuite

sys.path.insert(0, str(Path(__file__).parent))

from plain_store import Plain

NAN = float("nan")
ALL = frozenset({"durable", "files", "threads", "vectors", "words"})


class TestPlain(MemoryStoreSuite):
    capabilities = ALL - {"threads"}

    def store(self, folder):
        return Plain(folder)


def pairs(one, other):
    return zip(one.values(), other.values(), strict=True)


def compares(matches):
    """A store that compares the names of scopes in its own way."""

    class Comparing(Plain):
        async def search(self, query, vector, scope, k):
            self.ready()
            scopes = [owner for owner, _, _ in self.entries.values()]
            close = [
                owner
                for owner in dict.fromkeys(scopes)
                if all(not w or matches(w, o) for w, o in pairs(scope, owner))
            ]
            found = [await super(Comparing, self).search(query, vector, one, k) for one in close]
            hits = {hit.record_id: hit for hits in found for hit in hits}
            return sorted(hits.values(), key=lambda hit: -hit.score)[:k]

    return Comparing


def answers(change):
    """A store that does something to what it has found."""

    class Answering(Plain):
        async def search(self, query, vector, scope, k):
            return change(list(await super().search(query, vector, scope, k)), k)

    return Answering


def raises(name, when):
    """A store that raises what it should not, in one method."""

    def method(self, *args):
        if when(self, *args):
            raise RuntimeError("broken")
        return getattr(Plain, name)(self, *args)

    return type("Raising", (Plain,), {name: method})


class NoMethods:
    identity = "none/1"


class OtherIdentity(Plain):
    @property
    def identity(self):
        return str(id(self))


class Sick(Plain):
    async def health(self):
        return Health(ok=False, detail="cough")


class StartsAtOne(Plain):
    async def watermark(self):
        return max(1, await super().watermark())


class KeepsRemoved(Plain):
    async def apply(self, batch, /):
        removed = {
            c.record_id: self.entries[c.record_id] for c in batch if c.record_id in self.entries
        }
        await super().apply(batch)
        self.entries |= {k: v for k, v in removed.items() if k not in self.entries}


class KeepsOldText(Plain):
    async def apply(self, batch, /):
        await super().apply(
            [c for c in batch if c.record_id not in self.entries or c.op == "remove"]
        )
        self.seq = max([self.seq, *(c.seq for c in batch)])


class KeepsOldScope(Plain):
    async def apply(self, batch, /):
        known = {name: entry[0] for name, entry in self.entries.items()}
        await super().apply([replace(c, scope=known.get(c.record_id, c.scope)) for c in batch])


class FirstOfBatch(Plain):
    async def apply(self, batch, /):
        first = {c.record_id: c for c in reversed(batch)}
        await super().apply(list(first.values()))
        self.seq = max([self.seq, *(c.seq for c in batch)])


class RemovesLast(Plain):
    async def apply(self, batch, /):
        await super().apply(sorted(batch, key=lambda c: (c.op == "remove", c.seq)))


class OnlyAscii(Plain):
    async def apply(self, batch, /):
        await super().apply([replace(c, text=c.text.encode().decode("ascii")) for c in batch])


class OnlyWords(Plain):
    def usable(self, vector):
        return None


class OnlyVectors(Plain):
    def score(self, query, vector, text, mine):
        return super().score("", vector, "x", mine)


class Counts(Plain):
    async def apply(self, batch, /):
        before = self.seq
        await super().apply(batch)
        self.seq = before + len(batch)


class GoesBack(Plain):
    async def apply(self, batch, /):
        await super().apply(batch)
        self.seq = batch[-1].seq if batch else self.seq


class EmptyForgets(Plain):
    async def apply(self, batch, /):
        await super().apply(batch)
        self.seq = self.seq if batch else 0


class RebuildKeepsEntries(Plain):
    async def rebuild(self):
        self.seq = 0


class RebuildKeepsWatermark(Plain):
    async def rebuild(self):
        self.entries = {}


class ForgetsOnClose(Plain):
    async def close(self):
        (self.folder / "index.json").unlink(missing_ok=True)
        await super().close()


class ForgetsToEmpty(Plain):
    async def rebuild(self):
        self.entries, self.seq = {}, 0  # on disk it still is


class ClosesOnce(Plain):
    async def close(self):
        self.lock.release()
        self.lock = None


class LosesUpdates(Plain):
    async def apply(self, batch, /):
        self.ready()
        before = dict(self.entries)
        await asyncio.sleep(0)
        self.entries = before
        await super().apply(batch)


class BoundToALoop(Plain):
    loop = None

    async def apply(self, batch, /):
        self.loop = self.loop or asyncio.get_running_loop()
        if self.loop is not asyncio.get_running_loop():
            raise RuntimeError("attached to a different loop")
        await super().apply(batch)


class TornByThreads(Plain):
    async def apply(self, batch, /):
        self.ready()
        before = dict(self.entries)
        time.sleep(0.05)  # noqa: ASYNC251 - so that another thread comes between
        self.entries = before
        await super().apply(batch)


class TakesAnyVector(Plain):
    def usable(self, vector):
        return vector


class OneLength(Plain):
    def score(self, query, vector, text, mine):
        if vector and mine and len(vector) != len(mine):
            raise ValueError("shapes do not match")
        return super().score(query, vector, text, mine)


class TrustsTheClock(Plain):
    newest = 0.0

    async def apply(self, batch, /):
        if time.time() >= self.newest:
            self.newest = time.time()
            await super().apply(batch)
        self.seq = max([self.seq, *(c.seq for c in batch)])


class Trims(Plain):
    async def apply(self, batch, /):
        await super().apply(
            [replace(c, scope=Scope(*map(str.strip, c.scope.values()))) for c in batch]
        )

    async def search(self, query, vector, scope, k):
        return await super().search(query, vector, Scope(*map(str.strip, scope.values())), k)


def nfc(text):
    return unicodedata.normalize("NFKC", text)


BROKEN = {
    "no methods": (lambda _: NoMethods(), "is_a_memory_store"),
    "another identity each time": (OtherIdentity, "is_a_memory_store"),
    "always sick": (Sick, "a_new_one"),
    "never empty": (StartsAtOne, "a_new_one"),
    "finds nothing": (answers(lambda hits, k: []), "what_was_put"),
    "cannot store odd text": (OnlyAscii, "what_was_put"),
    "finds no words": (OnlyVectors, "words_alone"),
    "finds no vectors": (OnlyWords, "vector_alone"),
    "needs a vector": (raises("usable", lambda self, v: v is None), "without_a_vector"),
    "needs a query": (raises("search", lambda self, q, v, s, k: not q.strip()), "empty_or_blank"),
    "keeps removed records": (KeepsRemoved, "removed_record"),
    "keeps old texts": (KeepsOldText, "update_replaces"),
    "keeps old scopes": (KeepsOldScope, "record_that_moves"),
    "the first change of a batch wins": (FirstOfBatch, "within_a_batch"),
    "removes at the end of a batch": (RemovesLast, "within_a_batch"),
    "more than k": (answers(lambda hits, k: [*hits, Candidate("r0", 0.0)]), "at_most_k"),
    "worst first": (answers(lambda hits, k: hits[::-1]), "at_most_k"),
    "twice": (answers(lambda hits, k: (hits + hits)[:k]), "at_most_k"),
    "no number": (
        answers(lambda hits, k: [replace(h, score=float("nan")) for h in hits]),
        "at_most_k",
    ),
    "the watermark counts changes": (Counts, "watermark"),
    "the watermark goes back": (GoesBack, "watermark"),
    "an empty batch forgets the watermark": (EmptyForgets, "watermark"),
    "scopes are patterns": (compares(lambda w, o: fnmatchcase(o, w)), "no_scope"),
    "scopes are LIKE": (
        compares(lambda w, o: fnmatchcase(o, w.replace("%", "*").replace("_", "?"))),
        "no_scope",
    ),
    "scopes ignore case": (compares(lambda w, o: w.lower() == o.lower()), "no_scope"),
    "scopes are prefixes": (compares(lambda w, o: o.startswith(w)), "no_scope"),
    "scopes are normalised": (compares(lambda w, o: nfc(w) == nfc(o)), "no_scope"),
    "scopes end at NUL": (compares(lambda w, o: w.split("\0")[0] == o.split("\0")[0]), "no_scope"),
    "scopes are cut": (compares(lambda w, o: w[:255] == o[:255] and len(o) < 256), "no_scope"),
    "scopes are trimmed": (Trims, "no_scope"),
    "no scopes": (compares(lambda w, o: True), "no_scope"),
    "only whole scopes": (compares(lambda w, o: False), "no_scope"),
    "rebuild keeps entries": (RebuildKeepsEntries, "rebuild_empties"),
    "rebuild keeps the watermark": (RebuildKeepsWatermark, "rebuild_empties"),
    "forgets on close": (ForgetsOnClose, "opened_again"),
    "rebuild is not durable": (ForgetsToEmpty, "opened_again"),
    "closes once": (ClosesOnce, "closing_twice"),
    "loses updates": (LosesUpdates, "many_tasks"),
    "is bound to a loop": (BoundToALoop, "outlives_an_event_loop"),
    "is torn by threads": (TornByThreads, "many_threads"),
    "takes any vector": (TakesAnyVector, "vector_that_is_none"),
    "knows one length": (OneLength, "another_length"),
    "trusts the clock": (TrustsTheClock, "clock_that_jumps"),
    "any story: removal": (KeepsRemoved, "any_story"),
    "any story: scope": (KeepsOldScope, "any_story"),
    "any story: case": (compares(lambda w, o: w.lower() == o.lower()), "any_story"),
    "any story: reopening": (ForgetsOnClose, "any_story"),
}


@pytest.fixture
def no_shrinking():
    """That a story fails is enough here; the shortest one takes long to find."""
    before = settings()
    settings.register_profile("broken", parent=before, phases=[Phase.generate])
    settings.load_profile("broken")
    yield
    settings.register_profile("before", parent=before)
    settings.load_profile("before")


def fails(method, given):
    try:
        method(**given)
    except Exception:  # noqa: BLE001 - an assertion, or what the store raised
        return True
    return False


@pytest.mark.usefixtures("no_shrinking")
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_store_fails_its_check(name, tmp_path, monkeypatch):
    make, part = BROKEN[name]

    class Broken(MemoryStoreSuite):
        capabilities = ALL
        examples = 200

        def store(self, folder):
            return make(folder)

    [check] = [each for each in dir(Broken) if each.startswith("test_") and part in each]
    method = getattr(Broken(), check)
    given = {"tmp_path": tmp_path, "monkeypatch": monkeypatch}
    wanted = {key: given[key] for key in inspect.signature(method).parameters}
    assert fails(method, wanted)


def test_every_check_is_broken_by_some_store():
    checks = {name for name in dir(MemoryStoreSuite) if name.startswith("test_")}
    caught = {name for name in checks if any(part in name for _, part in BROKEN.values())}
    assert checks == caught
