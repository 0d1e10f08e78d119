"""What a caller gets wrong is said, in terms of what was passed."""

from __future__ import annotations

import asyncio
import uuid
from enum import StrEnum
from pathlib import Path

import numpy as np
import pytest

from massgen_core import open_memory
from massgen_core.errors import InvalidArgument
from massgen_core.memory import Memory, NewMemory, Retention, Scope


def told(tmp_path, call):
    """What the memory says of a call."""

    async def main():
        async with Memory.open(tmp_path / "m.db") as memory:
            with pytest.raises(InvalidArgument) as caught:
                await call(memory)
            return caught.value.message

    return asyncio.run(main())


def test_text_names_a_file_as_a_path_does(tmp_path):
    async def main():
        async with Memory.open(tmp_path / "m.db") as memory:
            await memory.remember("tea", scope={}, id="1")
            archive, folder = str(tmp_path / "all.jsonl"), str(tmp_path / "copies")
            await memory.export(archive)
            kept = await memory.snapshot(folder)
            assert [kept] == await memory.snapshots(folder)
            await memory.restore(str(kept.path))
            note = tmp_path / "note.md"
            note.write_text("I like gin.", "utf-8")
            assert 1 == (await memory.import_from(str(note))).new
        async with Memory.open(tmp_path / "other.db") as memory:
            assert 1 == (await memory.import_(archive)).new
            assert 1 == (await memory.import_(Path(archive))).same

    asyncio.run(main())


@pytest.mark.parametrize("name", ["nowhere/x.jsonl", ".", "m.db/x"])
def test_an_archive_that_cannot_be_written_is_told(tmp_path, name):
    assert "cannot be written" in told(tmp_path, lambda memory: memory.export(tmp_path / name))


def test_an_archive_that_cannot_be_read_is_told(tmp_path):
    binary = tmp_path / "binary"
    binary.write_bytes(b'{"format": "\xff"}')
    assert "cannot be read" in told(tmp_path, lambda memory: memory.import_(tmp_path / "no"))
    assert "cannot be read" in told(tmp_path, lambda memory: memory.import_(tmp_path))
    assert "no UTF-8 text" in told(tmp_path, lambda memory: memory.import_(binary))


@pytest.mark.parametrize("value", [5, "", None])
@pytest.mark.parametrize("name", ["export", "import_", "import_from", "restore"])
def test_what_is_no_path_is_told(tmp_path, name, value):
    assert "expected a path" in told(tmp_path, lambda memory: getattr(memory, name)(value))


@pytest.mark.parametrize("value", [".", "/", Path()])
@pytest.mark.parametrize("name", ["export", "restore"])
def test_what_is_no_file_is_told(tmp_path, name, value):
    assert "expected a file" in told(tmp_path, lambda memory: getattr(memory, name)(value))


@pytest.mark.parametrize("value", ["a\ud800", "a\0b"])
@pytest.mark.parametrize("name", ["export", "import_", "import_from", "restore", "snapshot"])
def test_a_name_that_no_file_can_have_is_told(tmp_path, name, value):
    assert "expected a path" in told(tmp_path, lambda memory: getattr(memory, name)(value))


@pytest.mark.parametrize("value", [5, 1.5, True, uuid.UUID(int=7), b"x"])
def test_what_is_no_id_is_told(tmp_path, value):
    what = told(tmp_path, lambda memory: memory.remember("tea", scope={"user": "ada"}, id=value))
    assert what.startswith("id is ")


@pytest.mark.parametrize(("key", "value"), [("x", None), ("x\ud800", "y"), (5, "y")])
def test_what_is_no_marker_is_told(tmp_path, key, value):
    assert "expected text" in told(tmp_path, lambda memory: memory.set_marker(key, value))


class Kind(StrEnum):
    FACT = "fact"


def test_members_of_enums_and_numbers_of_numpy_are_written_as_what_they_are(tmp_path):
    async def main():
        async with open_memory(tmp_path) as memory:
            given = {"kind": Kind.FACT, "id": Kind.FACT, "expires_at": np.float64(5e9)}
            await memory.remember("tea", scope={"user": "ada"}, importance=np.float64(0.5), **given)
            record = await memory.get("fact")
            assert ("fact", 5e9, 0.5) == (record.kind, record.expires_at, record.importance)
            return (await memory.verify()).problems

    assert () == asyncio.run(main())


