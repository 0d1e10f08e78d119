import asyncio
import os
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from massgen_core.errors import LedgerCorrupt, MassgenError, RecordNotFound
from massgen_core.memory import Grant, Memory, NewMemory, Scope

ADA = {"user": "ada"}
LONG = "The secret word is Zyzzyva. " * 20


def damage(folder, statement, *given):
    with closing(sqlite3.connect(folder / "massgen.db")) as conn, conn:
        conn.execute(statement, given)


async def three(memory):
    await memory.remember("one", scope=ADA, id="1")
    await memory.remember("two", scope=ADA, id="2")
    await memory.update("2", text="two again")
    await memory.remember(LONG, scope=ADA, id="3")
    await memory.grant("carl", ADA)


async def verify(memory):
    return await memory.verify()


def test_nothing_is_wrong_with_what_was_just_written(run):
    run(three)
    report = run(verify)
    assert (True, 4, 3) == (report.ok, report.entries, report.records)


@pytest.mark.parametrize(
    ("statement", "place", "back"),
    [
        ("UPDATE memory_log SET text = 'eins' WHERE seq = 1", "log 1", "two again"),
        ("UPDATE memory_log SET body = '{}' WHERE seq = 3", "log 3", "two"),
        ("UPDATE memory_log SET digest = x'00' WHERE seq = 2", "log 2", "two again"),
        ("UPDATE memory_log SET at = 1 WHERE seq = 3", "log 3", "two again"),
        ("UPDATE memory_log SET rev = 'x' WHERE seq = 3", "log 3", "two again"),
        ("UPDATE memory_log SET record = 1 WHERE seq = 3", "log 3", "two again"),
        ("UPDATE memory_log SET hash = x'ff' WHERE seq = 4", "log 4", "two again"),
        ("DELETE FROM memory_log WHERE seq = 2", "log 3", "two again"),
        ("DELETE FROM memory_record WHERE number = 2", "record number 2", "two again"),
        ("UPDATE memory_record SET scope = 99 WHERE number = 2", "record 2", "two again"),
        ("UPDATE memory_record SET state = 'superseded' WHERE number = 2", "record 2", "two again"),
        ("UPDATE memory_scope SET user = 'bob'", "record 1", "two again"),
        ("UPDATE blob SET data = x'00'", "log 4", "two again"),
        ("UPDATE memory_grant SET rights = 'read,write'", "grants", "two again"),
        ("UPDATE memory_grant SET user = 'bob'", "grants", "two again"),
    ],
)
def test_damage_is_named_and_mended(run, tmp_path, statement, place, back):
    run(three)
    damage(tmp_path, statement)
    report = run(verify)
    assert not report.ok
    assert place in [problem.place for problem in report.problems]

    async def mend(memory):
        await memory.repair()
        assert (await memory.verify()).problems == ()
        assert await memory.grants() in ([], [Grant("carl", Scope(user="ada"), ("read",))])
        return {hit.record.id: hit.record.text for hit in await memory.recall("two", scope=ADA)}

    assert back == run(mend)["2"]
    assert 1 == len(list(tmp_path.glob("massgen.db.damaged-*")))


def test_a_record_goes_back_to_its_last_intact_revision(run, tmp_path):
    run(three)
    damage(tmp_path, "UPDATE memory_log SET text = 'zwei' WHERE seq = 3")

    async def mend(memory):
        mended = await memory.repair()
        return mended, await memory.get("2"), await memory.get("3")

    mended, record, other = run(mend)
    assert (("2",), (), 1) == (mended.restored, mended.lost, mended.entries)
    assert ("two", 3, LONG) == (record.text, record.rev, other.text)


def test_what_is_lost_is_said(run, tmp_path):
    run(three)
    damage(tmp_path, "UPDATE memory_log SET text = 'eins' WHERE seq = 1")

    async def mend(memory):
        return (await memory.repair()).lost, (await memory.get("1")).state

    assert (("1",), "tombstone") == run(mend)


async def repair(memory):
    return await memory.repair()


async def texts(memory):
    found = [await memory.get(one) for one in ("1", "2", "3")]
    return [one.text for one in found]


