import asyncio

import pytest

from massgen_core.errors import JournalCorrupt, SessionConflict
from massgen_core.events import JournalQuarantined, SessionResumed
from massgen_core.messages import ToolCall, assistant, tool, user
from massgen_core.sessions import INTERRUPTED_BEFORE, INTERRUPTED_RUNNING, NewEntry

LONG = "a text that is long enough to be a blob of its own, " * 4
CALLS = assistant("", ToolCall("c1", "read"), ToolCall("c2", "write"))


def said(message, tokens=5):
    return NewEntry.message(message, tokens, "words")


async def begin(store, *entries):
    async with store.create("s") as session:
        for entry in entries:
            await session.append(entry)


async def resume(store, **options):
    async with store.open_session("s", **options) as session:
        return session


def reopened(place, **options):
    return place.run(lambda store: resume(store, **options))


def results(entries):
    return [
        (result.call_id, result.name, result.text, result.is_error)
        for entry in entries
        if entry.kind == "message"
        for result in entry.message.results
    ]


def test_a_session_goes_on_with_all_its_entries(place):
    place.run(lambda store: begin(store, said(user("a")), NewEntry("fit", {"x": [1]})))
    session = reopened(place)
    assert session.resumed == SessionResumed("s", 2)
    assert session.quarantined is None
    assert [(entry.kind, entry.tokens) for entry in session.entries] == [("message", 5), ("fit", 0)]
    assert session.entries[0].message.text == "a"
    assert session.entries[1].body == {"x": [1]}


def test_calls_that_a_crash_left_open_are_closed_and_say_whether_they_ran(place):
    started = NewEntry("tool_state", {"call_id": "c1", "state": "started"})
    place.run(lambda store: begin(store, said(user("go")), said(CALLS), started))
    session = reopened(place, count=lambda message: (len(message.results[0].text), "letters"))
    assert session.resumed == SessionResumed("s", 5, ("c1", "c2"))
    assert results(session.entries) == [
        ("c1", "read", INTERRUPTED_RUNNING, True),
        ("c2", "write", INTERRUPTED_BEFORE, True),
    ]
    assert [(entry.tokens, entry.tokenizer) for entry in session.entries[-2:]] == [
        (len(INTERRUPTED_RUNNING), "letters"),
        (len(INTERRUPTED_BEFORE), "letters"),
    ]


def test_the_closing_results_are_in_the_journal_and_are_written_once(place):
    place.run(lambda store: begin(store, said(CALLS)))
    first, second = reopened(place), reopened(place)
    assert first.entries == second.entries
    assert second.resumed == SessionResumed("s", 3)
    assert place.run(lambda store: store.read("s")) == list(first.entries)


def test_only_the_calls_without_a_result_are_closed(place):
    place.run(lambda store: begin(store, said(CALLS), said(tool("c2", "done"))))
    session = reopened(place)
    assert session.resumed.closed_calls == ("c1",)
    assert results(session.entries)[-1][:3] == ("c1", "read", INTERRUPTED_BEFORE)


def test_of_two_calls_with_one_id_the_second_is_closed_too(place):
    twice = assistant("", ToolCall("c", "read"), ToolCall("c", "read"))
    place.run(lambda store: begin(store, said(twice), said(tool("c", "done"))))
    assert reopened(place).resumed.closed_calls == ("c",)


def test_a_call_that_the_conversation_went_on_from_is_left_alone(place):
    place.run(lambda store: begin(store, said(CALLS), said(user("never mind"))))
    assert reopened(place).resumed.closed_calls == ()


def test_an_earlier_use_of_the_same_id_does_not_make_a_call_a_started_one(place):
    started = NewEntry("tool_state", {"call_id": "c1", "state": "started"})
    earlier = (said(CALLS), started, said(tool("c1", "x")), said(tool("c2", "y")))
    place.run(lambda store: begin(store, *earlier, said(CALLS)))
    assert [text for _, _, text, _ in results(reopened(place).entries)[-2:]] == [
        INTERRUPTED_BEFORE,
        INTERRUPTED_BEFORE,
    ]


