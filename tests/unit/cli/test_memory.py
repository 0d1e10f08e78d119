"""`mgc memory`."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

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
    assert (75, "record-conflict") == (conflict.code, conflict.envelope["error"]["code"])
    assert "Miau" in mgc("memory", "undo", told).out
    ops = [one["op"] for one in mgc("memory", "history", told, "--json").envelope["data"]]
    assert ["create", "update", "undo"] == ops
    assert 2 == mgc("memory", "update", told).code


def test_forgetting_asks_and_a_dry_run_does_nothing(mgc, told, folder):
    assert 2 == mgc("memory", "forget", told).code
    would = mgc("memory", "forget", told, "--dry-run", "--json").envelope["data"]
    assert [told] == would["ids"]
    assert "Miau" in mgc("memory", "show", told).out
    other = mgc("memory", "forget", told, "--yes", "--scope", "user=bob", "--json")
    assert (1, "record-not-found") == (other.code, other.envelope["error"]["code"])
    assert 0 == mgc("memory", "forget", told, "--yes").code
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


def test_memory_is_rewound(mgc, told):
    mgc("memory", "update", told, "--text", "The cat is gone.")
    assert 1 == len(mgc("memory", "rewind", "3", "--json").envelope["data"])
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
    assert (2, 2, False) == (data["before"], data["after"], data["done"])
    assert 2 == mgc("memory", "migrate", "--path", "gone.db").code


@pytest.mark.parametrize("scope", ["ada", "=ada", "usr=ada"])
def test_a_scope_that_is_none_is_refused(mgc, scope):
    done = mgc("memory", "search", "cat", "--scope", scope, "--json")
    assert (2, "invalid-argument") == (done.code, done.envelope["error"]["code"])


@pytest.mark.usefixtures("told")
def test_the_settings_limit_what_is_found(mgc):
    hits = mgc("memory", "search", "called", "--json", "-c", "memory.retrieval.limit=1")
    assert 2 == len(hits.envelope["data"])  # and what is pinned


def test_an_index_that_is_not_installed_is_named(mgc):
    done = mgc("memory", "add", "x", "-c", "memory.indexes=['nosuch']", "--json")
    assert (3, "plugin-not-found") == (done.code, done.envelope["error"]["code"])