def test_what_is_no_policy_is_told(tmp_path):
    assert "expected a Retention" in told(tmp_path, lambda memory: memory.gc(5))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"indexes": "chroma"}, "indexes is 'chroma', expected a list of names"),
        ({"indexes": 5}, "indexes is 5, expected a list of names"),
        ({"indexes": [5]}, "memory_store is 5, expected the name"),
        ({"embedder": 5}, "embedder is 5, expected the name"),
    ],
)
def test_plugins_that_are_not_named_by_names_are_told(tmp_path, given, said):
    with pytest.raises(InvalidArgument, match="expected") as caught:
        open_memory(tmp_path, **given)
    assert said in caught.value.message


@pytest.mark.parametrize("synchronous", ["foo", "off", "FULL", "1", 1, None, True, ["full"]])
def test_a_durability_that_there_is_not_is_told(tmp_path, synchronous):
    async def main():
        async with open_memory(tmp_path / "m.db", synchronous=synchronous):
            pass

    with pytest.raises(InvalidArgument, match="synchronous is .*, expected full or normal"):
        asyncio.run(main())
    assert not list(tmp_path.iterdir())


WRONG = {
    "explain": lambda memory: memory.explain(None, scope={}),
    "forget": lambda memory: memory.forget(None),
    "rights": lambda memory: memory.grant("x", {}, None),
    "one right": lambda memory: memory.grant("x", {}, "read"),
    "kinds": lambda memory: memory.recall("x", scope={}, kinds=5),
    "one kind": lambda memory: memory.recall("x", scope={}, kinds="fact"),
    "exclude": lambda memory: memory.recall("x", scope={}, exclude=3),
    "explained kind": lambda memory: memory.explain("x", scope={}, kinds="fact"),
    "one kind of a timeline": lambda memory: memory.timeline({}, kinds="fact"),
    "states": lambda memory: memory.timeline({}, states=["foo"]),
    "one state": lambda memory: memory.timeline({}, states="active"),
    "keep": lambda memory: memory.snapshot(keep="2"),
    "keep True": lambda memory: memory.snapshot(keep=True),
    "keep 1.5": lambda memory: memory.snapshot(keep=1.5),
    "texts": lambda memory: memory.remember_many(["x"]),
    "no list": lambda memory: memory.remember_many(None),
    "lines": lambda memory: memory.import_([5]),
    "grant": lambda memory: memory.grant("a\ud800", {}),
    "grants": lambda memory: memory.grants("a\ud800"),
    "grants of a number": lambda memory: memory.grants(5),
    "revoke": lambda memory: memory.revoke("a\ud800"),
    "meta": lambda memory: memory.remember("x", scope={}, meta=[1]),
    "tags": lambda memory: memory.remember("x", scope={}, tags=5),
    "order": lambda memory: memory.remember("x", scope={}, valid_from=2, valid_to=1),
}


@pytest.mark.parametrize("call", WRONG.values(), ids=WRONG)
def test_what_is_of_the_wrong_type_is_told(tmp_path, call):
    assert told(tmp_path, call)


def test_an_update_does_not_let_a_memory_end_before_it_begins(tmp_path):
    async def change(memory):
        one = await memory.remember("x", scope={}, valid_from=5)
        await memory.update(one, valid_to=4)

    assert "before valid_from" in told(tmp_path, change)


def test_a_new_memory_takes_a_scope_as_a_mapping(tmp_path):
    new = NewMemory(text="a", scope={"user": "ada"}, tags=["b"])
    assert (Scope(user="ada"), ("b",)) == (new.scope, new.tags)
    with pytest.raises(InvalidArgument):
        NewMemory(text="a", scope=5)


@pytest.mark.parametrize("value", ["5", True, float("nan"), 0])
def test_a_cap_that_is_no_number_is_told(value):
    with pytest.raises(InvalidArgument, match="expected a positive number"):
        Retention(max_bytes=value)


@pytest.mark.parametrize("path", [5, None, "a\0b", "", "a\ud800"])
def test_a_database_at_no_path_is_told(path):
    for opens in (open_memory, Memory.open):
        with pytest.raises(InvalidArgument, match="expected a path"):
            opens(path)


@pytest.mark.parametrize("settings", [5, [], {"chroma": 5}, {"chroma": "settings"}])
def test_what_is_no_settings_by_names_is_told(tmp_path, settings):
    with pytest.raises(InvalidArgument, match="settings"):
        open_memory(tmp_path, settings=settings)
