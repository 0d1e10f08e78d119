import asyncio
import gc
import sqlite3
import threading

import pytest

from massgen_core.errors import (
    InvalidArgument,
    SessionConflict,
    SessionError,
    SessionExists,
    SessionLocked,
    SessionNotFound,
    StorageReadOnly,
)
from massgen_core.messages import assistant, user
from massgen_core.sessions import Entry, NewEntry, SessionStore

LONG = "a text that is long enough to be a blob of its own, " * 4


def said(text, tokens=5):
    return NewEntry.message(user(text), tokens, "words")


async def begin(store, session_id="s", *texts):
    async with store.create(session_id) as session:
        for text in texts:
            await session.append(said(text))


async def drop(store):
    await store.create("s")
    gc.collect()


async def heard(store, session_id="s", **options):
    return [entry.message.text for entry in await store.read(session_id, **options)]


def test_what_was_appended_is_there_in_another_process(place):
    place.run(lambda store: begin(store, "s", "one", LONG))
    assert place.run(heard) == ["one", LONG]


def test_append_gives_the_entries_their_place_and_time(place):
    async def main(store):
        async with store.create("s") as session:
            first = await session.append(said("a"), NewEntry("note", {"x": 1}))
            second = await session.append(said("b"))
            assert await session.append() == ()
            return first + second

    entries = place.run(main)
    assert [(entry.seq, entry.kind, entry.tokens) for entry in entries] == [
        (1, "message", 5),
        (2, "note", 0),
        (3, "message", 5),
    ]
    assert entries[0].created_at == entries[1].created_at < entries[2].created_at
    assert len({entry.id for entry in entries}) == 3
    assert place.run(lambda store: store.read("s")) == list(entries)


def test_entries_appended_together_are_on_disk_together_or_not_at_all(place):
    async def main(store):
        async with store.create("s") as session:
            with pytest.raises(InvalidArgument):
                await session.append(said("a"), NewEntry("note", {"x": object()}))
            await session.append(said("b"))
        return await heard(store)

    assert place.run(main) == ["b"]


@pytest.mark.parametrize(
    "entry",
    [
        NewEntry("nonsense", {}),
        NewEntry("note", {}, tokens=-1),
        NewEntry("note", {}, tokens=1.5),
        NewEntry("note", {}, tokens=1 << 64),
        NewEntry("note", {}, tokenizer="\ud800"),
        NewEntry("note", {"x": float("nan")}),
    ],
)
def test_an_entry_that_cannot_be_stored_is_refused(place, entry):
    async def main(store):
        async with store.create("s") as session:
            with pytest.raises(InvalidArgument):
                await session.append(entry)

    place.run(main)


def test_appends_of_many_tasks_are_flushed_together_in_order(place):
    async def main(store):
        async with store.create("s") as session:
            before = store._database.commits
            await asyncio.gather(*(session.append(said(str(n))) for n in range(200)))
            return store._database.commits - before, await heard(store)

    commits, texts = place.run(main)
    assert commits < 60
    assert texts == [str(n) for n in range(200)]


def test_a_cancelled_append_leaves_a_session_that_goes_on(place):
    async def main(store):
        async with store.create("s") as session:
            for number in range(50):
                task = asyncio.ensure_future(session.append(said(f"maybe {number}")))
                await asyncio.sleep(0.0002 * (number % 5))
                task.cancel()
                await asyncio.wait([task])
                await session.append(said(str(number)))
        texts = await heard(store)
        assert [text for text in texts if "maybe" not in text] == [str(n) for n in range(50)]
        return await store.verify()

    assert place.run(main).ok


@pytest.mark.parametrize(
    "wrong", ["../x", "a/b", " ", "a b", ".hidden", "x" * 129, "a\n", "ü", "\ud800", "C:x"]
)
def test_a_session_needs_an_id_that_is_no_path(place, wrong):
    async def main(store):
        for call in (
            store.create,
            store.open_session,
            store.read,
            store.info,
            store.fork,
            store.delete,
            store.verify,
        ):
            with pytest.raises(InvalidArgument, match="session id"):
                await call(wrong)

    place.run(main)


