import asyncio
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from massgen_core.errors import (
    InvalidArgument,
    JournalCorrupt,
    MassgenError,
    SchemaTooNew,
    SessionExists,
)
from massgen_core.messages import Image, Message, Text, user
from massgen_core.sessions import NewEntry

LONG = "a text that is long enough to be a blob of its own, " * 4
TEXTS = ("a", LONG, "line\nbreak \u2028\u2029\x85 é 你好 🌍", "\ud800 alone", "<|endoftext|>")


def said(message, tokens=5):
    return NewEntry.message(message, tokens, "words")


@pytest.fixture
def lines(place):
    async def main(store):
        async with store.create("s", title="Title 🌍", meta={"x": [1]}) as session:
            for text in TEXTS:
                await session.append(said(user(text)), NewEntry("note", {"$blob": text}))
            picture = Message("user", (Text("see"), Image("image/png", bytes(range(256)))))
            await session.append(said(picture))
        return [line async for line in store.export("s")]

    return place.run(main)


@pytest.fixture
def elsewhere(tmp_path_factory):
    return type_of_place(tmp_path_factory.mktemp("elsewhere"))


def type_of_place(folder):
    from massgen_core.sessions import SessionStore

    class There:
        path = folder / "there.db"

        def run(self, main):
            async def inside():
                async with SessionStore.open(self.path, synchronous="normal") as store:
                    return await main(store)

            return asyncio.run(inside())

    return There()


def test_an_export_is_json_lines_that_no_line_splitter_tears(lines):
    assert [json.loads(line) is not None for line in lines]
    assert "\n".join(lines).splitlines() == lines
    assert "\n".join(lines).encode()


def test_an_export_says_what_it_is_and_holds_every_text_in_full(lines):
    manifest, *entries, trailer = map(json.loads, lines)
    assert (manifest["massgen"], manifest["format"], manifest["entries"]) == ("session", 1, 11)
    assert manifest["session"]["title"] == "Title 🌍"
    assert entries[2]["body"]["parts"][0]["text"] == LONG
    assert entries[3]["body"] == {"$blob": LONG}
    assert trailer["entries"] == 11


def test_an_import_elsewhere_is_the_same_session(place, lines, elsewhere):
    async def main(store):
        info = await store.import_(lines)
        return info, await store.read("s"), [line async for line in store.export("s")]

    info, entries, again = elsewhere.run(main)
    assert again == lines
    assert entries == place.run(lambda store: store.read("s"))
    assert info == place.run(lambda store: store.info("s"))
    assert elsewhere.run(lambda store: store.verify()).ok


def test_importing_twice_changes_nothing(lines, elsewhere):
    first = elsewhere.run(lambda store: store.import_(lines))
    assert elsewhere.run(lambda store: store.import_(lines)) == first
    assert len(elsewhere.run(lambda store: store.list())) == 1


def test_importing_over_another_session_of_the_id_is_refused(lines, elsewhere):
    async def main(store):
        await store.import_(lines)
        async with store.open_session("s") as session:
            await session.append(said(user("more")))
        with pytest.raises(SessionExists):
            await store.import_(lines)
        info = await store.import_(lines, new_id="t")
        assert (info.id, info.origin, info.entries) == ("t", "s", 11)
        async with store.open_session("t") as session:
            assert session.quarantined is None
            await session.append(said(user("goes on")))
        return await store.verify()

    assert elsewhere.run(main).ok


def test_a_fork_is_imported_as_the_fork_it_was(place, elsewhere, lines):
    async def fork(store):
        info = await store.fork("s", at=4, new_id="t")
        return info, [line async for line in store.export("t")]

    info, forked = place.run(fork)
    assert elsewhere.run(lambda store: store.import_(forked)) == info
    assert lines


def test_line_ends_and_async_lines_are_fine(lines, elsewhere):
    async def stream():
        for line in lines:
            yield f"{line}\r\n"

    assert elsewhere.run(lambda store: store.import_(stream())).entries == 11


def test_an_empty_session_travels(place, elsewhere):
    async def main(store):
        async with store.create("empty"):
            pass
        return [line async for line in store.export("empty")]

    lines = place.run(main)
    info = elsewhere.run(lambda store: store.import_(lines))
    assert (info.id, info.entries) == ("empty", 0)


def refused(elsewhere, lines, error=JournalCorrupt):
    with pytest.raises(error) as caught:
        elsewhere.run(lambda store: store.import_(lines))
    assert elsewhere.run(lambda store: store.list()) == []
    return str(caught.value)


def test_a_torn_file_is_refused_at_the_line_where_it_ends(lines, elsewhere):
    for end in range(1, len(lines)):
        assert f"line {end + 1}: the export ends" in refused(elsewhere, lines[:end])
    assert "line 4: this is no JSON" in refused(elsewhere, [*lines[:3], lines[3][:50]])


