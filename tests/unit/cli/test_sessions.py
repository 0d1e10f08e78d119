"""`mgc session` and the parts of `mgc context` that read sessions."""

from __future__ import annotations

import asyncio
import json
import sqlite3

import pytest

from massgen_core.messages import message_to_json, user
from massgen_core.sessions import NewEntry, SessionStore

TEXT = "It was a dark night. \U0001f319 \x1b[31m" + "and stormy " * 50


@pytest.fixture
def written(folder):
    """A session ``s`` of three entries at the default place; gives the database file."""
    path = folder / ".massgen" / "massgen.db"

    async def write():
        async with SessionStore.open(path) as store, store.create("s", title="Night") as session:
            for number in range(3):
                await session.append(NewEntry.message(user(f"{number} {TEXT}"), 5, "test"))

    asyncio.run(write())
    return path


def flip(path, old, new):
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    data = path.read_bytes()
    assert 1 <= data.count(old)
    path.write_bytes(data.replace(old, new))


def test_no_session_is_no_error_at_the_default_place(mgc):
    assert [] == mgc("session", "list", "--json").envelope["data"]


def test_a_place_that_was_named_must_exist(mgc):
    done = mgc("session", "list", "--path", "gone.db", "--json")

    assert (1, "storage") == (done.code, done.envelope["error"]["code"])


@pytest.mark.usefixtures("written")
def test_sessions_are_listed(mgc):
    [info] = mgc("session", "list", "--json").envelope["data"]

    assert ("s", "Night", 3, 3, 15) == tuple(
        info[key] for key in ("id", "title", "entries", "messages", "tokens")
    )
    assert "Night" in mgc("session", "list").out


def test_a_folder_stands_for_the_file_in_it(mgc, written):
    by_file = mgc("session", "list", "--path", written, "--json").envelope
    by_folder = mgc("session", "list", "--path", written.parent, "--json").envelope

    assert by_file == by_folder


@pytest.mark.usefixtures("written")
def test_a_session_is_shown_with_its_newest_entries(mgc):
    data = mgc("session", "show", "s", "--last", 2, "--json").envelope["data"]

    assert [2, 3] == [entry["seq"] for entry in data["newest"]]
    assert f"2 {TEXT}" == data["newest"][1]["body"]["parts"][0]["text"]
    assert 3 == len(mgc("session", "show", "s", "--last", 0, "--json").envelope["data"]["newest"])


@pytest.mark.usefixtures("written")
def test_what_people_are_shown_cannot_steer_a_terminal(mgc):
    out = mgc("session", "show", "s").out

    assert "\x1b" not in out
    assert "It was a dark night." in out


@pytest.mark.usefixtures("written")
def test_a_fork_shares_the_beginning(mgc):
    done = mgc("session", "fork", "s", "--at", 2, "--id", "t")

    assert (0, "t\n") == (done.code, done.out)
    assert 2 == mgc("session", "show", "t", "--json").envelope["data"]["entries"]


@pytest.mark.usefixtures("written")
def test_an_export_is_imported_elsewhere_as_it_was(mgc, folder):
    lines = mgc("session", "export", "s").out
    mgc("session", "export", "s", "--output", "s.jsonl")

    from_input = mgc("session", "import", "-", "--path", "other", stdin=lines)
    again = mgc("session", "import", "s.jsonl", "--path", "other")

    assert lines == (folder / "s.jsonl").read_text("utf-8")
    assert (0, "s\n", "s\n") == (from_input.code, from_input.out, again.out)
    show = ("session", "show", "s", "--json")
    assert (
        mgc(*show).envelope["data"]["newest"]
        == (mgc(*show, "--path", "other").envelope["data"]["newest"])
    )


@pytest.mark.usefixtures("written")
def test_the_envelope_of_an_export_holds_its_lines(mgc):
    lines = mgc("session", "export", "s").out.splitlines()

    assert lines == mgc("session", "export", "s", "--json").envelope["data"]["lines"]


@pytest.mark.usefixtures("written")
def test_an_export_that_fails_leaves_the_file_as_it_was(mgc, folder):
    (folder / "s.jsonl").write_text("precious")

    assert 1 == mgc("session", "export", "nobody", "-o", "s.jsonl").code
    assert 2 == mgc("session", "export", "s", "-o", "gone/s.jsonl").code
    assert "precious" == (folder / "s.jsonl").read_text()
    assert ["s.jsonl"] == [path.name for path in folder.iterdir() if path.is_file()]


@pytest.mark.parametrize("stdin", ["{}\n", "no JSON\n"])
def test_what_is_no_export_is_not_imported(mgc, stdin):
    assert 2 == mgc("session", "import", "-", stdin=stdin).code


def test_an_export_without_its_end_is_an_integrity_error(mgc):
    assert 5 == mgc("session", "import", "-", stdin="").code


@pytest.mark.usefixtures("written")
def test_an_altered_export_is_an_integrity_error(mgc):
    lines = mgc("session", "export", "s").out.replace("dark", "lark")

    done = mgc("session", "import", "-", "--path", "other", stdin=lines)

    assert 5 == done.code
    assert "Traceback" not in done.err


@pytest.mark.usefixtures("written")
def test_nothing_is_deleted_off_a_terminal_without_yes(mgc):
    refused = mgc("session", "delete", "s")
    kept = mgc("session", "list", "--json").envelope["data"]
    done = mgc("session", "delete", "s", "--yes")

    assert (2, 1, 0) == (refused.code, len(kept), done.code)
    assert "--yes" in refused.err
    assert [] == mgc("session", "list", "--json").envelope["data"]