def test_an_id_is_made_up_if_none_is_given(place):
    async def main(store):
        async with store.create() as one, store.create() as two:
            return {one.id, two.id} == {info.id for info in await store.list()}

    assert place.run(main)


def test_a_session_is_created_once(place):
    async def main(store):
        await begin(store)
        with pytest.raises(SessionExists):
            await store.create("s")
        async with store.open_session("s", create=True) as session:
            assert session.resumed is not None
        async with store.open_session("new", create=True) as session:
            assert session.resumed is None

    place.run(main)


def test_a_session_that_is_not_there_is_not_found(place):
    async def main(store):
        for call in (
            lambda: store.open_session("s"),
            lambda: store.info("s"),
            lambda: store.read("s"),
            lambda: store.fork("s"),
            lambda: store.delete("s"),
            lambda: store.verify("s"),
            lambda: anext(store.export("s")),
        ):
            with pytest.raises(SessionNotFound):
                await call()

    place.run(main)
    assert not list(place.path.parent.glob("*.locks/*"))


def test_a_second_writer_is_turned_away_until_the_first_has_closed(place):
    async def main(store):
        async with place.open() as other, store.create("s") as first:
            with pytest.raises(SessionLocked, match="process"):
                await other.open_session("s")
            with pytest.raises(SessionLocked):
                await store.delete("s")
            await first.append(said("a"))
            assert await heard(other) == ["a"]
            await first.aclose()
            async with other.open_session("s") as second:
                await second.append(said("b"))
        return await heard(store)

    assert place.run(main) == ["a", "b"]


def test_a_writer_that_lost_its_lock_finds_a_conflict_not_a_corrupt_journal(place):
    """Someone removed the lock file, or the file system has no locks."""

    async def main(store):
        async with place.open() as other, store.create("s") as first:
            await first.append(said("a"))
            for lock in place.path.parent.glob("*.locks/*"):
                lock.unlink()
            async with other.open_session("s") as second:
                await second.append(said("b"))
                with pytest.raises(SessionConflict):
                    await first.append(said("lost"))
                await second.append(said("c"))
            assert await heard(store) == ["a", "b", "c"]
            return await store.verify()

    assert place.run(main).ok


def test_a_journal_that_went_back_is_a_conflict(place):
    async def main(store):
        async with store.create("s") as session:
            await session.append(said("a"))
            await session.append(said("b"))
            columns = ("head_seq", "head_hash", "messages", "tokens", "active_at", "head_sum")
            [head] = place.sql(f"SELECT {', '.join(columns)} FROM session")  # noqa: S608
            await session.append(said("c"))
            place.sql("DELETE FROM entry WHERE seq = 3")
            place.sql(f"UPDATE session SET {' = ?, '.join(columns)} = ?", *head)  # noqa: S608
            with pytest.raises(SessionConflict):
                await session.append(said("d"))
        return await store.verify()

    assert place.run(main).ok


def test_a_closing_session_keeps_its_lock_until_what_was_asked_for_is_done(place):
    async def main(store):
        async with place.open() as other:
            session = await store.create("s")
            gate = threading.Event()
            begun = threading.Event()
            busy = store._database.write(lambda _: (begun.set(), gate.wait(10)))
            write = asyncio.ensure_future(busy)
            await asyncio.to_thread(begun.wait, 10)
            closing = asyncio.ensure_future(session.aclose())
            await asyncio.sleep(0.05)
            with pytest.raises(SessionLocked):
                await other.open_session("s")
            gate.set()
            await asyncio.gather(write, closing)
            async with other.open_session("s"):
                pass

    place.run(main)


def test_a_closed_session_says_so(place):
    async def main(store):
        session = await store.create("s")
        await session.aclose()
        await session.aclose()
        with pytest.raises(SessionError, match="is closed"):
            await session.append(said("a"))

    place.run(main)


