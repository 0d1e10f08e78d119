import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from massgen_core.errors import InvalidArgument, RecordNotFound
from massgen_core.memory import Memory, MemoryRecord, NewMemory, Retention, Scope, worth

ADA = {"user": "ada"}
BOB = {"user": "bob"}
DAY = 86_400.0


def ids(removals):
    return [one.record.id for one in removals]


def long_texts():
    """Texts that cannot be compressed by much."""
    random = Random(7)
    return [f"secret {random.randbytes(2000).hex()}" for _ in range(100)]


def texts(hits):
    return [hit.record.text for hit in hits]


async def states(memory, wanted):
    return [(await memory.get(one)).state for one in wanted]


def test_what_expired_is_marked_then_purged_after_the_grace(run, clock):
    async def work(memory):
        kept = await memory.remember("tea stays", scope=ADA)
        gone = await memory.remember(
            "tea goes", scope=ADA, expires_at=clock.now() + 10, pinned=True
        )
        clock.time += 11
        first = await memory.gc()
        assert [(gone, "expired")] == [(one.record.id, one.reason) for one in first.marked]
        assert () == first.purged
        assert ["active", "invalidated"] == await states(memory, [kept, gone])
        assert "expire" == (await memory.history(gone))[-1].op
        clock.time += 7 * DAY - 1
        assert () == (await memory.gc()).purged
        clock.time += 1
        last = await memory.gc()
        assert [(gone, "grace_over")] == [(one.record.id, one.reason) for one in last.purged]
        assert ["active", "tombstone"] == await states(memory, [kept, gone])
        assert "purge" == (await memory.history(gone))[-1].op
        with pytest.raises(RecordNotFound):
            await memory.undo(gone)
        assert (await memory.verify()).ok

    run(work)


def test_what_was_marked_can_be_brought_back(run, clock):
    async def work(memory):
        record_id = await memory.remember("tea", scope=ADA, expires_at=clock.now() + 1)
        clock.time += 2
        await memory.gc()
        await memory.undo(record_id)
        await memory.update(record_id, expires_at=None)
        assert () == (await memory.gc()).marked
        clock.time += 30 * DAY
        assert () == (await memory.gc()).purged
        return texts(await memory.recall("tea", scope=ADA))

    assert ["tea"] == run(work)


def test_bringing_back_what_is_adas_leaves_bobs_alone(run, clock):
    async def work(memory):
        ada = await memory.remember("tea", scope=ADA, expires_at=clock.now() + 1)
        bob = await memory.remember("tea", scope=BOB, expires_at=clock.now() + 1)
        clock.time += 2
        await memory.gc()
        await memory.undo(ada, principal="ada")
        return await states(memory, [ada, bob])

    assert ["active", "invalidated"] == run(work)


def test_a_dry_run_says_what_a_run_does_and_changes_nothing(run, clock, tmp_path):
    policy = Retention(max_records=3, grace=5, keep_superseded=5)

    async def fill(memory):
        old = await memory.remember("lives in Oslo", scope=ADA, kind="fact")
        await memory.remember("lives in Rome", scope=ADA, kind="fact", supersedes=[old])
        wrong = await memory.remember("wrong", scope=ADA)
        await memory.invalidate(wrong)
        for number in range(6):
            await memory.remember(f"tea {number}", scope=ADA, importance=number / 10)
        await memory.remember("short", scope=ADA, expires_at=clock.now() + 1)
        clock.time += 10

    async def dry(memory):
        return await memory.gc(policy, dry_run=True)

    def content():
        with closing(sqlite3.connect(tmp_path / "massgen.db")) as conn:
            return list(conn.iterdump())

    run(fill)
    before = content()
    planned = run(dry)
    assert before == content()
    assert run(dry, read_only=True) == planned
    done = run(lambda memory: memory.gc(policy))
    assert planned.dry_run
    assert not done.dry_run
    assert replace(planned, dry_run=False) == replace(done, freed=0)
    assert ["expired"] + ["over_records"] * 4 == [one.reason for one in done.marked]
    assert ["lives in Oslo", "wrong"] == [one.record.text for one in done.purged]
    assert ["superseded", "invalidated"] == [one.reason for one in done.purged]


def test_a_cap_pushes_out_what_is_worth_least_and_nothing_pinned(run, clock):
    async def work(memory):
        pinned = await memory.remember("p", scope=ADA, importance=0.0, pinned=True)
        used = await memory.remember("gold digger", scope=ADA, importance=0.5)
        unused = await memory.remember("x", scope={**ADA, "session": "s1"}, importance=0.5)
        high = await memory.remember("y", scope={**ADA, "session": "s2"}, importance=0.9)
        bobs = [await memory.remember("z", scope=BOB, importance=0.0) for _ in range(3)]
        clock.time += 20 * DAY
        assert "gold digger" == texts(await memory.recall("gold", scope=ADA, k=1))[0]
        done = await memory.gc(Retention(max_records=3))
        assert [unused] == ids(done.marked)
        assert pytest.approx(0.5 * 2 ** (-20 / 30)) == done.marked[0].worth
        done = await memory.gc(Retention(max_records=1), scope=ADA)
        assert [used, high] == ids(done.marked)
        assert ["active"] * 4 == await states(memory, [pinned, *bobs])
        done = await memory.gc(Retention(max_bytes=2), scope=BOB)
        assert [(bobs[0], "over_bytes")] == [(one.record.id, one.reason) for one in done.marked]

    run(work)


def test_a_scope_caps_only_what_it_covers(run):
    async def work(memory):
        for session in ("s2", "s1"):
            for number in range(3):
                await memory.remember(f"tea {number}", scope={**ADA, "session": session})
        done = await memory.gc(Retention(max_records=1), scope={**ADA, "session": "s1"})
        return [one.record.scope.session for one in done.marked]

    assert ["s1", "s1"] == run(work)


