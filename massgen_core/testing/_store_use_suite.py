"""How a memory store is used: opened again, by many at once, by loop after loop, with odd input."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from massgen_core.errors import MassgenError
from massgen_core.memory import Change, Scope
from massgen_core.testing._memory_model import (
    ADA,
    ask,
    faults,
    names,
    outsiders,
    recover,
    toy_vector,
)
from massgen_core.testing._store_suite import StoreSuite
from massgen_core.testing._suite import requires

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


class StoreUseSuite(StoreSuite):
    """The second half of `MemoryStoreSuite`."""

    def test_rebuild_empties_it(self, tmp_path: Path) -> None:
        """Watermark 0, nothing found; the whole log again gives the same answers as before."""
        model = self.model()
        model.fill(20)
        model.remove("r3")

        async def main() -> None:
            async with self.opened(tmp_path) as store:
                await store.apply(model.log)
                before = [await names(store, change, ADA) for change in model.log[:20]]
                for _ in range(2):
                    await store.rebuild()
                    assert await store.watermark() == 0
                    assert await ask(store, model.log[0], ADA) == []
                await store.apply(model.log)
                assert [await names(store, change, ADA) for change in model.log[:20]] == before
                assert await faults(store, model) == []

        asyncio.run(main())

    @requires("durable")
    def test_it_is_as_it_was_when_it_is_opened_again(self, tmp_path: Path) -> None:
        """Also after it was emptied, and by another object of the same settings."""
        model = self.model()
        model.fill(10)

        async def main() -> None:
            for batch in (model.log[:4], model.log[4:], []):
                async with self.opened(tmp_path) as store:
                    await store.apply(batch)
            async with self.opened(tmp_path) as store:
                assert await store.watermark() == 10
                assert await faults(store, model) == []
                await store.rebuild()
            async with self.opened(tmp_path) as store:
                assert await store.watermark() == 0
                assert await ask(store, model.log[0], ADA) == []

        asyncio.run(main())

    def test_closing_twice_is_no_error(self, tmp_path: Path) -> None:
        """Nor is closing one that was never used."""

        async def main() -> None:
            unused, used = self.store(tmp_path / "unused"), self.store(tmp_path / "used")
            await used.apply([self.model().put("r1", "text")])
            for store in (unused, unused, used, used):
                await store.close()

        asyncio.run(main())

    def test_many_tasks_use_it_at_once(self, tmp_path: Path) -> None:
        """Nothing is lost, and searches meanwhile see whole records only."""
        model = self.model()
        model.fill(40)

        async def main() -> None:
            async with self.opened(tmp_path) as store:
                writes = [store.apply(model.log[n : n + 5]) for n in range(0, 40, 5)]
                writing = asyncio.gather(*writes)
                found = await asyncio.gather(*(ask(store, change, ADA) for change in model.log))
                await writing
                assert [outsiders(model, hits, ADA) for hits in found] == [[]] * 40
                assert await store.watermark() == 40
                assert await faults(store, model) == []

        asyncio.run(main())

    def test_it_outlives_an_event_loop(self, tmp_path: Path) -> None:
        """Callers that are not async run one loop after another."""
        model = self.model()
        model.fill(4)
        store = self.store(tmp_path)
        try:
            for change in model.log:
                asyncio.run(store.apply([change]))
            assert asyncio.run(faults(store, model)) == []
        finally:
            asyncio.run(store.close())

    @requires("threads")
    def test_many_threads_use_it_at_once(self, tmp_path: Path) -> None:
        """Each with a loop of its own."""
        model = self.model()
        model.fill(40)
        store = self.store(tmp_path)
        failed: list[BaseException] = []

        def work(batch: list[Change]) -> None:
            async def both() -> None:
                await store.apply(batch)
                hits = await asyncio.gather(*(ask(store, change, ADA) for change in batch))
                assert all(hits)

            try:
                asyncio.run(both())
            except BaseException as exc:  # noqa: BLE001 - told in the thread of the test
                failed.append(exc)

        threads = [
            threading.Thread(target=work, args=(model.log[n : n + 5],)) for n in range(0, 40, 5)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        try:
            assert failed == []
            assert asyncio.run(faults(store, model)) == []
        finally:
            asyncio.run(store.close())

    def test_a_vector_that_is_none_does_no_harm(self, tmp_path: Path) -> None:
        """NaN, infinity, zero, empty: refused with a typed error or ignored; the rest is found."""
        model = self.model()
        model.fill(5)
        rest = [0.5] * (self.dimensions - 1)
        bad = [[math.nan, *rest], [math.inf, *rest], [0.0] * self.dimensions, []]

        async def main() -> None:
            async with self.opened(tmp_path) as store:
                await store.apply(model.log)
                for number, vector in enumerate(bad):
                    with suppress(MassgenError):
                        odd = Change(90 + number, "put", "odd", Scope(user="odd"), "odd", vector)
                        await store.apply([odd])
                    with suppress(MassgenError):
                        hits = await store.search("odd", vector, ADA, 9)
                        assert outsiders(model, hits, ADA) == []
                await recover(store, model.log)
                assert await faults(store, model) == []

        asyncio.run(main())

    @requires("vectors")
    def test_vectors_of_another_length_do_no_harm(self, tmp_path: Path) -> None:
        """As after a change of the embedder: refused or ignored, and a rebuild puts it right."""
        model = self.model()
        model.fill(5)

        async def main() -> None:
            async with self.opened(tmp_path) as store:
                for change in model.log:
                    with suppress(MassgenError):
                        wrong = toy_vector(change.text, self.dimensions + 3)
                        await store.apply([Change(change.seq, "put", "w", ADA, "wrong", wrong)])
                await store.rebuild()
                await store.apply(model.log)
                with suppress(MassgenError):
                    hits = await store.search("", toy_vector("", self.dimensions + 3), ADA, 9)
                    assert outsiders(model, hits, ADA) == []
                with suppress(MassgenError):
                    wrong = toy_vector("", self.dimensions + 3)
                    await store.apply([Change(50, "put", "w", Scope(user="w"), "wrong", wrong)])
                await recover(store, model.log)
                assert await faults(store, model) == []

        asyncio.run(main())

    def test_a_clock_that_jumps_does_no_harm(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Order is that of the log, not that of the clock."""
        model = self.model()
        model.fill(6)
        jumps = iter((4e9, 1.0, 2e9, 0.0, 1e9, 3e9))

        async def main() -> None:
            async with self.opened(tmp_path) as store:
                for change in list(model.log):
                    now = next(jumps)
                    monkeypatch.setattr(time, "time", lambda now=now: now)
                    await store.apply([change, model.put(change.record_id, f"now {change.seq}")])
                assert await faults(store, model) == []
                health = await store.health()
                assert health.ok, health.detail

        asyncio.run(main())