@pytest.mark.usefixtures("written", "scripted")
@pytest.mark.parametrize(
    "words",
    [
        ("session", "show"),
        ("session", "fork"),
        ("session", "export"),
        ("session", "verify"),
        ("session", "resume"),
        ("context", "explain"),
    ],
)
def test_a_session_that_is_not_there_is_named(mgc, words):
    done = mgc(*words, "nobody")

    assert 1 == done.code
    assert "there is no session 'nobody'" in done.err


@pytest.mark.usefixtures("written")
def test_verify_finds_no_damage_where_there_is_none(mgc):
    done = mgc("session", "verify")

    assert (0, "1 sessions, 3 entries, 3 blobs: no damage\n") == (done.code, done.out)


def test_verify_names_the_damage_and_ends_with_5(mgc, written):
    flip(written, b'"created_at"', b'"created_up"')

    done = mgc("session", "verify", "--json")

    assert (5, False) == (done.code, done.envelope["ok"])
    problem = done.envelope["data"]["problems"][0]
    assert ("s", 1) == (problem["session_id"], problem["seq"])
    assert "storage-corrupt" == done.envelope["error"]["code"]


def test_reading_damage_is_an_integrity_error_that_salvage_survives(mgc, written):
    flip(written, b'"created_at"', b'"created_up"')

    assert 5 == mgc("session", "export", "s").code
    assert 0 == mgc("session", "export", "s", "--salvage").code


def test_a_file_that_is_no_database_is_an_integrity_error(mgc, folder):
    (folder / "notes.db").write_bytes(b"This is not a database, whatever it is called. " * 99)

    for words in (("session", "list"), ("session", "verify"), ("run", "hello")):
        assert 5 == mgc(*words, "--path", "notes.db").code


def test_a_newer_schema_is_refused_for_writing(mgc, written):
    with sqlite3.connect(written) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()

    done = mgc("session", "fork", "s", "--json")

    assert (5, "schema-too-new") == (done.code, done.envelope["error"]["code"])
    assert 99 == done.envelope["error"]["found"]


def test_a_locked_session_is_temporary(mgc, written):
    async def locked():
        async with SessionStore.open(written) as store, store.open_session("s"):
            return await asyncio.to_thread(mgc, "session", "delete", "s", "--yes", "--json")

    done = asyncio.run(locked())

    assert (75, "session-locked") == (done.code, done.envelope["error"]["code"])


@pytest.fixture
def fitted(mgc, scripted):
    """A session that was fitted twice; gives its entries."""
    settings = ("-c", "backend.window=700", "-c", "strategy.name=sliding_window")
    for number in range(4):
        task = f"{number} " + "tell me " * 60
        mgc("run", task, "--session", "s", *settings, "-q")
    return mgc("session", "show", "s", "--last", 0, "--json").envelope["data"]["newest"]


@pytest.mark.usefixtures("fitted")
def test_explain_says_what_became_of_each_group(mgc):
    groups = mgc("context", "explain", "s", "--json").envelope["data"]["groups"]

    assert list(range(8)) == [group["number"] for group in groups]
    assert ["user", "assistant"] * 4 == [group["role"] for group in groups]
    assert ("in view", groups[0]["tokens"]) == (groups[0]["fate"], groups[0]["tokens_in_view"])
    assert {"left", "in view"} == {group["fate"] for group in groups}
    for group in groups:
        left = group["fate"] == "left"
        assert left == (group["tokens_in_view"] == 0) == bool(group["handle"])
        assert left == (group["strategy"] == "sliding_window")


@pytest.mark.usefixtures("fitted")
def test_explain_is_a_table_for_people(mgc):
    done = mgc("context", "explain", "s")

    assert "oldest first: the window is full" in done.out
    assert "tokens are in view" in done.err


def test_restore_gives_back_the_very_messages(mgc, fitted):
    written = {entry["body"]["id"]: entry["body"] for entry in fitted if entry["kind"] == "message"}
    groups = mgc("context", "explain", "s", "--json").envelope["data"]["groups"]
    handle = next(group["handle"] for group in groups if group["handle"])

    messages = json.loads(mgc("context", "restore", "s", handle).out)
    enveloped = mgc("context", "restore", "s", handle, "--json").envelope["data"]["messages"]

    assert messages == enveloped == [written[message["id"]] for message in messages]
    assert {i for group in groups if group["handle"] == handle for i in group["message_ids"]} == {
        message["id"] for message in messages
    }


def test_restore_as_text_is_equal_byte_by_byte(mgc, folder):
    message = user(TEXT)

    async def write():
        async with SessionStore.open(folder / "x.db") as store, store.create("s") as session:
            await session.append(NewEntry.message(message, 5, "test"))

    asyncio.run(write())
    data = mgc("context", "explain", "s", "--path", "x.db", "--json").envelope["data"]
    [group] = data["groups"]
    assert [message_to_json(message)["id"]] == group["message_ids"]

    from massgen_core.context import handle_of

    handle = handle_of((message.id,))
    assert TEXT == mgc("context", "restore", "s", handle, "--text", "--path", "x.db").out


@pytest.mark.usefixtures("fitted")
def test_a_handle_that_nothing_has_is_named(mgc):
    done = mgc("context", "restore", "s", "h0123456789", "--json")

    assert (1, "handle-not-found") == (done.code, done.envelope["error"]["code"])
