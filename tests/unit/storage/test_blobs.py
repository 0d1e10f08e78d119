import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_core.storage import (
    SCHEMA,
    BlobDamage,
    add_refs,
    blob_hash,
    drop_owner,
    get_blobs,
    put_blobs,
)


def database():
    conn = sqlite3.connect(":memory:", isolation_level=None)
    for migration in SCHEMA:
        for step in migration.steps:
            conn.execute(step)
    return closing(conn)


def stored(conn):
    return conn.execute("SELECT count(*) FROM blob").fetchone()[0]


@given(st.lists(st.binary(max_size=400)))
def test_every_payload_comes_back(raws):
    with database() as conn:
        put_blobs(conn, "x", raws)
        assert get_blobs(conn, map(blob_hash, raws)) == {blob_hash(raw): raw for raw in raws}


def test_a_payload_is_stored_once_however_many_refer_to_it():
    with database() as conn:
        for owner in ("a", "b", "a"):
            put_blobs(conn, owner, [b"same", b"same"])
        assert stored(conn) == 1


def test_a_payload_is_compressed_only_where_that_is_smaller():
    with database() as conn:
        put_blobs(conn, "x", [b"a" * 1000, b"abc"])
        found = dict(conn.execute("SELECT codec, length(data) FROM blob").fetchall())
    assert found["raw"] == 3
    assert found["zlib"] < 50


def test_a_payload_lives_as_long_as_one_owner_does():
    with database() as conn:
        put_blobs(conn, "a", [b"shared", b"only a"])
        add_refs(conn, "b", [blob_hash(b"shared")])
        drop_owner(conn, "a")
        assert conn.execute("SELECT data FROM blob").fetchall() == [(b"shared",)]
        drop_owner(conn, "b")
        assert stored(conn) == 0


def test_more_payloads_than_one_query_takes_come_back():
    raws = [b"%d" % number for number in range(1203)]
    with database() as conn:
        put_blobs(conn, "x", raws)
        assert len(get_blobs(conn, map(blob_hash, raws))) == 1203


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("data = zeroblob(30)", "decompressed"),
        ("codec = 'rot13'", "codec"),
        ("size = size + 1", "match"),
        ("size = 1", "match"),
        ("data = 7", "no bytes"),
        ("codec = 'raw'", "match"),
    ],
)
def test_damage_is_named(change, what):
    raw = b"a" * 500
    with database() as conn:
        put_blobs(conn, "x", [raw])
        conn.execute(f"UPDATE blob SET {change}")  # noqa: S608 - literals above
        found = get_blobs(conn, [blob_hash(raw)])[blob_hash(raw)]
    assert isinstance(found, BlobDamage)
    assert what in found.what


def test_a_missing_payload_is_named():
    with database() as conn:
        assert "missing" in get_blobs(conn, [blob_hash(b"")])[blob_hash(b"")].what


def test_storing_a_payload_again_heals_a_damaged_one():
    raw = b"a" * 500
    with database() as conn:
        put_blobs(conn, "x", [raw])
        conn.execute("UPDATE blob SET data = zeroblob(30)")
        put_blobs(conn, "y", [raw])
        assert get_blobs(conn, [blob_hash(raw)]) == {blob_hash(raw): raw}
