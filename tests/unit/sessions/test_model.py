"""Random use of a store beside a model of it that is a dictionary of lists."""

import asyncio
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from massgen_core.sessions import NewEntry, SessionStore

bodies = st.dictionaries(
    st.sampled_from(["a", "$blob", "text"]),
    st.one_of(st.integers(), st.text(max_size=5), st.sampled_from(["long one " * 20, "x" * 300])),
    max_size=2,
)


class Sessions(RuleBasedStateMachine):
    ids = Bundle("ids")
    exports = Bundle("exports")

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.loop = asyncio.new_event_loop()
        self.store = self.run(self.opened())
        self.model = {}
        self.count = 0

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    async def opened(self):
        return await SessionStore.open(self.folder / "x.db", synchronous="normal")

    def new_id(self):
        self.count += 1
        return f"s{self.count}"

    async def append_to(self, session_id, groups):
        async with self.store.open_session(session_id, create=True) as session:
            known = [dict(entry.body) for entry in session.entries]
            for group in groups:
                await session.append(*[NewEntry("note", body) for body in group])
        return known

    @rule(target=ids)
    def create(self):
        session_id = self.new_id()
        self.run(self.append_to(session_id, []))
        self.model[session_id] = []
        return session_id

    @rule(session_id=ids, groups=st.lists(st.lists(bodies, max_size=3), max_size=3))
    def append(self, session_id, groups):
        known = self.run(self.append_to(session_id, groups))
        assert known == self.model[session_id]
        self.model[session_id] = known + [body for group in groups for body in group]

    @rule(target=ids, session_id=ids, share=st.floats(0, 1))
    def fork(self, session_id, share):
        at = int(share * len(self.model[session_id]))
        new_id = self.new_id()
        self.run(self.store.fork(session_id, at=at, new_id=new_id))
        self.model[new_id] = self.model[session_id][:at]
        return new_id

    @rule(session_id=consumes(ids))
    def delete(self, session_id):
        self.run(self.store.delete(session_id))
        del self.model[session_id]

    @rule(target=exports, session_id=ids)
    def export(self, session_id):
        async def lines():
            return [line async for line in self.store.export(session_id)]

        return self.run(lines()), list(self.model[session_id])

    @rule(target=ids, exported=exports)
    def import_it(self, exported):
        lines, entries = exported
        new_id = self.new_id()
        self.run(self.store.import_(lines, new_id=new_id))
        self.model[new_id] = list(entries)
        return new_id

    @rule()
    def reopen(self):
        self.run(self.store.aclose())
        self.store = self.run(self.opened())

    @invariant()
    def the_store_is_the_model(self):
        infos = {info.id: info.entries for info in self.run(self.store.list())}
        assert infos == {session_id: len(found) for session_id, found in self.model.items()}
        for session_id, expected in self.model.items():
            entries = self.run(self.store.read(session_id))
            assert [entry.body for entry in entries] == expected
        assert self.run(self.store.verify()).problems == ()

    def teardown(self):
        self.run(self.store.aclose())
        self.loop.close()
        shutil.rmtree(self.folder)


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=12, stateful_step_count=15, deadline=None)