def test_a_missing_or_moved_line_is_refused(lines, elsewhere):
    assert "line 4: expected entry 3" in refused(elsewhere, [*lines[:3], *lines[4:]])
    assert "line 3: expected entry 2" in refused(
        elsewhere, [*lines[:2], lines[3], lines[2], *lines[4:]]
    )


def test_lines_after_the_end_are_refused(lines, elsewhere):
    assert "after the end" in refused(elsewhere, [*lines, lines[1]])


def test_an_altered_manifest_is_refused(lines, elsewhere):
    altered = lines[0].replace("Title", "Other")
    assert "do not match this checksum" in refused(elsewhere, [altered, *lines[1:]])


def test_an_altered_text_is_refused_at_its_line(lines, elsewhere):
    altered = [*lines[:3], lines[3].replace("long enough", "short enough"), *lines[4:]]
    assert "line 4: the entry does not match its hash" in refused(elsewhere, altered)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "[]",
        "{}",
        "3",
        '{"massgen":"session","format":1,"session":{}}',
        '{"massgen":"memory","format":1}',
        '{"massgen":"session","format":"x","session":{}}',
        "[" * 100_000,
    ],
)
def test_what_is_no_export_is_refused(elsewhere, text):
    refused(elsewhere, [text], error=(InvalidArgument, JournalCorrupt))


def test_a_manifest_with_a_wrong_type_is_refused(lines, elsewhere):
    manifest = json.loads(lines[0])
    for name, value in [("id", 3), ("title", None), ("meta", []), ("created_at", "x")]:
        wrong = {**manifest, "session": {**manifest["session"], name: value}}
        message = refused(elsewhere, [json.dumps(wrong), *lines[1:]], error=InvalidArgument)
        assert name in message
    wrong = {**manifest, "session": {**manifest["session"], "id": "../../etc"}}
    refused(elsewhere, [json.dumps(wrong), *lines[1:]], error=MassgenError)


def test_an_export_of_a_later_version_is_refused(lines, elsewhere):
    later = lines[0].replace('"format":1', '"format":2')
    assert "format 2" in refused(elsewhere, [later, *lines[1:]], error=SchemaTooNew)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(data=st.data())
def test_no_altered_character_goes_unnoticed(lines, elsewhere, data):
    number = data.draw(st.integers(0, len(lines) - 1))
    line = lines[number]
    at = data.draw(st.integers(0, len(line) - 1))
    char = data.draw(st.characters(codec="utf-8").filter(lambda char: char != line[at]))
    altered = [*lines[:number], line[:at] + char + line[at + 1 :], *lines[number + 1 :]]
    with pytest.raises(MassgenError):
        elsewhere.run(lambda store: store.import_(altered))


# Salvage


def test_a_damaged_session_is_not_exported_unless_asked_to_salvage(place, lines, elsewhere):
    place.sql("UPDATE entry SET tokens = 99 WHERE seq = 5")

    async def export(store, *, salvage):
        return [line async for line in store.export("s", salvage=salvage)]

    with pytest.raises(JournalCorrupt) as caught:
        place.run(lambda store: export(store, salvage=False))
    assert (caught.value.seq, caught.value.field) == (5, "tokens")
    salvaged = place.run(lambda store: export(store, salvage=True))
    assert len(salvaged) == len(lines) - 1

    async def main(store):
        await store.import_(salvaged)
        async with store.open_session("s") as session:
            assert session.quarantined is None
            await session.append(said(user("goes on")))
        return [entry.body for entry in await store.read("s", stop=11)], await store.verify()

    bodies, report = elsewhere.run(main)
    assert bodies == [json.loads(line)["body"] for line in lines[1:-1] if '"seq":5,' not in line]
    assert report.ok


def test_a_missing_tail_is_not_exported_silently(place, lines):
    place.sql("DELETE FROM entry WHERE seq > 9")

    async def export(store):
        return [line async for line in store.export("s")]

    with pytest.raises(JournalCorrupt) as caught:
        place.run(export)
    assert (caught.value.seq, caught.value.field) == (10, "seq")
    assert lines


def test_an_altered_salvage_is_refused_too(place, lines, elsewhere):
    place.sql("UPDATE entry SET tokens = 99 WHERE seq = 5")

    async def export(store):
        return [line async for line in store.export("s", salvage=True)]

    salvaged = place.run(export)
    altered = [*salvaged[:2], salvaged[2].replace('"tokens":0', '"tokens":1'), *salvaged[3:]]
    assert altered != salvaged
    assert "line 3" in refused(elsewhere, altered)
    assert lines


def test_more_entries_than_one_read_takes_travel(place, elsewhere):
    async def main(store):
        async with store.create("s") as session:
            await session.append(*[said(user(str(number))) for number in range(1203)])
        return [line async for line in store.export("s")]

    lines = place.run(main)
    assert elsewhere.run(lambda store: store.import_(lines)).entries == 1203