def test_closing_the_store_closes_its_sessions(place):
    async def main():
        store = await place.open()
        session = await store.create("s")
        await store.aclose()
        async with place.open() as other, other.open_session("s"):
            pass
        with pytest.raises(SessionError, match="is closed"):
            await session.append(said("a"))

    asyncio.run(main())


def test_a_session_that_is_collected_open_warns_and_gives_its_lock_back(place):
    async def main(store):
        with pytest.warns(ResourceWarning, match="never closed"):
            await drop(store)
        async with store.open_session("s"):
            pass

    place.run(main)


def test_reading_can_be_narrowed(place):
    async def main(store):
        async with store.create("s") as session:
            for number in range(1, 7):
                await session.append(said(str(number)), NewEntry("note", {"n": number}))
        return (
            [entry.seq for entry in await store.read("s", start=3, stop=6)],
            [entry.seq for entry in await store.read("s", kinds=["note"], start=3)],
            await store.read("s", kinds=[]),
            [entry.seq for entry in await store.read("s", start=-5, stop=2)],
        )

    assert place.run(main) == ([3, 4, 5], [4, 6, 8, 10, 12], [], [1])


def test_the_list_counts_and_dates(place):
    async def main(store):
        async with store.create("a", title="First", meta={"team": "red"}) as session:
            await session.append(said("x", 7), NewEntry("note", {}), said("y", 4))
        await begin(store, "b")
        return await store.list()

    first, second = sorted(place.run(main), key=lambda info: info.id)
    assert (first.title, first.meta, first.entries, first.messages, first.tokens) == (
        "First",
        {"team": "red"},
        3,
        2,
        11,
    )
    assert first.created_at < first.active_at < second.created_at == second.active_at
    assert (first.origin, first.parent_id, first.damage) == ("a", None, ())


def test_a_title_or_meta_that_cannot_be_stored_is_refused(place):
    async def main(store):
        with pytest.raises(InvalidArgument):
            await store.create("s", title="\ud800")
        with pytest.raises(InvalidArgument):
            await store.create("s", meta={"x": object()})
        await begin(store)

    place.run(main)


def test_a_clock_that_goes_backwards_hurts_nothing(place):
    place.clock.step = -3600.0

    async def main(store):
        await begin(store, "s", *"abc")
        async with store.open_session("s") as session:
            await session.append(said("d"))
        return await heard(store), await store.verify(), await store.read("s")

    texts, report, entries = place.run(main)
    assert texts == list("abcd")
    assert report.ok
    assert [entry.created_at for entry in entries] == sorted(
        (entry.created_at for entry in entries), reverse=True
    )


@pytest.mark.parametrize("now", [float("nan"), float("inf"), -1.0, 1e30])
def test_a_clock_that_lost_its_mind_hurts_nothing(place, now):
    place.clock.now_, place.clock.step = now, 0.0

    async def main(store):
        await begin(store, "s", "a")
        return await heard(store), await store.verify()

    texts, report = place.run(main)
    assert texts == ["a"]
    assert report.ok


def test_a_message_of_five_megabytes_comes_back(place):
    text = "".join(chr(32 + n % 90) for n in range(5_000_000))
    place.run(lambda store: begin(store, "s", text))
    assert place.run(heard) == [text]


def test_a_fork_shares_what_was_said_and_goes_its_own_way(place):
    async def main(store):
        await begin(store, "s", "a", LONG, "c")
        info = await store.fork("s", at=2, new_id="t")
        async with store.open_session("t") as session:
            await session.append(said("other"))
        async with store.open_session("s") as session:
            await session.append(said("d"))
        assert (info.parent_id, info.parent_seq, info.origin, info.entries) == ("s", 2, "s", 2)
        assert await heard(store, "t") == ["a", LONG, "other"]
        assert await heard(store, "s") == ["a", LONG, "c", "d"]
        return await store.verify()

    assert place.run(main).ok


def test_a_text_is_on_disk_once_however_many_forks_there_are(place):
    async def main(store):
        await begin(store, "s", LONG)
        for number in range(5):
            await store.fork("s", new_id=f"t{number}")
            await store.fork(f"t{number}")
        await begin(store, "elsewhere", LONG)

    place.run(main)
    assert place.sql("SELECT count(*) FROM blob") == [(1,)]
    assert place.sql("SELECT count(*) FROM entry WHERE body LIKE ?", f"%{LONG[:30]}%") == [(0,)]