def test_reading_closes_nothing(place):
    place.run(lambda store: begin(store, said(CALLS)))
    assert len(place.run(lambda store: store.read("s"))) == 1
    assert len(place.run(lambda store: store.read("s"))) == 1


def test_a_body_that_is_no_message_does_not_stop_a_session(place):
    odd = [
        NewEntry("message", body)
        for body in ({}, {"role": "assistant", "parts": 3}, {"role": "assistant", "parts": ["x"]})
    ]
    place.run(lambda store: begin(store, *odd))
    assert reopened(place).resumed == SessionResumed("s", 3)


# Damage


def damaged(place, texts, query, *parameters):
    place.run(lambda store: begin(store, *[said(user(text)) for text in texts]))
    place.sql(query, *parameters)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", "other"),
        ("kind", "note"),
        ("schema", 2),
        ("created_at", 1.0),
        ("tokens", 6),
        ("tokenizer", "other"),
        ("body", "{"),
        ("prev", bytes(32)),
        ("hash", bytes(32)),
        ("body", b"\xff\xfe"),
        ("tokens", "many"),
        ("created_at", "later"),
        ("sums", b""),
    ],
)
def test_a_damaged_last_entry_is_set_aside_and_reported(place, column, value):
    # Without its checksums an entry still has its hash: that alone is no damage to the content.
    query = f"UPDATE entry SET {column} = ? WHERE seq = 3"  # noqa: S608 - literals above
    damaged(place, ["a", "b", "c"], query, value)
    session = reopened(place)
    if column == "sums":
        assert session.quarantined is None
        return
    assert session.quarantined == JournalQuarantined(
        "s", 3, 1, f"{column} does not match its checksum"
    )
    assert [entry.message.text for entry in session.entries] == ["a", "b"]


def test_what_is_set_aside_is_kept_and_the_session_goes_on_before_it(place):
    damaged(place, ["a", "b"], "UPDATE entry SET body = 'torn' WHERE seq = 2")

    async def main(store):
        async with store.open_session("s") as session:
            await session.append(said(user("again")))
        async with store.open_session("s") as session:
            assert session.quarantined is None
        return [e.message.text for e in await store.read("s")], await store.verify()

    texts, report = place.run(main)
    assert texts == ["a", "again"]
    assert report.problems == ()
    assert place.sql("SELECT session_id, seq, body, reason FROM quarantine") == [
        ("s", 2, "torn", "body does not match its checksum")
    ]


def test_a_tail_of_several_damaged_entries_is_set_aside_whole(place):
    damaged(place, "abcd", "UPDATE entry SET tokens = 99 WHERE seq >= 3")
    session = reopened(place)
    assert (session.quarantined.seq, session.quarantined.entries) == (3, 2)
    assert len(session.entries) == 2


def test_a_last_entry_whose_text_is_damaged_is_set_aside(place):
    damaged(place, ["a", LONG], "UPDATE blob SET data = zeroblob(10)")
    session = reopened(place)
    assert "body.parts[0].text" in session.quarantined.reason
    assert len(session.entries) == 1


def test_a_last_entry_that_is_gone_is_reported(place):
    damaged(place, "abc", "DELETE FROM entry WHERE seq = 3")
    session = reopened(place)
    assert session.quarantined == JournalQuarantined("s", 3, 0, "entries 3 to 3 are missing")
    assert len(session.entries) == 2


def test_all_entries_gone_is_reported(place):
    damaged(place, "abc", "DELETE FROM entry")
    assert reopened(place).quarantined.seq == 1


@pytest.mark.parametrize("column", ["head_hash", "tokens", "messages", "active_at", "writer"])
def test_a_damaged_head_is_rebuilt_and_reported(place, column):
    damaged(place, "abc", f"UPDATE session SET {column} = 7")  # noqa: S608 - literals above
    session = reopened(place)
    assert len(session.entries) == 3
    assert (session.quarantined.entries, session.quarantined.seq) == (0, 4)
    assert "rebuilt" in session.quarantined.reason
    assert place.run(lambda store: store.verify()).ok


