import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from massgen_core.memory import Memory, NewMemory, Proposal, Scope, Summaries

ADA = {"user": "ada"}
BOB = {"user": "bob"}
DAY = 86_400.0


async def states(memory):
    found = await memory.timeline({}, states=("active", "superseded", "invalidated"))
    return {one.id: one.state for one in found}


class Summary:
    """Summarises with a given text, and remembers what it was shown."""

    identity = "summary/1"

    def __init__(self, text="They talked about tea.", **fields):
        self.shown = []
        self.fields = {"text": text, "kind": "summary", **fields}

    async def extract(self, messages, known, /):
        self.shown.append([one.text for one in messages])
        return [Proposal(**{"source_ids": [one.id for one in messages], **self.fields})]


def test_what_says_the_same_becomes_one_and_can_be_undone(run):
    async def work(memory):
        fact = {"scope": ADA, "kind": "fact", "trust": 0.5}
        one, two = [await memory.remember(text, scope=ADA) for text in ("one", "two")]
        first = await memory.remember(
            "Ada is allergic to nuts", **fact, source_ids=[one], importance=0.2, tags=["a"]
        )
        second = await memory.remember(
            "Ada is very allergic to nuts.", **fact, source_ids=[two], importance=0.9, tags=["b"]
        )
        before = await states(memory)
        done = await memory.consolidate(ADA)
        assert {first, second} == set(done.superseded)
        (new_id,) = done.merged
        new = await memory.get(new_id)
        assert "Ada is very allergic to nuts." == new.text
        assert {one, two} == set(new.source_ids)
        assert {"a", "b"} == set(new.tags)
        assert (0.5, 0.9, "merge/1") == (new.trust, new.importance, new.producer)
        assert {one: "active", two: "active"}.items() <= (await states(memory)).items()
        assert ((), ()) == ((await memory.consolidate(ADA)).merged, done.summaries)
        await memory.undo(new_id)
        assert {**before, new_id: "invalidated"} == await states(memory)

    run(work)


def test_only_what_is_one_memory_is_merged(run):
    text = "Ada likes green tea"

    async def work(memory):
        for fields in (
            {"scope": ADA, "kind": "fact"},
            {"scope": BOB, "kind": "fact"},
            {"scope": {**ADA, "agent": "x"}, "kind": "fact"},
            {"scope": ADA, "kind": "note"},
            {"scope": ADA, "kind": "fact", "trust": 0.3},
            {"scope": ADA, "kind": "fact", "owner": "ada", "visibility": "private"},
            {"scope": ADA, "kind": "fact", "owner": "bob", "visibility": "private"},
            {"scope": ADA, "kind": "fact", "event_time": 1000},
            {"scope": ADA, "kind": "fact", "event_time": 2000},
            {"scope": ADA, "kind": "message"},
            {"scope": ADA, "kind": "message"},
        ):
            await memory.remember(text, **fields)
        return await memory.consolidate({})

    done = run(work)
    assert ((), (), ()) == (done.merged, done.superseded, done.summaries)


def test_old_messages_get_a_summary_and_stay(run, clock):
    async def work(memory):
        said = [
            await memory.remember(f"tea {number}", scope={**ADA, "session": "s1"}, trust=0.6)
            for number in range(5)
        ]
        clock.time += 40 * DAY
        await memory.remember("new", scope={**ADA, "session": "s1"}, trust=0.6)
        summary = Summary()
        done = await memory.consolidate(ADA, summaries=summary)
        assert [[f"tea {number}" for number in range(5)]] == summary.shown
        (made,) = [await memory.get(one) for one in done.summaries]
        assert ("summary", tuple(said), "summary/1") == (made.kind, made.source_ids, made.producer)
        assert (0.54, Scope(user="ada")) == (made.trust, made.scope)
        assert set(said) <= {
            key for key, state in (await states(memory)).items() if state == "active"
        }
        assert () == (await memory.consolidate(ADA, summaries=summary)).summaries
        narrow = {**ADA, "session": "s1"}
        assert () == (await memory.consolidate(narrow, summaries=summary)).summaries
        await memory.undo(made.id)
        assert 1 == len((await memory.consolidate(ADA, summaries=summary)).summaries)

    run(work)


