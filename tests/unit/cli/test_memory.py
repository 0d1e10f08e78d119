"""`mgc memory`."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from massgen_core.errors import StorageReadOnly
from massgen_core.storage import SCHEMA

ADA = ("--scope", "user=ada")


@pytest.fixture
def told(mgc):
    """Two memories of Ada, one of Bob; gives the id of the cat."""
    mgc("memory", "add", "Answer in French.", *ADA, "--kind", "instruction", "--pin")
    mgc("memory", "add", "The parrot of Bob is called Coco.", "--scope", "user=bob")
    done = mgc(
        *("memory", "add", "The cat is called Miau.", *ADA, "--when", "2026-05-01"),
        *("--speaker", "Ada", "--tag", "pets", "--meta", "n=[1]", "--meta", "s=text"),
    )
    return done.out.strip()


@pytest.mark.usefixtures("told")
def test_what_was_added_is_found_in_its_scope(mgc):
    hits = mgc("memory", "search", "How is the cat called?", *ADA, "--json").envelope["data"]

    assert ["Answer in French.", "The cat is called Miau."] == [hit["text"] for hit in hits]
    assert {"n": [1], "s": "text"} == hits[1]["meta"]
    assert hits[1]["score"] == pytest.approx(sum(hits[1]["reasons"].values()))
    assert "Miau" in mgc("memory", "search", "cat", *ADA).out
    assert "Coco" not in mgc("memory", "search", "parrot", *ADA).out


def test_a_text_comes_from_standard_input(mgc):
    record = mgc("memory", "add", "-", *ADA, stdin="two\nlines\n").out.strip()

    assert "two\nlines" == mgc("memory", "show", record, "--json").envelope["data"]["text"]


def test_a_change_is_in_the_history_and_can_be_undone(mgc, told):
    done = mgc("memory", "update", told, "--text", "The cat is called Mia.", "--rev", "1")
    assert "Mia." in done.out
    conflict = mgc("memory", "update", told, "--text", "x", "--rev", "1", "--json")
    assert (2, "record-conflict") == (conflict.code, conflict.envelope["error"]["code"])
    assert "Miau" in mgc("memory", "undo", told).out
    ops = [one["op"] for one in mgc("memory", "history", told, "--json").envelope["data"]]
    assert ["create", "update", "undo"] == ops
    assert 2 == mgc("memory", "update", told).code


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_update_does_not_erase_the_text(mgc, told, text):
    assert 2 == mgc("memory", "update", told, "--text", text).code
    assert "Miau" in mgc("memory", "show", told).out


def test_forgetting_asks_and_a_dry_run_does_nothing(mgc, told, folder):
    assert 2 == mgc("memory", "forget", told).code
    would = mgc("memory", "forget", told, "--dry-run", "--json").envelope["data"]
    assert [told] == would["ids"]
    assert "Miau" in mgc("memory", "show", told).out
    other = mgc("memory", "forget", told, "--yes", "--scope", "user=bob", "--json")
    assert (1, "record-not-found") == (other.code, other.envelope["error"]["code"])
    assert "erased 1 memory\n" in mgc("memory", "forget", told, "--yes").err
    assert "tombstone" in mgc("memory", "show", told).out
    assert b"Miau" not in (folder / ".massgen" / "massgen.db").read_bytes()


@pytest.mark.usefixtures("told")
def test_damage_ends_with_5_and_is_mended(mgc, folder):
    assert 0 == mgc("memory", "verify").code
    with closing(sqlite3.connect(folder / ".massgen" / "massgen.db")) as conn, conn:
        conn.execute("UPDATE memory_log SET text = 'La vache' WHERE seq = 1")

    done = mgc("memory", "verify", "--json")
    assert (5, "ledger-corrupt") == (done.code, done.envelope["error"]["code"])
    assert "log 1" == done.envelope["data"]["problems"][0]["place"]
    assert 5 == mgc("memory", "repair", "--dry-run").code
    refused = mgc("memory", "export", "all.jsonl", "--json")
    assert (5, "ledger-corrupt") == (refused.code, refused.envelope["error"]["code"])
    assert not (folder / "all.jsonl").exists()
    repaired = mgc("memory", "repair")
    assert "is lost" in repaired.err
    assert 0 == mgc("memory", "verify").code
    assert 1 == len(list((folder / ".massgen").glob("massgen.db.damaged-*")))


def test_a_snapshot_goes_back_in(mgc, told):
    file = mgc("memory", "snapshot", "--keep", "3").out.strip()
    mgc("memory", "update", told, "--text", "The cat is gone.")
    assert file in mgc("memory", "snapshot", "--list").out.replace("\n", "")
    assert "is whole" in mgc("memory", "restore", file, "--dry-run").out
    assert "gone" in mgc("memory", "show", told).out
    assert 0 == mgc("memory", "restore", file, "--yes").code
    assert "Miau" in mgc("memory", "show", told).out
    assert 2 == mgc("memory", "restore", "nowhere.db", "--yes").code


@pytest.mark.parametrize("length", [0, 100])
def test_a_snapshot_goes_in_the_place_of_a_file_that_was_cut(mgc, told, folder, length):
    file = mgc("memory", "snapshot").out.strip()
    with (folder / ".massgen" / "massgen.db").open("r+b") as database:
        database.truncate(length)
    assert 5 == mgc("memory", "verify").code
    assert 5 == mgc("memory", "add", "x").code
    done = mgc("memory", "restore", file, "--yes")
    assert 0 == done.code
    assert "may be back" in done.err
    assert "Miau" in mgc("memory", "show", told).out
    assert 0 == mgc("memory", "verify").code


@pytest.mark.parametrize(
    "words",
    [
        ("update", "x", "--text", "y"),
        ("forget", "x", "-y"),
        ("undo", "x"),
        ("gc", "-y"),
        ("snapshot",),
        ("repair",),
        ("reindex",),
        ("compact",),
        ("revoke", "ada"),
        ("search", "x"),
    ],
)
def test_a_mistyped_path_makes_no_database(mgc, folder, words):
    done = mgc("memory", *words, "--path", "nowhere", "--json")
    assert "there is no database" in done.envelope["error"]["message"]
    assert not (folder / "nowhere").exists()


def test_a_memory_takes_the_place_of_another_and_may_be_private(mgc, told):
    new = mgc("memory", "add", "The cat is called Tom.", "--supersedes", told, *ADA).out.strip()
    assert "superseded" == mgc("memory", "show", told, "--json").envelope["data"]["state"]
    secret = mgc("memory", "add", "A secret.", "--private-to", "bob", *ADA).out.strip()
    found = mgc("memory", "show", secret, "--json").envelope["data"]
    assert ("bob", "private") == (found["owner"], found["visibility"])
    assert new in mgc("memory", "search", "cat", *ADA).out


def test_a_restore_that_cannot_write_says_so_of_a_sound_file(mgc, told, monkeypatch):
    async def refuses(_, snapshot):
        raise StorageReadOnly("no writing here", path=str(snapshot))

    file = mgc("memory", "snapshot").out.strip()
    monkeypatch.setattr("massgen_core.memory.Memory.restore", refuses)
    done = mgc("memory", "restore", file, "--yes", "--json")
    assert "no writing here" == done.envelope["error"]["message"]
    assert 0 == mgc("memory", "show", told).code


def test_memory_is_rewound(mgc, told):
    mgc("memory", "update", told, "--text", "The cat is gone.")
    for words in (("99",), ("--", "-5"), ("-5",)):
        assert 2 == mgc("memory", "rewind", *words).code
    tried = mgc("memory", "rewind", "3", "--dry-run")
    assert ("1 memory would change\n", True) == (tried.err, told in tried.out)
    assert "gone" in mgc("memory", "show", told).out
    assert told in mgc("memory", "rewind", "3").out
    assert [] == mgc("memory", "rewind", "3", "--json").envelope["data"]
    assert "Miau" in mgc("memory", "show", told).out


@pytest.mark.usefixtures("told")
def test_an_archive_moves_to_another_place(mgc):
    assert 4 == mgc("memory", "export", "ada.jsonl", *ADA, "--json").envelope["data"]["lines"]
    done = mgc("memory", "import", "ada.jsonl", "--path", "other.db")
    assert "2 new" in done.out
    assert "2 there already" in mgc("memory", "import", "ada.jsonl", "--path", "other.db").out
    assert "Miau" in mgc("memory", "search", "cat", "--path", "other.db").out
    assert 2 == mgc("memory", "import", "gone.jsonl").code


@pytest.mark.usefixtures("told")
def test_the_schema_is_told(mgc):
    data = mgc("memory", "migrate", "--dry-run", "--json").envelope["data"]
    newest = len(SCHEMA)
    assert (newest, newest, False) == (data["before"], data["after"], data["done"])
    assert 2 == mgc("memory", "migrate", "--path", "gone.db").code


@pytest.fixture
def newer(told, folder):
    """The database is of a newer version."""
    with closing(sqlite3.connect(folder / ".massgen" / "massgen.db")) as conn:
        conn.execute("PRAGMA user_version = 99")


@pytest.mark.usefixtures("newer")
@pytest.mark.parametrize("how", [(), ("--dry-run",)])
def test_a_newer_schema_is_not_migrated(mgc, how):
    done = mgc("memory", "migrate", "--json", *how)
    assert (5, "schema-too-new") == (done.code, done.envelope["error"]["code"])


@pytest.mark.usefixtures("newer")
def test_a_newer_schema_is_not_salvaged(mgc, folder):
    before = (folder / ".massgen" / "massgen.db").read_bytes()
    done = mgc("memory", "repair", "--salvage", "-y", "--json")
    assert (5, "schema-too-new") == (done.code, done.envelope["error"]["code"])
    assert before == (folder / ".massgen" / "massgen.db").read_bytes()


@pytest.mark.usefixtures("newer")
def test_what_is_of_a_newer_version_can_be_exported_as_the_hint_says(mgc):
    assert "`mgc memory export`" in mgc("memory", "add", "x").err
    assert 0 == mgc("memory", "export", "all.jsonl").code
    assert "3 new" in mgc("memory", "import", "all.jsonl", "--path", "other.db").out


@pytest.mark.usefixtures("told")
def test_what_is_of_an_older_version_names_the_command_that_migrates_it(mgc, folder):
    with closing(sqlite3.connect(folder / ".massgen" / "massgen.db")) as conn:
        conn.execute("PRAGMA user_version = 1")
    assert "`mgc memory migrate`" in mgc("memory", "search", "cat").err


@pytest.mark.parametrize("scope", ["ada", "=ada", "usr=ada"])
def test_a_scope_that_is_none_is_refused(mgc, scope):
    done = mgc("memory", "search", "cat", "--scope", scope, "--json")
    assert (2, "invalid-argument") == (done.code, done.envelope["error"]["code"])


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    ("scope", "said"),
    [
        (("user=",), "names nobody"),
        (("user=ada", "agent= "), "names nobody"),
        (("user=ada", "user=bob"), "gives user twice: 'ada' and 'bob'"),
    ],
)
@pytest.mark.parametrize("words", [("search", "called"), ("export", "all.jsonl"), ("stats",)])
def test_a_scope_of_nobody_or_of_two_is_refused(mgc, folder, words, scope, said):
    options = [word for one in scope for word in ("--scope", one)]
    done = mgc("memory", *words, *options)
    assert (2, "") == (done.code, done.out)
    assert said in done.err
    assert not (folder / "all.jsonl").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("search", "cat", "-k", "0"),
        ("search", "cat", "-k", "-1"),
        ("search", "cat", "--tokens", "0"),
        ("add", ""),
        ("add", " \n"),
    ],
)
def test_what_asks_for_nothing_is_refused(mgc, words):
    mgc("memory", "add", "The cat is called Miau.")
    assert (2, "") == (mgc("memory", *words).code, mgc("memory", *words).out)


def test_the_example_fits_the_option(mgc):
    assert "--meta page=7" in mgc("memory", "add", "x", "--meta", "foo").err
    assert "--scope user=ada" in mgc("memory", "add", "x", "--scope", "foo").err


def test_a_timeline_names_ids(mgc, told):
    assert told in mgc("memory", "timeline").out


def test_an_id_that_is_taken_is_no_matter_of_trying_again(mgc):
    mgc("memory", "add", "tea", "--id", "1")
    done = mgc("memory", "add", "gin", "--id", "1", "--json")
    assert (2, "record-conflict") == (done.code, done.envelope["error"]["code"])


@pytest.mark.usefixtures("told")
def test_the_settings_limit_what_is_found(mgc):
    hits = mgc("memory", "search", "called", "--json", "-c", "memory.retrieval.limit=1")
    assert 2 == len(hits.envelope["data"])  # and what is pinned


def test_an_index_that_is_not_installed_is_named(mgc):
    done = mgc("memory", "add", "x", "-c", "memory.indexes=['nosuch']", "--json")
    assert (3, "plugin-not-found") == (done.code, done.envelope["error"]["code"])


@pytest.mark.usefixtures("told")
def test_statistics_count_what_there_is(mgc):
    mgc("memory", "search", "cat", *ADA)
    data = mgc("memory", "stats", "--json").envelope["data"]
    assert (3, 3) == (data["active"]["records"], data["disk"]["records"])
    assert {"message": 2, "instruction": 1} == data["by_kind"]
    assert {"user": "ada"} == {k: v for k, v in data["by_scope"][0]["scope"].items() if v}
    assert (0, None) == (data["recalls"], data["hit_rate"])  # a look is no use
    ours = mgc("memory", "stats", *ADA, "--json").envelope["data"]
    assert 2 == ours["active"]["records"]
    assert "3 memories" in mgc("memory", "stats").out


@pytest.mark.usefixtures("told")
def test_a_search_is_explained(mgc):
    data = mgc("memory", "explain", "cat", *ADA, "--json").envelope["data"]
    (best, *_) = data["candidates"]
    assert "The cat is called Miau." == best["record"]["text"]
    assert best["score"] == pytest.approx(sum(best["terms"].values()))
    out = mgc("memory", "explain", "cat", *ADA).out
    assert "always" in out
    assert "searched 2 memories" in out


@pytest.mark.usefixtures("told")
def test_a_timeline_is_in_order(mgc):
    data = mgc("memory", "timeline", *ADA, "--json").envelope["data"]
    assert ["The cat is called Miau.", "Answer in French."] == [one["text"] for one in data]
    early = mgc("memory", "timeline", *ADA, "--until", "2026-05-02", "--json").envelope["data"]
    assert ["The cat is called Miau."] == [one["text"] for one in early]


def test_a_time_may_be_seconds(mgc):
    words = ("--when", "1700000000", "--expires", "9700000000.5")
    mgc("memory", "add", "x", *ADA, *words)
    found = mgc("memory", "timeline", *ADA, "--since", "1700000000", "--json").envelope["data"]
    assert [(1.7e9, 9700000000.5)] == [(one["event_time"], one["expires_at"]) for one in found]
    assert 2 == mgc("memory", "add", "x", *ADA, "--when", "2026").code


@pytest.mark.parametrize("when", ["9999-12-31T23:59:59-12:00", "0001-01-01"])
def test_a_time_that_could_not_be_shown_is_refused(mgc, when):
    done = mgc("memory", "add", "x", "--when", when)
    assert (2, True) == (done.code, "beyond the years 1 to 9999" in done.err)


@pytest.mark.usefixtures("told")
def test_a_report_is_one_page(mgc, folder):
    assert 0 == mgc("memory", "report", "--html", "page.html").code
    page = (folder / "page.html").read_text("utf-8")
    assert "<svg" in page
    assert "Miau" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert 2 == mgc("memory", "report", "--html", "no/such/folder.html").code


def test_what_expired_is_let_go_of_in_two_steps(mgc):
    mgc("memory", "add", "Old news.", *ADA, "--expires", "2020-01-01", "--id", "old")
    would = mgc("memory", "gc", "--dry-run", "--json").envelope["data"]
    assert [("old", "expired")] == [(r["record"]["id"], r["reason"]) for r in would["marked"]]
    assert "active" in mgc("memory", "show", "old").out
    assert 2 == mgc("memory", "gc").code
    assert "1 marked, 0 erased" in mgc("memory", "gc", "--yes").err
    assert "invalidated" in mgc("memory", "show", "old").out
    assert "0 marked, 1 erased" in mgc("memory", "gc", "--yes", "--grace", "0").err
    assert "tombstone" in mgc("memory", "show", "old").out


@pytest.mark.usefixtures("told")
def test_what_is_over_a_cap_is_let_go_of(mgc):
    done = mgc("memory", "gc", "--yes", "--max-records", "1", *ADA, "--json")
    assert ["over_records"] == [one["reason"] for one in done.envelope["data"]["marked"]]


@pytest.mark.usefixtures("told")
def test_reindexing_says_what_it_made(mgc):
    data = mgc("memory", "reindex", "--json").envelope["data"]
    assert (0, 0, []) == (data["vectors"], data["missing"], data["failed"])


@pytest.mark.usefixtures("told", "scripted")
def test_reindexing_without_the_embedder_fails_and_says_why(mgc):
    done = mgc("memory", "reindex", "--json", "-c", "embedder.name=deaf")
    assert (1, 3) == (done.code, done.envelope["data"]["missing"])
    said = done.envelope["error"]["message"]
    assert "3 memories have no vector: ConnectionError: nobody is there" == said


def test_what_mem0_remembers_is_imported_once(mgc, folder):
    rows = [{"id": "1", "memory": "Likes tea", "user_id": "ada"}]
    (folder / "mem0.json").write_text(json.dumps({"results": rows}))

    would = mgc("memory", "import", "mem0.json", "--dry-run")
    assert "mem0: 1 would be new, 0 of them would be changed, 0 there already\n" == would.out
    assert not list(folder.rglob("*.db"))
    done = mgc("memory", "import", "mem0.json", "--from", "mem0", "--json").envelope["data"]
    assert (1, 0, "mem0") == (done["new"], done["same"], done["format"])
    assert "1 there already" in mgc("memory", "import", "mem0.json").out
    assert "Likes tea" in mgc("memory", "search", "tea", *ADA).out


def test_what_cannot_be_imported_is_told_with_its_place(mgc, folder):
    (folder / "mem0.json").write_text('{"results": [{"id": 1}]}')

    done = mgc("memory", "import", "mem0.json", "--from", "mem0", "--json")
    error = done.envelope["error"]
    assert (2, "invalid-import", "results[0]") == (done.code, error["code"], error["place"])
    assert 2 == mgc("memory", "import", "mem0.json").code
    assert 2 == mgc("memory", "import", "nowhere.json").code
    assert 2 == mgc("memory", "import", "mem0.json", "--from", "notion").code


def test_rights_are_given_listed_and_taken_back(mgc):
    assert 2 == mgc("memory", "grant", "carl").code
    given = mgc("memory", "grant", "carl", *ADA, "--write", "--json").envelope["data"]
    assert ("carl", "ada", ["read", "write"]) == (
        given["principal"],
        given["scope"]["user"],
        given["rights"],
    )
    mgc("memory", "grant", "dora", "--scope", "team=red")
    assert "user=ada" in mgc("memory", "grants", "carl").out
    listed = mgc("memory", "grants", "--json").envelope["data"]
    assert [("carl", ["read", "write"]), ("dora", ["read"])] == [
        (one["principal"], one["rights"]) for one in listed
    ]
    assert "0 taken back" in mgc("memory", "revoke", "carl", "--scope", "team=red").out
    assert "1 taken back" in mgc("memory", "revoke", "carl").out
    assert ["dora"] == [
        one["principal"] for one in mgc("memory", "grants", "--json").envelope["data"]
    ]


@pytest.mark.usefixtures("told")
def test_a_file_without_its_header_is_salvaged(mgc, folder):
    file = folder / ".massgen" / "massgen.db"
    with file.open("r+b") as damaged:
        damaged.write(bytes(100))
    failed = mgc("memory", "search", "cat", *ADA)
    assert 5 == failed.code
    assert "mgc memory repair --salvage" in failed.err

    assert 2 == mgc("memory", "repair", "--salvage").code
    done = mgc("memory", "repair", "--salvage", "--yes", "--json")
    assert (0, 3) == (done.code, done.envelope["data"]["rows"]["memory_log"])
    assert "is kept as" in done.err
    assert "Miau" in mgc("memory", "search", "cat", *ADA).out
    assert 0 == mgc("memory", "verify").code


def test_a_repair_that_lost_something_says_so_and_an_import_brings_it_back(mgc, told):
    mgc("memory", "export", "all.jsonl")
    file = Path(".massgen/massgen.db")
    file.write_bytes(file.read_bytes().replace(b"called Miau", b"called Wiau"))
    assert 5 == mgc("memory", "verify").code
    done = mgc("memory", "repair", "--json")
    assert (5, [told]) == (done.code, done.envelope["data"]["lost"])
    assert 0 == mgc("memory", "verify").code
    assert "1 continued" in mgc("memory", "import", "all.jsonl").out
    assert "Miau" in mgc("memory", "show", told).out


@pytest.mark.usefixtures("told")
def test_an_archive_is_not_written_to_a_file_named_after_standard_output(mgc, folder):
    assert 2 == mgc("memory", "export", "-").code
    assert not (folder / "-").exists()


@pytest.mark.usefixtures("told")
def test_an_archive_that_is_torn_or_altered_ends_with_5(mgc, folder):
    mgc("memory", "export", "all.jsonl")
    text = (folder / "all.jsonl").read_text("utf-8")
    for damaged in (text[:-80], text.replace("Miau", "Wiau")):
        (folder / "all.jsonl").write_text(damaged, "utf-8")
        done = mgc("memory", "import", "all.jsonl", "--path", "other.db", "--json")
        assert (5, "ledger-corrupt") == (done.code, done.envelope["error"]["code"])


@pytest.mark.usefixtures("told")
def test_an_archive_for_a_folder_that_is_not_there_is_a_usage_error(mgc):
    done = mgc("memory", "export", "nowhere/all.jsonl", "--json")
    assert (2, "invalid-argument") == (done.code, done.envelope["error"]["code"])


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("name", [".", "/"])
@pytest.mark.parametrize("words", [("export",), ("restore", "-y")])
def test_a_folder_without_a_name_is_a_usage_error(mgc, words, name):
    done = mgc("memory", words[0], name, *words[1:], "--json")
    assert (2, "invalid-argument") == (done.code, done.envelope["error"]["code"])