def test_what_the_end_of_the_log_lost_is_named(run, tmp_path):
    run(three)
    damage(tmp_path, "DELETE FROM memory_log WHERE seq >= 2")

    lost = [(one.place, one.lost) for one in run(verify).problems if "record" in one.place]
    assert [("record 2", True), ("record 3", True)] == lost
    with pytest.raises(LedgerCorrupt, match="lost its newest entries"):
        run(lambda memory: memory.remember("four", scope=ADA, id="4"))
    mended = run(repair)
    assert ((), ("2", "3"), 3) == (mended.restored, mended.lost, mended.entries)
    assert run(verify).ok
    run(lambda memory: memory.remember("four", scope=ADA, id="4"))
    assert run(texts) == ["one", "", ""]
    assert run(verify).ok


def test_a_record_of_which_the_newest_entry_is_gone_goes_back(run, tmp_path):
    run(three)
    damage(tmp_path, "DELETE FROM memory_log WHERE seq = 3")

    assert ["log 4", "record 2"] == [one.place for one in run(verify).problems if one.lost]
    assert ("2",) == run(repair).restored
    assert run(texts) == ["one", "two", LONG]


def test_what_damage_took_comes_back_from_a_snapshot_and_from_an_archive(run, tmp_path):
    run(three)
    run(lambda memory: memory.snapshot())
    run(lambda memory: memory.export(tmp_path / "archive"))
    run(lambda memory: memory.forget("1"))
    damage(tmp_path, "UPDATE memory_log SET text = 'zwei' WHERE seq IN (2, 3)")
    damage(tmp_path, "DELETE FROM memory_log WHERE seq = 4")
    assert ("2", "3") == run(repair).lost

    async def imported(memory):
        await memory.import_(tmp_path / "archive")
        assert (await memory.import_(tmp_path / "archive")).entries == 0
        return await texts(memory)

    async def restored(memory):
        await memory.restore((await memory.snapshots())[-1].path)
        return await texts(memory)

    aside = tmp_path / "aside"
    shutil.copy(tmp_path / "massgen.db", aside)
    assert run(imported) == ["", "two again", LONG]
    shutil.copy(aside, tmp_path / "massgen.db")
    assert run(restored) == ["", "two again", LONG]
    assert run(verify).ok


def test_what_was_forgotten_is_not_lost_and_does_not_come_back(run, tmp_path):
    run(three)
    run(lambda memory: memory.snapshot())
    run(lambda memory: memory.forget("2"))
    damage(tmp_path, "DELETE FROM memory_log WHERE op = 'forget'")

    mended = run(repair)
    assert ((), ()) == (mended.restored, mended.lost)

    async def restored(memory):
        await memory.restore((await memory.snapshots())[-1].path)
        return await texts(memory)

    assert run(restored) == ["one", "", LONG]


def test_erased_entries_of_which_nothing_tells_whose_they_were_are_lost(run, tmp_path):
    run(three)
    run(lambda memory: memory.forget("2"))
    damage(tmp_path, "DELETE FROM memory_log WHERE op = 'forget'")
    damage(tmp_path, "DELETE FROM memory_record WHERE id = '2'")
    assert ("lost-2",) == run(repair).lost
    assert run(verify).ok
    assert () == run(repair).lost


def test_recall_says_what_is_damaged_and_left_out(run, tmp_path):
    run(three)
    damage(tmp_path, "UPDATE memory_log SET text = 'eins' WHERE seq = 1")
    told = []

    async def recalled(memory):
        hits = await memory.recall("one two", scope=ADA)
        await memory.recall("one", scope=ADA)
        return [hit.record.id for hit in hits]

    assert "1" not in run(recalled, told=lambda *what: told.append(what))
    [(name, why)] = told
    assert "ledger" == name
    assert "memory '1' is damaged" in why


def test_a_page_that_sqlite_finds_untidy_is_written_anew(run, tmp_path):
    run(three)
    file = tmp_path / "massgen.db"
    with closing(sqlite3.connect(file)) as conn:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'memory_log'"
        (page,) = conn.execute(query).fetchone()
    data = bytearray(file.read_bytes())
    data[(page - 1) * 4096 + 7] ^= 8  # bytes that are free in pieces; see SQLite's file format
    file.write_bytes(data)

    assert "Fragmentation" in run(verify).problems[0].what
    assert () == run(repair).lost
    assert run(verify).ok
    assert run(texts) == ["one", "two again", LONG]


