import asyncio
import sqlite3
from contextlib import closing

import pytest

from massgen_core.errors import (
    AccessDenied,
    InvalidArgument,
    LedgerCorrupt,
    RecordConflict,
    RecordNotFound,
    StorageReadOnly,
)
from massgen_core.memory import Memory, NewMemory, Scope

ADA = {"user": "ada"}
BOB = {"user": "bob"}


def texts(hits):
    return [hit.record.text for hit in hits]


def test_what_was_remembered_is_recalled_after_a_restart(run):
    async def tell(memory):
        return await memory.remember("The cat is called Miau.", scope=ADA, meta={"n": [1, None]})

    async def ask(memory):
        (hit,) = await memory.recall("How is the cat called?", scope=ADA)
        return hit.record

    record_id = run(tell)
    record = run(ask)
    assert (record_id, "The cat is called Miau.") == (record.id, record.text)
    assert {"n": [1, None]} == record.meta
    assert 1_750_000_000.0 == record.recorded_at


@pytest.mark.parametrize(
    "text", ["", "short", "long " * 50, "nul \0 inside", "lone \ud800", "🐈" * 40, "\0" * 200]
)
def test_any_text_comes_back_byte_by_byte(run, text):
    async def work(memory):
        return await memory.get(await memory.remember(text, scope=ADA))

    assert text == run(work).text


def test_a_scope_sees_what_it_covers_and_nothing_else(run):
    async def work(memory):
        await memory.remember("tea one", scope={**ADA, "session": "s1"})
        await memory.remember("tea two", scope={**ADA, "session": "s2"})
        await memory.remember("tea three", scope=BOB)
        await memory.remember("tea four", scope={"user": "a%a"})
        await memory.remember("tea five", scope={"user": "Ada"})
        scopes = [ADA, {**ADA, "session": "s2"}, {"user": "a_a"}, {"user": "%"}, [BOB, ADA]]
        return [sorted(texts(await memory.recall("tea", scope=scope))) for scope in scopes]

    ada, session, underscore, percent, both = run(work)
    assert ["tea one", "tea two"] == ada
    assert ["tea two"] == session
    assert [] == underscore
    assert [] == percent
    assert ["tea one", "tea three", "tea two"] == both


def test_calls_by_id_check_the_scope(run):
    async def work(memory):
        record_id = await memory.remember("secret", scope=ADA)
        for call in (
            memory.get(record_id, scope=BOB),
            memory.update(record_id, scope=BOB, text="mine"),
            memory.history(record_id, scope=BOB),
            memory.undo(record_id, scope=BOB),
            memory.invalidate(record_id, scope=BOB),
            memory.get(record_id, principal="bob"),
            memory.update(record_id, principal="bob", text="mine"),
        ):
            with pytest.raises(RecordNotFound):
                await call
        return (await memory.get(record_id, scope=ADA, principal="ada")).text

    assert "secret" == run(work)


def test_a_principal_needs_a_right_to_a_scope(run):
    team = {"team": "red"}

    async def work(memory):
        await memory.remember("plan", scope=team)
        with pytest.raises(AccessDenied, match="read"):
            await memory.recall("plan", scope=team, principal="ada")
        await memory.grant("ada", team)
        assert ["plan"] == texts(await memory.recall("plan", scope=team, principal="ada"))
        with pytest.raises(AccessDenied, match="write"):
            await memory.remember("mine", scope={**team, "agent": "x"}, principal="ada")
        await memory.grant("ada", team, ["write"])
        await memory.remember("mine", scope={**team, "agent": "x"}, principal="ada")
        with pytest.raises(AccessDenied):
            await memory.recall("plan", scope={}, principal="ada")
        with pytest.raises(AccessDenied):
            await memory.recall("plan", scope={"user": ""}, principal="")
        assert 1 == await memory.revoke("ada")
        with pytest.raises(AccessDenied):
            await memory.recall("plan", scope=team, principal="ada")

    run(work)


def test_a_private_memory_is_its_owners(run):
    async def work(memory):
        await memory.grant("bob", {})
        await memory.remember("diary", scope=ADA, owner="ada", visibility="private")
        return [
            texts(await memory.recall("diary", scope=ADA, principal=who))
            for who in ("ada", "bob", None)
        ]

    assert [["diary"], [], ["diary"]] == run(work)


def test_pinned_instructions_are_always_there(run):
    async def work(memory):
        await memory.remember("Answer in French.", scope=ADA, kind="instruction", pinned=True)
        await memory.remember("Bread needs yeast.", scope=ADA)
        await memory.remember("Pinned, but only said.", scope=ADA, pinned=True)
        return await memory.recall("What does bread need?", scope=ADA, k=1)

    hits = run(work)
    assert ["Answer in French.", "Bread needs yeast."] == texts(hits)
    assert {"pinned": 0.0} == hits[0].reasons