def test_an_open_session_can_be_forked(place):
    async def main(store):
        async with store.create("s") as session:
            await session.append(said("a"))
            info = await store.fork("s")
            await session.append(said("b"))
        return await heard(store, info.id)

    assert place.run(main) == ["a"]


def test_a_fork_at_nothing_is_empty(place):
    async def main(store):
        await begin(store, "s", "a")
        await store.fork("s", at=0, new_id="t")
        async with store.open_session("t") as session:
            await session.append(said("b"))
        return await heard(store, "t"), await store.verify()

    texts, report = place.run(main)
    assert texts == ["b"]
    assert report.ok


@pytest.mark.parametrize("at", [-1, 2])
def test_a_fork_at_an_entry_that_is_not_there_is_refused(place, at):
    async def main(store):
        await begin(store, "s", "a")
        with pytest.raises(InvalidArgument, match="no entry"):
            await store.fork("s", at=at)
        with pytest.raises(SessionExists):
            await store.fork("s", new_id="s")

    place.run(main)


def test_deleting_removes_all_that_nobody_else_has(place):
    async def main(store):
        await begin(store, "s", LONG, "only here " * 30)
        await store.fork("s", at=1, new_id="t")
        await store.delete("s")
        assert [info.id for info in await store.list()] == ["t"]
        assert await heard(store, "t") == [LONG]
        return await store.verify()

    assert place.run(main).ok
    assert place.sql("SELECT count(*) FROM blob") == [(1,)]
    place.run(lambda store: store.delete("t"))
    for table in ("blob", "blob_ref", "owner", "entry", "session", "quarantine"):
        assert place.sql(f"SELECT count(*) FROM {table}") == [(0,)]  # noqa: S608 - literals above


def test_a_deleted_text_is_gone_from_the_file(place):
    async def main(store):
        await begin(store, "s", "swordfish")
        assert any(found())
        await store.delete("s")
        return found()

    def found():
        files = [file for file in place.path.parent.iterdir() if file.is_file()]
        return [b"swordfish" in file.read_bytes() for file in files]

    assert not any(place.run(main))
    assert found() == [False]


def test_a_store_for_reading_reads_and_refuses_the_rest(place):
    place.run(lambda store: begin(store, "s", "a"))

    async def main(store):
        assert await heard(store) == ["a"]
        assert (await store.verify()).ok
        assert len([line async for line in store.export("s")]) == 3
        for call in (
            lambda: store.create("t"),
            lambda: store.open_session("s"),
            lambda: store.fork("s"),
            lambda: store.delete("s"),
        ):
            with pytest.raises(StorageReadOnly):
                await call()

    place.run(main, read_only=True)


def test_a_folder_stands_for_the_file_in_it(tmp_path):
    async def main():
        async with SessionStore.open(tmp_path / ".massgen") as store:
            await begin(store, "s", "a")
            return store.path

    assert asyncio.run(main()) == tmp_path / ".massgen" / "massgen.db"


def test_an_entry_can_be_made_by_hand():
    entry = Entry(1, "id", "note", {"x": 1}, 2.0, 3, "t")
    assert entry == Entry(1, "id", "note", {"x": 1}, 2.0, 3, "t")
    assert entry != Entry(1, "id", "note", {"x": 2}, 2.0, 3, "t")
    assert entry != 1
    assert hash(entry) == hash(Entry(1, "id", "note", {"x": 2}, 2.0, 3, "t"))
    message = assistant("hi")
    assert NewEntry.message(message, 4, "t").tokens == 4


def test_the_file_works_with_any_sqlite_tool(place):
    place.run(lambda store: begin(store, "s", "plain text"))
    [(body,)] = place.sql("SELECT body FROM entry")
    assert '"plain text"' in body
    assert sqlite3.sqlite_version_info >= (3, 37)
