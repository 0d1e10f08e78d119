"""What a caller gets wrong is said, in terms of what was passed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from massgen_core import open_memory
from massgen_core.errors import InvalidArgument
from massgen_core.memory import Memory


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
