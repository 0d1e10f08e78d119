"""Stories of a memory store, told by Hypothesis: any order of changes, searches and reopenings."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from massgen_core.memory import Scope
from massgen_core.testing._memory_model import Model, ask, faults, outsiders

if TYPE_CHECKING:
    from collections.abc import Callable

    from massgen_core.memory import MemoryStore

_RECORDS = st.sampled_from([f"r{n}" for n in range(6)])
_NAMES = st.sampled_from(("", "ada", "Ada", "ada ", "%", "*", "ä", "a\u0308"))  # few: they meet
_SCOPES = st.builds(Scope, user=_NAMES, session=st.sampled_from(("", "s1")))
_TEXTS = st.builds("{} key{}".format, st.text(max_size=12), st.integers(0, 8))


class Story(RuleBasedStateMachine):
    """Does to a store and to the model whatever Hypothesis thinks of, and compares them.

    Args:
        open_store: Opens the store of this story, again and again.
        durable: Whether closing it keeps what it holds.
        dimensions: Of the vectors.
    """

    def __init__(
        self, open_store: Callable[[], MemoryStore], *, durable: bool, dimensions: int
    ) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.open_store = open_store
        self.durable = durable
        self.store = open_store()
        self.model = Model(dimensions)

    @rule(record=_RECORDS, text=_TEXTS, scope=_SCOPES, gap=st.integers(1, 3))
    def put(self, record: str, text: str, scope: Scope, gap: int) -> None:
        """A record is new, or changes its text, or its scope."""
        self.loop.run(self.store.apply([self.model.put(record, text, scope, gap=gap)]))

    @rule(record=_RECORDS)
    def remove(self, record: str) -> None:
        """A record is removed, whether it is there or not."""
        self.loop.run(self.store.apply([self.model.remove(record)]))

    @rule(record=_RECORDS, texts=st.lists(_TEXTS, min_size=1, max_size=3), scope=_SCOPES)
    def change_often(self, record: str, texts: list[str], scope: Scope) -> None:
        """One batch that changes its mind."""
        batch = [self.model.put(record, texts[0], scope), self.model.remove(record)]
        batch += [self.model.put(record, text, scope) for text in texts[1:]]
        self.loop.run(self.store.apply(batch))

    @precondition(lambda self: self.model.log)
    @rule()
    def apply_again(self) -> None:
        """The last change comes again, as after a crash."""
        self.loop.run(self.store.apply(self.model.log[-1:]))

    @precondition(lambda self: self.model.log)
    @rule()
    def build_anew(self) -> None:
        """It is emptied, and gets the whole log."""
        self.loop.run(self._build_anew())

    @precondition(lambda self: self.durable)
    @rule()
    def reopen(self) -> None:
        """It is closed and opened."""
        self.loop.run(self.store.close())
        self.store = self.open_store()

    @rule(scope=_SCOPES, text=_TEXTS, k=st.integers(0, 8))
    def search(self, scope: Scope, text: str, k: int) -> None:
        """Whatever is asked, nothing comes from elsewhere."""
        probe = Model(self.model.dimensions).put("probe", text, scope)
        hits = self.loop.run(ask(self.store, probe, scope, k))
        assert len(hits) <= k
        assert outsiders(self.model, hits, scope) == []

    def teardown(self) -> None:
        """In the end everything is found, and the watermark is right."""
        try:
            assert self.loop.run(self.store.watermark()) == self.model.seq
            assert self.loop.run(faults(self.store, self.model)) == []
        finally:
            self.loop.run(self.store.close())
            self.loop.close()

    async def _build_anew(self) -> None:
        await self.store.rebuild()
        assert await self.store.watermark() == 0
        assert await ask(self.store, self.model.log[-1], Scope()) == []
        await self.store.apply(self.model.log)