def test_recall_keeps_to_its_limits(run, clock):
    async def work(memory):
        for number in range(9):
            await memory.remember(f"apple {number} " + "word " * 20, scope=ADA, kind="fact")
        await memory.remember("apple pie", scope=ADA, expires_at=clock.now() + 1)
        (first, *_) = await memory.recall("apple", scope=ADA)
        assert 5 == len(await memory.recall("apple", scope=ADA))
        assert 8 == len(await memory.recall("apple", scope=ADA, k=8))
        assert 2 == len(await memory.recall("apple", scope=ADA, tokens=51, kinds=["fact"]))
        assert ["apple pie"] == texts(await memory.recall("apple", scope=ADA, kinds=["message"]))
        clock.time += 2
        assert [] == await memory.recall("apple", scope=ADA, kinds=["message"])
        rest = await memory.recall("apple", scope=ADA, k=50, exclude=[first.record.id])
        assert first.record.id not in [hit.record.id for hit in rest]
        for bad in ({"k": 0}, {"k": 1.5}, {"tokens": -1}):
            with pytest.raises(InvalidArgument):
                await memory.recall("apple", scope=ADA, **bad)

    run(work)


def test_what_is_larger_than_the_budget_takes_no_place(run):
    async def work(memory):
        for number in range(40):
            await memory.remember(f"{number} " + "giraffe " * 500, scope=ADA)
        await memory.remember("a giraffe lives", scope=ADA)
        await memory.remember("where a giraffe lives, " + "it is warm and dry, " * 5, scope=ADA)
        found = texts(await memory.recall("giraffe lives", scope=ADA, k=1, tokens=30))
        assert ["a giraffe lives"] == found
        assert 2 == len(await memory.recall("giraffe lives", scope=ADA, k=2, tokens=50))

    run(work)


def test_pinned_ones_have_half_of_the_budget_the_newest_first(run):
    async def work(memory):
        for number in range(20):
            await memory.remember(
                f"Instruction {number}: " + "be kind. " * 5,
                scope=ADA,
                kind="instruction",
                pinned=True,
            )
        await memory.remember("The cat of the house is called Miau.", scope=ADA)
        hits = texts(await memory.recall("cat", scope=ADA, tokens=60))
        assert hits == texts(await memory.recall("cat", scope=ADA, tokens=60))
        assert ["Instruction 19", "The cat of the house is called Miau."] == [
            text.partition(":")[0] for text in hits
        ]
        every = texts(await memory.recall("cat", scope=ADA))
        assert 21 == len(every)
        standing = (await memory.explain("cat", scope=ADA)).standing
        assert every[:20] == [record.text for record in standing]

    told = []
    run(work, told=lambda *what: told.append(what))
    assert [("ledger", "pinned memories without room in 60 tokens: 19")] == told


def test_an_update_makes_a_revision_and_can_be_undone(run):
    async def work(memory):
        record_id = await memory.remember("Lives in Oslo.", scope=ADA)
        changed = await memory.update(record_id, text="Lives in Rome.", expected_rev=1)
        assert ("Lives in Rome.", 2) == (changed.text, changed.rev)
        assert ["Lives in Rome."] == texts(await memory.recall("lives", scope=ADA))
        with pytest.raises(RecordConflict) as caught:
            await memory.update(record_id, text="Lives in Bonn.", expected_rev=1)
        assert (1, 2) == (caught.value.expected, caught.value.found)
        (back,) = await memory.undo(record_id)
        assert ("Lives in Oslo.", 3) == (back.text, back.rev)
        assert ["Lives in Oslo."] == texts(await memory.recall("lives", scope=ADA))
        return [(one.op, one.record.text) for one in await memory.history(record_id)]

    assert [
        ("create", "Lives in Oslo."),
        ("update", "Lives in Rome."),
        ("undo", "Lives in Oslo."),
    ] == run(work)


def test_an_update_that_changes_nothing_writes_nothing(run):
    async def work(memory):
        record_id = await memory.remember("same", scope=ADA)
        await memory.update(record_id, text="same", importance=0.5)
        return await memory.history(record_id)

    assert 1 == len(run(work))