def test_all_of_one_call_is_one_change(run, clock):
    async def work(memory):
        for number in range(4):
            await memory.remember(f"tea {number}", scope=ADA)
        old = [await memory.remember("Ada sings", scope=ADA, kind="fact") for _ in range(2)]
        before = await states(memory)
        clock.time += 40 * DAY
        done = await memory.consolidate(ADA, summaries=Summary())
        new = [*done.merged, *done.summaries]
        assert 2 == len(new)
        batches = {(await memory.history(one))[-1].batch for one in (*old, *new)}
        assert 1 == len(batches)
        await memory.undo(done.summaries[0])
        assert {**before, **dict.fromkeys(new, "invalidated")} == await states(memory)

    run(work)


def test_a_summary_that_cannot_be_used_is_told_and_nothing_is_lost(run, clock):
    told = []

    class Broken:
        identity = "broken/1"

        async def extract(self, messages, known, /):
            raise RuntimeError("no model")

    async def mute(instructions, text, /):
        return ""

    async def work(memory):
        for number in range(4):
            await memory.remember(f"tea {number}", scope=ADA)
        clock.time += 40 * DAY
        before = await states(memory)
        for bad in (
            *(Broken(), Summaries(mute), Summary(text=" "), Summary(kind="fact")),
            Summary(source_ids=["no such"]),
        ):
            done = await memory.consolidate(ADA, summaries=bad)
            assert () == done.summaries
            assert 1 == len(done.refused)
        assert before == await states(memory)

    run(work, told=lambda name, reason: told.append((name, reason)))
    assert {"summaries"} == {name for name, _ in told}
    assert 5 == len(told)


@pytest.mark.parametrize("change", ["forget", "update", "invalidate"])
def test_what_changes_while_a_summary_is_written_is_in_none(run, clock, change):
    async def work(memory):
        changes = {"update": {"text": "coffee"}}

        class Slow(Summary):
            async def extract(self, messages, known, /):
                await getattr(memory, change)(messages[0].id, **changes.get(change, {}))
                return await super().extract(messages, known)

        for number in range(4):
            await memory.remember(f"tea {number}", scope=ADA)
        clock.time += 40 * DAY
        return await memory.consolidate(ADA, summaries=Slow())

    done = run(work)
    assert ((), 1) == (done.summaries, len(done.refused))


WORDS = st.lists(st.sampled_from(["tea", "ada", "not", "likes", "very"]), min_size=1, max_size=6)
FACT = st.fixed_dictionaries(
    {
        "text": WORDS.map(" ".join),
        "trust": st.sampled_from([0.3, 0.9]),
        "kind": st.sampled_from(["fact", "preference", "message"]),
        "pinned": st.booleans(),
        "expires_at": st.sampled_from([None, 4e9, 5e9]),
    }
)


@settings(max_examples=40, deadline=None)
@given(st.lists(FACT, max_size=10))
def test_consolidation_loses_nothing_and_undo_takes_all_of_it_back(tmp_path_factory, facts):
    async def main():
        async with Memory.open(tmp_path_factory.mktemp("m")) as memory:
            await memory.remember_many(
                [NewMemory(scope=Scope(user="ada"), **each) for each in facts]
            )
            before = {one.id: one for one in await memory.timeline({})}
            done = await memory.consolidate(ADA)
            after = {one.id: one for one in await memory.timeline({})}
            if done.merged:
                await memory.undo(done.merged[0])
            back = {one.id: one for one in await memory.timeline({})}
            return before, done, after, back, (await memory.verify()).ok

    before, done, after, back, sound = asyncio.run(main())
    assert sound
    assert before.keys() <= after.keys()
    assert {key: (one.text, one.state) for key, one in before.items()} == {
        key: (one.text, one.state) for key, one in back.items()
    }
    for key in done.merged:
        group = [before[one] for one in after[key].supersedes]
        assert min(one.trust for one in group) == after[key].trust
        assert any(one.pinned for one in group) == after[key].pinned
        assert after[key].text in {one.text for one in group}
        assert {"superseded"} == {after[one.id].state for one in group}
        assert "message" not in {one.kind for one in group}
    assert all(after[key].state == "active" for key in before.keys() - set(done.superseded))
