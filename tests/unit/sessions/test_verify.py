import pytest

from massgen_core.messages import Image, Message, Text, ToolResult, tool, user
from massgen_core.sessions import NewEntry, Problem

LONG = "a text that is long enough to be a blob of its own, " * 4
OTHER = "another text, long enough to be a blob of its own too " * 4


def said(message, tokens=5):
    return NewEntry.message(message, tokens, "words")


async def begin(store):
    async with store.create("s", title="Title", meta={"x": 1}) as session:
        await session.append(said(user("a")), said(user(LONG)))
        picture = Image("image/png", bytes(range(256)))
        await session.append(said(Message("tool", (ToolResult("c", (Text(OTHER), picture)),))))
        await session.append(NewEntry("note", {"x": 1}))
        await session.append(said(tool("d", "e")))
    async with store.create("t") as session:
        await session.append(said(user("b" * 200)))


@pytest.fixture
def filled(place):
    place.run(begin)
    return place


def verified(place, session_id=None):
    return place.run(lambda store: store.verify(session_id), read_only=True)


def found(place, session_id=None):
    report = verified(place, session_id)
    assert report.ok == (not report.problems)
    return [(problem.session_id, problem.seq, problem.field) for problem in report.problems]


def test_a_sound_file_has_no_problems_and_is_counted(filled):
    report = verified(filled)
    assert (report.ok, report.sessions, report.entries, report.blobs) == (True, 2, 6, 4)
    report = verified(filled, "s")
    assert (report.ok, report.sessions, report.entries) == (True, 1, 5)


@pytest.mark.parametrize(
    "column",
    [
        "id",
        "kind",
        "schema",
        "created_at",
        "tokens",
        "tokenizer",
        "body",
        "sums",
        "prev",
        "hash",
    ],
)
@pytest.mark.parametrize("seq", [1, 3, 5])
def test_one_flipped_byte_of_a_field_is_named_by_session_entry_and_field(filled, column, seq):
    [(value,)] = filled.sql(
        f"SELECT {column} FROM entry WHERE session_id = 's' AND seq = ?",  # noqa: S608
        seq,
    )
    filled.sql(
        f"UPDATE entry SET {column} = ? WHERE session_id = 's' AND seq = ?",  # noqa: S608
        flipped(value),
        seq,
    )
    assert found(filled) == found(filled, "s") == [("s", seq, column)]
    assert found(filled, "t") == []


def flipped(value):
    if isinstance(value, (int, float)):
        return value + 1
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:]
    return chr(ord(value[0]) ^ 1) + value[1:]


@pytest.mark.parametrize(
    ("text", "seq", "field"),
    [
        (LONG, 2, "body.parts[0].text"),
        (OTHER, 3, "body.parts[0].content[0].text"),
        (bytes(range(256)), 3, "body.parts[0].content[1].data"),
    ],
)
def test_one_flipped_byte_of_a_text_is_named_by_its_place_in_the_body(filled, text, seq, field):
    size = len(text)
    [(number, data)] = filled.sql("SELECT rowid, data FROM blob WHERE size = ?", size)
    broken = data[:-1] + bytes([data[-1] ^ 4])
    filled.sql("UPDATE blob SET data = ? WHERE rowid = ?", broken, number)
    assert found(filled) == [("s", seq, field), ("", 0, "blob")]


@pytest.mark.parametrize(
    ("query", "problems"),
    [
        ("UPDATE session SET title = 'x' WHERE id = 's'", [("s", 0, "title")]),
        ("UPDATE session SET meta = '{}' WHERE id = 's'", [("s", 0, "meta")]),
        ("UPDATE session SET created_at = 1 WHERE id = 's'", [("s", 0, "created_at")]),
        ("UPDATE session SET parent_seq = 1 WHERE id = 's'", [("s", 0, "parent_seq")]),
        ("UPDATE session SET tokens = 1 WHERE id = 's'", [("s", 0, "head")]),
        ("UPDATE session SET head_seq = 'x' WHERE id = 's'", [("s", 0, "head")]),
        ("UPDATE session SET sums = 1 WHERE id = 's'", [("s", 0, "sums")]),
        ("DELETE FROM entry WHERE session_id = 's' AND seq = 4", [("s", 4, "seq")]),
        ("DELETE FROM entry WHERE session_id = 's' AND seq = 5", [("s", 6, "seq")]),
        ("DELETE FROM session WHERE id = 't'", [("t", 0, "session_id")]),
        (
            "DELETE FROM blob_ref WHERE blob = (SELECT min(id) FROM blob)",
            [("s", 0, "blob_ref"), ("", 0, "blob_ref")],
        ),
        (
            "INSERT OR IGNORE INTO blob_ref SELECT owner.id, blob.id FROM owner, blob"  # noqa: ISC004
            " WHERE size = 256",
            [("t", 0, "blob_ref")],
        ),
        (
            "UPDATE owner SET name = 'x' WHERE name = 'session:s'",
            [("s", 0, "blob_ref"), ("s", 0, "blob_ref"), ("s", 0, "blob_ref")],
        ),
        (
            "UPDATE session SET origin = 'x' WHERE id = 't'",
            [("t", 0, "origin"), ("t", 1, "prev")],
        ),
    ],
)
def test_other_damage_is_named(filled, query, problems):
    filled.sql(query)
    if "seq = 5" in query:
        problems = [("s", 5, "seq")]
    assert found(filled) == problems


def test_a_missing_blob_is_named(filled):
    filled.sql("DELETE FROM blob WHERE size = ?", len(LONG))
    assert found(filled) == [("s", 2, "body.parts[0].text")]


def test_all_damage_is_listed_not_only_the_first(filled):
    filled.sql("UPDATE entry SET tokens = 99 WHERE seq IN (1, 3)")
    filled.sql("UPDATE entry SET kind = 'fit' WHERE seq = 5")
    assert sorted(found(filled)) == [
        ("s", 1, "tokens"),
        ("s", 3, "tokens"),
        ("s", 5, "kind"),
        ("t", 1, "tokens"),
    ]


def test_a_damaged_session_is_still_listed_and_marked(filled):
    filled.sql("UPDATE session SET title = 'x', meta = '}{' WHERE id = 's'")
    infos = {info.id: info for info in filled.run(lambda store: store.list())}
    assert infos["s"].damage == ("title", "meta")
    assert infos["s"].meta == {}
    assert infos["t"].damage == ()


def test_entries_set_aside_are_no_problem(filled):
    filled.sql("UPDATE entry SET body = '{}' WHERE session_id = 's' AND seq >= 2")

    async def resume(store):
        async with store.open_session("s") as session:
            return session.quarantined.entries

    assert filled.run(resume) == 4
    assert found(filled) == []
    filled.run(lambda store: store.delete("s"))
    assert filled.sql("SELECT count(*) FROM quarantine") == [(0,)]


def test_a_problem_reads_well():
    assert str(Problem("s", 3, "body", "is torn")) == "session 's': entry 3: body: is torn"
    assert str(Problem("", 0, "file", "is torn")) == "file: is torn"