def test_what_takes_the_place_of_another_supersedes_it_until_undone(run, clock):
    async def work(memory):
        old = await memory.remember("Lives in Oslo.", scope=ADA, kind="fact")
        clock.time += 100
        new = await memory.remember("Lives in Rome.", scope=ADA, kind="fact", supersedes=[old])
        assert ["Lives in Rome."] == texts(await memory.recall("lives", scope=ADA))
        superseded = await memory.get(old)
        assert ("superseded", clock.time) == (superseded.state, superseded.valid_to)
        states = {one.id: one.state for one in await memory.undo(new)}
        assert {old: "active", new: "invalidated"} == states
        assert ["Lives in Oslo."] == texts(await memory.recall("lives", scope=ADA))
        with pytest.raises(RecordNotFound):
            await memory.remember("Mine.", scope=BOB, supersedes=[old])
        assert [] == await memory.recall("mine", scope=BOB)

    run(work)


@pytest.mark.parametrize("since", [-1.0, 0.0, 1.0])
def test_what_is_superseded_was_true_until_the_other_is(run, since):
    async def work(memory):
        old = await memory.remember("Lives in Oslo.", scope=ADA, kind="fact")
        new = {"kind": "fact", "supersedes": [old], "valid_from": since}
        await memory.remember("Lives in Rome.", scope=ADA, **new)
        return (await memory.get(old)).valid_to

    assert since == run(work)


def test_remembering_again_under_an_id_changes_nothing(run):
    async def work(memory):
        one = NewMemory(text="once", scope=Scope(user="ada"), id="m-1")
        assert ["m-1", "m-1"] == await memory.remember_many([one, one])
        assert "m-1" == await memory.remember("once", scope=ADA, id="m-1")
        with pytest.raises(RecordConflict):
            await memory.remember("other", scope=ADA, id="m-1")
        assert 1 == len(await memory.history("m-1"))

    run(work)


def test_many_are_remembered_together_or_not_at_all(run):
    async def work(memory):
        news = [NewMemory(text=f"n{number}", scope=Scope(user="ada")) for number in range(2000)]
        ids = await memory.remember_many(news)
        assert 2000 == len(set(ids))
        assert "n1999" == (await memory.get(ids[-1])).text
        bad = [*news[:3], NewMemory(text="x", scope=Scope(user="ada"), supersedes=("nobody",))]
        with pytest.raises(RecordNotFound):
            await memory.remember_many(bad)
        assert [] == await memory.remember_many([])

    run(work)


def test_two_open_memories_see_each_others_writes(tmp_path):
    async def main():
        async with Memory.open(tmp_path) as one, Memory.open(tmp_path) as other:
            assert [] == await other.recall("tea", scope=ADA)
            record_id = await one.remember("tea time", scope=ADA)
            assert ["tea time"] == texts(await other.recall("tea", scope=ADA))
            await other.update(record_id, text="tea party")
            assert ["tea party"] == texts(await one.recall("tea", scope=ADA))
            await one.invalidate(record_id)
            assert [] == await other.recall("tea", scope=ADA)

    asyncio.run(main())


def test_uses_are_counted(run):
    async def ask(memory):
        await memory.remember("tea", scope=ADA, id="t")
        for _ in range(3):
            await memory.recall("tea", scope=ADA)

    async def look(memory):
        record = await memory.get("t")
        return record.use_count, record.last_used_at

    run(ask)
    assert (3, 1_750_000_000.0) == run(look)


def test_a_read_only_memory_recalls_and_refuses_to_write(run):
    async def tell(memory):
        await memory.remember("tea", scope=ADA)

    async def ask(memory):
        with pytest.raises(StorageReadOnly):
            await memory.remember("more", scope=ADA)
        return texts(await memory.recall("tea", scope=ADA))

    run(tell)
    assert ["tea"] == run(ask, read_only=True)


def test_damage_is_told_and_never_recalled(run, tmp_path):
    async def tell(memory):
        await memory.remember("tea with milk", scope=ADA, id="t")
        await memory.remember("tea without", scope=ADA)

    async def ask(memory):
        with pytest.raises(LedgerCorrupt, match="'t'"):
            await memory.get("t")
        return texts(await memory.recall("tea", scope=ADA))

    run(tell)
    with closing(sqlite3.connect(tmp_path / "massgen.db")) as conn, conn:
        conn.execute("UPDATE memory_log SET text = 'tea with salt' WHERE seq = 1")
    assert ["tea without"] == run(ask)


def test_what_an_older_truth_takes_the_place_of_does_not_end_before_it_began(run):
    async def work(memory):
        old = await memory.remember("Lives in Rome.", scope=ADA, valid_from=2000.0)
        await memory.remember("Lives in Oslo.", scope=ADA, valid_from=1000.0, supersedes=[old])
        record = await memory.get(old)
        assert (2000.0, 2000.0) == (record.valid_from, record.valid_to)

    run(work)
