"""The conformance suite of memory stores; what faults do to them is in the fault suite."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from massgen_core.memory import Change, Scope
from massgen_core.plugin._protocols import missing_members
from massgen_core.testing._memory_model import (
    ADA,
    ODD_NAMES,
    ODD_TEXTS,
    ask,
    faults,
    names,
    outsiders,
)
from massgen_core.testing._memory_story import Story
from massgen_core.testing._store_use_suite import StoreUseSuite
from massgen_core.testing._suite import requires

if TYPE_CHECKING:
    from pathlib import Path


class MemoryStoreSuite(StoreUseSuite):
    """Subclass it, say how to make the store, and run pytest.

    Capabilities: ``durable``: what was applied is there when the folder is opened again;
    ``files``: the index is in files in the folder (for `MemoryStoreFaultSuite`); ``threads``: one
    store may be used in several threads at once; ``vectors``: it finds by the vector alone;
    ``words``: it finds by the text alone.

    Attributes:
        examples: How many stories Hypothesis tells.

    Examples:
        class TestChroma(MemoryStoreSuite):
            capabilities = frozenset({"durable", "files", "threads", "vectors"})

            def store(self, folder):
                return installed_memory_store("chroma", {"path": str(folder)})
    """

    examples: ClassVar[int] = 25

    def test_is_a_memory_store(self, tmp_path: Path) -> None:
        """It has the Protocol's members, and the same identity each time it is made."""
        store = self.store(tmp_path)
        assert missing_members("memory_store", store) == ()
        assert isinstance(store.identity, str)
        assert store.identity
        assert self.store(tmp_path).identity == store.identity

    def test_a_new_one_is_empty_and_well(self, tmp_path: Path) -> None:
        """Watermark 0, nothing found, healthy."""

        async def main() -> None:
            async with self.opened(tmp_path) as store:
                assert await store.watermark() == 0
                assert list(await store.search("tea", self.vector("tea"), ADA, 5)) == []
                health = await store.health()
                assert health.ok, health.detail

        asyncio.run(main())

    def test_what_was_put_is_found(self, tmp_path: Path) -> None:
        """By its own text and vector, before all others; whatever the text is."""
        model = self.model()
        for number, text in enumerate(ODD_TEXTS):
            model.put(f"r{number}", f"{text} key{number}")

        async def main() -> None:
            async with self.opened(tmp_path) as store:
                await store.apply(model.log)
                assert await faults(store, model) == []
                health = await store.health()
                assert health.ok, health.detail

        asyncio.run(main())

    @requires("vectors")
    def test_the_vector_alone_finds(self, tmp_path: Path) -> None:
        """Whatever the words of the query are."""
        model = self.model()
        model.fill(20)

        async def main() -> None:
            async with self.opened(tmp_path) as store:
                await store.apply(model.log)
                for name, change in model.records.items():
                    hits = await store.search("something else", change.vector, ADA, 3)
                    assert hits[0].record_id == name

        asyncio.run(main())

    @requires("words")
    def test_the_words_alone_find(self, tmp_path: Path) -> None:
        """Without an embedder, changes and queries have no vector."""
        model = self.model()
        for change in self.model().fill(20):
            model.note(Change(change.seq, "put", change.record_id, ADA, change.text))

        async def main() -> None:
            async with self.opened(tmp_path) as store:
                await store.apply(model.log)
                assert await faults(store, model) == []

        asyncio.run(main())

    def test_changes_without_a_vector_are_taken(self, tmp_path: Path) -> None:
        """The watermark moves on, and the store stays healthy."""

        async def main() -> None:
            async with self.opened(tmp_path) as store:
                await store.apply([Change(3, "put", "r1", ADA, "no vector yet")])
                assert await store.watermark() == 3
                health = await store.health()
                assert health.ok, health.detail

        asyncio.run(main())

    def test_what_is_empty_or_blank_does_no_harm(self, tmp_path: Path) -> None:
        """As the text of a record and as a query."""
        model = self.model()
        model.fill(3)

        async def main() -> None:
            async with self.opened(tmp_path) as store:
                vector = self.vector("")
                blank = Change(9, "put", "blank", Scope(user="blank"), "", vector)
                await store.apply([*model.log, blank])
                assert await store.watermark() == 9
                for query in ("", " \n", "\0"):
                    for asked in (None, vector):
                        hits = await store.search(query, asked, ADA, 9)
                        assert outsiders(model, hits, ADA) == []
                assert await faults(store, model) == []

        asyncio.run(main())

    def test_an_update_replaces_what_was_there(self, tmp_path: Path) -> None:
        """The record is found by what it says now; another may take over its old words."""
        model = self.model()
        model.fill(4)
        model.put("r1", "quite another thing")
        model.put("r9", "memory number1")

        async def main() -> None:
            async with self.opened(tmp_path) as store:
                for change in model.log:
                    await store.apply([change])
                assert await faults(store, model) == []

        asyncio.run(main())

    def test_a_removed_record_is_not_found(self, tmp_path: Path) -> None:
        """And removing what never was there is no error."""
        model = self.model()
        model.fill(6)
        for record in ("r1", "r4", "never"):
            model.remove(record)

        async def main() -> None:
            async with self.opened(tmp_path) as store:
                await store.apply(model.log[:6])
                await store.apply(model.log[6:])
                assert await faults(store, model) == []

        asyncio.run(main())

    def test_within_a_batch_the_last_change_of_a_record_counts(self, tmp_path: Path) -> None:
        """Put, removed and put again, all at once."""
        model = self.model()
        model.put("r1", "first thoughts")
        model.remove("r1")
        model.put("r2", "second thoughts")
        model.put("r1", "third thoughts")
        model.remove("r2")

        async def main() -> None:
            async with self.opened(tmp_path) as store:
                await store.apply(model.log)
                assert await faults(store, model) == []

        asyncio.run(main())

    def test_at_most_k_come_best_first(self, tmp_path: Path) -> None:
        """No record twice, no score that is no number."""
        model = self.model()
        model.fill(12)

        async def main() -> None:
            async with self.opened(tmp_path) as store:
                await store.apply(model.log)
                for k in (0, 1, 2, 12, 1000):
                    hits = await ask(store, model.log[0], ADA, k)
                    assert len(hits) <= min(k, 12)
                    assert outsiders(model, hits, ADA) == []
                    assert not k or hits[0].record_id == "r0"

        asyncio.run(main())

    def test_the_watermark_is_the_last_change(self, tmp_path: Path) -> None:
        """It grows over gaps; neither an empty batch nor one that comes again moves it back."""
        model = self.model()
        batches = [[model.put(f"r{seq}", f"text {seq}", gap=seq)] for seq in (1, 4, 2)]

        async def main() -> None:
            async with self.opened(tmp_path) as store:
                for batch, seq in zip(batches, (1, 5, 7), strict=True):
                    await store.apply(batch)
                    assert await store.watermark() == seq
                for batch in ([], batches[-1], batches[0]):
                    await store.apply(batch)
                    assert await store.watermark() == 7
                assert await faults(store, model) == []

        asyncio.run(main())

    def test_no_scope_sees_into_another(self, tmp_path: Path) -> None:
        """Names are compared byte by byte, in every field; an empty one does not narrow."""
        model = self.model()
        for number, name in enumerate(ODD_NAMES):
            scope = Scope(user=name, session="s1") if number % 2 else Scope(tenant=name, run=name)
            model.put(f"r{number}", f"memory number{number}", scope)
        asked = [change.scope for change in model.log]
        asked += [Scope(user=name) for name in ODD_NAMES] + [Scope(agent="ada"), Scope(run="s1")]

        async def main() -> None:
            async with self.opened(tmp_path) as store:
                await store.apply(model.log)
                for scope in asked:
                    hits = await ask(store, model.log[0], scope, 100)
                    assert outsiders(model, hits, scope) == []
                assert await faults(store, model) == []
                for change in model.log:
                    assert change.record_id in await names(store, change, Scope())

        asyncio.run(main())

    def test_a_record_that_moves_leaves_its_old_scope(self, tmp_path: Path) -> None:
        """Its scope is that of the last change."""
        model = self.model()
        before = model.put("r1", "a secret", Scope(user="ada"))
        after = model.put("r1", "a secret", Scope(user="bob"))

        async def main() -> None:
            async with self.opened(tmp_path) as store:
                await store.apply([before])
                await store.apply([after])
                assert await names(store, before, Scope(user="ada")) == []
                assert await names(store, before, Scope(user="bob")) == ["r1"]

        asyncio.run(main())

    def test_any_story_ends_well(self, tmp_path: Path) -> None:
        """Changes, searches, rebuilds and reopenings in any order, compared with a dict."""
        numbers = itertools.count()

        class OfThisStore(Story):
            def __init__(story) -> None:  # noqa: N805 - self is the suite
                folder = tmp_path / str(next(numbers))
                super().__init__(
                    lambda: self.store(folder),
                    durable="durable" in self.capabilities,
                    dimensions=self.dimensions,
                )

        run_state_machine_as_test(
            OfThisStore,
            settings=settings(
                max_examples=self.examples,
                stateful_step_count=15,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