def test_growth_is_told_from_four_fifths_of_a_cap_on(run):
    told = []

    async def work(memory):
        for number in range(8):
            if number == 7:
                assert () == (await memory.gc(Retention(max_records=10))).alarms
            await memory.remember(f"{number}", scope=ADA)
        done = await memory.gc(Retention(max_records=10))
        assert () == done.marked
        return done.alarms

    alarms = run(work, told=lambda name, reason: told.append((name, reason)))
    assert ("user=ada has 8 of 10 memories",) == alarms
    assert [("ledger", alarms[0])] == told


def test_a_purge_leaves_what_was_derived_and_a_restore_does_not_bring_it_back(run, clock):
    async def work(memory):
        said = await memory.remember("I moved to the secret Rome flat.", scope=ADA)
        fact = await memory.remember(
            "Ada lives in Rome.", scope=ADA, kind="fact", source_ids=[said]
        )
        asked = await memory.remember("forget me", scope=ADA)
        copy = await memory.snapshot()
        await memory.invalidate(said)
        clock.time += 2
        await memory.gc(Retention(keep_superseded=1))
        await memory.forget(asked)
        assert ["tombstone", "active"] == await states(memory, [said, fact])
        await memory.restore(copy.path)
        assert ["tombstone", "active", "tombstone"] == await states(memory, [said, fact, asked])
        assert "purge" == (await memory.history(said))[-1].op
        assert b"secret" not in memory.path.read_bytes()
        assert (await memory.verify()).ok

    run(work)


def test_purging_gives_room_back(run, clock):
    async def work(memory):
        await memory.remember("stays", scope=ADA)
        for text in long_texts():
            await memory.remember(text, scope=ADA, expires_at=clock.now() + 1)
        clock.time += 2
        await memory.gc(Retention(grace=0))
        before = (await memory.stats()).disk.file
        done = await memory.gc(Retention(grace=0))
        after = (await memory.stats()).disk
        assert 100 == len(done.purged)
        assert done.freed >= 100_000
        assert before > after.file == memory.path.stat().st_size
        assert 0 == after.free
        assert (await memory.verify()).ok

    run(work, synchronous="normal")


def test_a_file_that_cannot_give_room_back_can_after_it_was_compacted(tmp_path, run, clock):
    async def fill(memory):
        for text in long_texts():
            await memory.remember(text, scope=ADA, expires_at=clock.now() + 1)

    def older():
        with closing(sqlite3.connect(tmp_path / "massgen.db", isolation_level=None)) as conn:
            conn.execute("PRAGMA auto_vacuum = NONE")
            conn.execute("VACUUM")

    async def work(memory):
        clock.time += 2
        await memory.gc(Retention(grace=0))
        assert 0 == (await memory.gc(Retention(grace=0))).freed
        before = memory.path.stat().st_size
        assert before - await memory.compact() == memory.path.stat().st_size < before
        assert 0 == await memory.compact()
        return (await memory.verify()).ok

    async def again(memory):
        await fill(memory)
        clock.time += 2
        await memory.gc(Retention(grace=0))
        return (await memory.gc(Retention(grace=0))).freed

    run(fill, synchronous="normal")
    older()
    assert run(work)
    assert run(again, synchronous="normal") > 0


@pytest.mark.parametrize(
    "bad", [{"max_records": 0}, {"max_bytes": -1}, {"half_life": 0.0}, {"grace": -1.0}]
)
def test_a_policy_that_makes_no_sense_is_refused(bad):
    with pytest.raises(InvalidArgument, match=min(bad)):
        Retention(**bad)


def test_worth_halves_while_unused_and_slower_the_more_it_was_used():
    record = MemoryRecord(text="x", scope=Scope(), recorded_at=0.0, importance=0.8)
    assert 0.8 == worth(record, 0.0, 100.0)
    assert 0.4 == worth(record, 100.0, 100.0)
    assert 0.4 == worth(replace(record, use_count=3, last_used_at=100.0), 500.0, 100.0)
    assert 0.8 == worth(record, -50.0, 100.0)
    assert 0.0 == worth(record, 1e300, 1e-3)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(
        st.tuples(st.integers(0, 30), st.booleans(), st.floats(0, 1)), min_size=1, max_size=15
    ),
    most=st.integers(1, 10),
    room=st.integers(1, 150),
)
def test_after_a_collection_every_cap_holds_or_only_pinned_are_left(
    tmp_path_factory, sizes, most, room
):
    async def main():
        async with Memory.open(tmp_path_factory.mktemp("m")) as memory:
            news = [
                NewMemory(text="x" * size, scope=Scope(user="ada"), pinned=pinned, importance=share)
                for size, pinned, share in sizes
            ]
            await memory.remember_many(news)
            policy = Retention(max_records=most, max_bytes=room)
            planned = await memory.gc(policy, dry_run=True, now=4e9)
            done = await memory.gc(policy, now=4e9)
            assert planned.marked == done.marked
            left = await memory.timeline(ADA)
            again = await memory.gc(policy, now=4e9)
            return news, done, left, again

    news, done, left, again = asyncio.run(main())
    assert not any(one.record.pinned for one in done.marked)
    fits = len(left) <= most and sum(len(one.text) for one in left) <= room
    assert fits or all(one.pinned for one in left)
    assert len(news) == len(left) + len(done.marked)
    assert () == again.marked
    worths = [one.worth for one in done.marked]
    assert sorted(worths) == worths
    if done.marked:  # the last one had to go
        back = [*left, done.marked[-1].record]
        assert len(back) > most or sum(len(one.text) for one in back) > room