def test_repairing_what_is_intact_changes_nothing(run, tmp_path):
    run(three)
    before = (tmp_path / "massgen.db").read_bytes()

    async def mend(memory):
        return await memory.repair()

    assert 0 == run(mend).entries
    assert before == (tmp_path / "massgen.db").read_bytes()


def test_what_is_forgotten_is_nowhere_in_the_files(run, tmp_path):
    async def tell(memory):
        await three(memory)
        await memory.remember("Zyzzyva, short", scope=ADA, id="4")
        await memory.update("4", text="not any more")
        await memory.remember("A fact about it", scope=ADA, id="5", kind="fact", source_ids=["3"])
        await memory.remember("A fact of a fact", scope=ADA, id="6", kind="fact", source_ids=["5"])
        await memory.recall("secret", scope=ADA)

    async def forget(memory):
        receipt = await memory.forget(["3", "4"], scope=ADA)
        assert [] == [
            hit.record.id for hit in await memory.recall("secret fact Zyzzyva", scope=ADA)
        ]
        assert (await memory.verify()).ok
        history = await memory.history("4")
        assert [("create", None), ("update", None)] == [(one.op, one.record) for one in history[:2]]
        assert ("forget", "tombstone") == (history[2].op, history[2].record.state)
        with pytest.raises(MassgenError):
            await memory.undo("4")
        return receipt

    run(tell)
    receipt = run(forget)
    assert (("3", "4", "5", "6"), ("5", "6")) == (receipt.ids, receipt.derived)
    assert receipt.scrubbed
    for path in tmp_path.iterdir():
        if path.is_file():
            assert b"Zyzzyva" not in path.read_bytes()
            assert b"fact of a fact" not in path.read_bytes()


def test_a_text_that_others_still_have_is_kept_for_them(run):
    async def work(memory):
        await memory.remember(LONG, scope=ADA, id="1")
        await memory.remember(LONG, scope={"user": "bob"}, id="2")
        await memory.forget("1")
        assert (await memory.verify()).ok
        return (await memory.get("2")).text

    assert LONG == run(work)


def test_nothing_is_forgotten_outside_the_scope(run):
    async def work(memory):
        await three(memory)
        await memory.remember("bob's", scope={"user": "bob"}, id="b")
        with pytest.raises(RecordNotFound):
            await memory.forget(["1", "b"], scope=ADA)
        return (await memory.get("1")).text

    assert "one" == run(work)


def test_no_flipped_bit_is_silent(tmp_path):
    """Each is refused at opening, reported by verify, or changes nothing that is read."""

    async def fill():
        async with Memory.open(tmp_path) as memory:
            news = [
                NewMemory(text=f"number {n} " * (1 + n % 30), scope=Scope(user="ada"), id=f"r{n}")
                for n in range(60)
            ]
            await memory.remember_many(news)

    async def read():
        async with Memory.open(tmp_path) as memory:
            report = await memory.verify()
            hits = await memory.recall("number", scope=ADA, k=100)
            return report.ok, sorted((hit.record.id, hit.record.text) for hit in hits)

    asyncio.run(fill())
    path = tmp_path / "massgen.db"
    whole = path.read_bytes()
    _, truth = asyncio.run(read())
    dice = random.Random(7)
    outcomes = []
    for _ in range(40):
        torn = bytearray(whole)
        torn[dice.randrange(len(torn))] ^= 1 << dice.randrange(8)
        path.write_bytes(torn)
        for other in ("-wal", "-shm"):
            path.with_name(path.name + other).unlink(missing_ok=True)
        try:
            ok, found = asyncio.run(read())
        except MassgenError:
            outcomes.append("refused")
        else:
            assert not ok or found == truth
            outcomes.append("harmless" if ok else "reported")
    assert {"reported", "harmless"} <= set(outcomes)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no names of open files")
def test_the_damaged_file_is_on_disk_elsewhere_before_it_is_mended(run, tmp_path, monkeypatch):
    synced, fsync = [], os.fsync

    def noting(fd):
        synced.append(Path(f"/proc/self/fd/{fd}").readlink().name)
        fsync(fd)

    async def mend(memory):
        monkeypatch.setattr(os, "fsync", noting)
        await memory.repair()

    run(three)
    damage(tmp_path, "UPDATE memory_log SET text = 'eins' WHERE seq = 1")
    run(mend)
    (kept,) = tmp_path.glob("massgen.db.damaged-*")
    assert kept.name in synced