@pytest.mark.parametrize(
    ("query", "seq", "field"),
    [
        ("UPDATE entry SET body = '{}' WHERE seq = 2", 2, "body"),
        ("UPDATE entry SET hash = zeroblob(32) WHERE seq = 1", 1, "hash"),
        ("DELETE FROM entry WHERE seq = 2", 2, "seq"),
        ("UPDATE session SET origin = 'x'", 0, "origin"),
        ("UPDATE session SET title = 'x'", 0, "title"),
        ("UPDATE session SET sums = zeroblob(28)", 0, "id"),
    ],
)
def test_damage_in_the_middle_is_an_error_that_names_it(place, query, seq, field):
    damaged(place, "abc", query)
    before = place.sql("SELECT * FROM entry")
    with pytest.raises(JournalCorrupt) as caught:
        reopened(place)
    assert (caught.value.session_id, caught.value.seq, caught.value.field) == ("s", seq, field)
    assert "salvage" in caught.value.hint
    assert place.sql("SELECT * FROM entry") == before
    assert place.sql("SELECT count(*) FROM quarantine") == [(0,)]


def test_a_damaged_text_in_the_middle_is_an_error_that_names_its_place(place):
    damaged(place, ["a", LONG, "c"], "DELETE FROM blob")
    with pytest.raises(JournalCorrupt) as caught:
        reopened(place)
    assert (caught.value.seq, caught.value.field) == (2, "body.parts[0].text")
    assert "missing" in str(caught.value)


def test_reading_damage_is_an_error_and_reading_around_it_is_not(place):
    damaged(place, "abc", "UPDATE entry SET body = '{}' WHERE seq = 2")

    async def main(store):
        with pytest.raises(JournalCorrupt):
            await store.read("s")
        return [e.seq for e in await store.read("s", start=3)] + [
            e.seq for e in await store.read("s", stop=2)
        ]

    assert place.run(main) == [3, 1]


def test_an_entry_of_another_session_in_place_of_one_is_found(place):
    """Each by itself is what was written; only the chain tells."""

    async def main(store):
        await begin(store, *[said(user(text)) for text in "abc"])
        async with store.create("t") as session:
            await session.append(*[said(user(text)) for text in "xyz"])

    place.run(main)
    place.sql("DELETE FROM entry WHERE session_id = 's' AND seq = 2")
    place.sql("UPDATE entry SET session_id = 's' WHERE session_id = 't' AND seq = 2")
    with pytest.raises(JournalCorrupt) as caught:
        reopened(place)
    assert (caught.value.seq, caught.value.field) == (2, "prev")


def test_a_session_that_changes_while_it_is_opened_is_a_conflict(place):
    """Only without working locks; what was loaded would not be what is there."""

    async def main(store):
        await begin(store, said(user("a")))
        load = store._database.read

        async def read_then_lose_the_race(fn):
            found = await load(fn)
            if type(found).__name__ == "Journal":
                place.sql("UPDATE session SET writer = 'other'")
            return found

        monkey = type("Racing", (), {"__getattr__": lambda _, name: getattr(store._database, name)})
        racing = monkey()
        racing.read = read_then_lose_the_race
        other = type(store)(racing, place.clock)
        with pytest.raises(SessionConflict):
            await other.open_session("s")

    place.run(main)


def test_a_hundred_resumes_in_a_row_stay_the_same_journal(place):
    async def main(store):
        await begin(store, said(user("a")))
        for number in range(30):
            async with store.open_session("s") as session:
                assert len(session.entries) == number + 1
                await session.append(said(user(str(number))))
        return await store.verify()

    assert place.run(main).ok


def test_two_tasks_that_open_one_session_at_once_get_one_writer(place):
    async def main(store):
        await begin(store, said(user("a")))
        found = await asyncio.gather(
            *(store.open_session("s").__aenter__() for _ in range(8)), return_exceptions=True
        )
        return [type(item).__name__ for item in found]

    names = place.run(main)
    assert sorted(set(names)) == ["Session", "SessionLocked"]
    assert names.count("Session") == 1
