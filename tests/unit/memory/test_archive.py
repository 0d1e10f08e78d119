import asyncio
import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from massgen_core.errors import AccessDenied, InvalidArgument, LedgerCorrupt
from massgen_core.memory import Memory, Scope

ADA = {"user": "ada"}
LONG = "a long text that is a blob " * 20


async def fill(memory):
    await memory.remember("one", scope=ADA, id="1", tags=["x"], meta={"n": [1, {"m": None}]})
    await memory.remember(LONG, scope={**ADA, "session": "s"}, id="2", event_time=5)
    await memory.remember("lone \ud800, pair \ud83d\ude00", scope={"user": "bob"}, id="3")
    await memory.update("1", text="eins")
    await memory.remember("zwei", scope=ADA, id="4", kind="fact", supersedes=["1"])
    await memory.remember("secret", scope=ADA, id="5")
    await memory.forget("5")
    await memory.grant("carl", ADA, ["write"])


async def everything(memory):
    def bare(record):
        return record and replace(record, seq=0)

    out = {}
    for key in "12345":
        history = await memory.history(key)
        out[key] = [(one.at, one.actor, one.op, bare(one.record)) for one in history]
    return out, await memory.grants()


def test_an_archive_carries_all_that_there_is(tmp_path):
    async def main():
        async with Memory.open(tmp_path / "a") as one, Memory.open(tmp_path / "b") as other:
            await fill(one)
            assert 11 == await one.export(tmp_path / "all.jsonl")
            done = await other.import_(tmp_path / "all.jsonl")
            assert (5, 0, 0, (), 8) == (
                *(done.new, done.continued, done.same, done.conflicts),
                done.entries,
            )
            assert await everything(one) == await everything(other)
            assert (await other.verify()).ok
            again = await other.import_(tmp_path / "all.jsonl")
            assert (0, 5, 0) == (again.new, again.same, again.entries)
            assert b"secret" not in (tmp_path / "all.jsonl").read_bytes()
            (undone,) = [r for r in await other.undo("4") if r.id == "1"]
            return undone.text

    assert "eins" == asyncio.run(main())


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("entry", {"rev": float("inf")}),
        ("entry", {"batch": float("inf")}),
        ("grant", {"rights": [[]]}),
        ("grant", {"rights": ["own"]}),
        ("grant", {"principal": ""}),
        (None, "[" * 100_000),
        (None, '"\ud800"'),
    ],
)
def test_whatever_is_altered_is_damage(tmp_path, kind, change):
    async def main():
        async with Memory.open(tmp_path / "a") as one, Memory.open(tmp_path / "b") as other:
            await fill(one)
            await one.export(tmp_path / "all.jsonl")
            lines = (tmp_path / "all.jsonl").read_text("utf-8").splitlines()
            place = next((n for n, line in enumerate(lines) if f'{{"{kind}"' in line[:9]), 1)
            lines[place] = (
                json.dumps({kind: {**json.loads(lines[place])[kind], **change}}) if kind else change
            )
            with pytest.raises(LedgerCorrupt, match="of the archive cannot be used"):
                await other.import_(lines)
            return await other.timeline({})

    assert [] == asyncio.run(main())


def test_a_scope_is_exported_by_itself(tmp_path):
    async def main():
        async with Memory.open(tmp_path / "a") as one, Memory.open(tmp_path / "b") as other:
            await fill(one)
            with pytest.raises(AccessDenied):
                await one.export(tmp_path / "ada.jsonl", scope=ADA, principal="bob")
            await one.export(tmp_path / "ada.jsonl", scope=ADA, principal="ada")
            assert 4 == (await other.import_(tmp_path / "ada.jsonl")).new
            assert [] == await other.grants()
            return (await other.get("2")).text

    assert LONG == asyncio.run(main())


def test_a_newer_archive_continues_what_is_there_and_a_conflict_is_named(tmp_path):
    async def main():
        async with Memory.open(tmp_path / "a") as one, Memory.open(tmp_path / "b") as other:
            await one.remember("tea", scope=ADA, id="1")
            await other.remember("gin", scope=ADA, id="2")
            await one.remember("rum", scope=ADA, id="2")
            await one.export(tmp_path / "x")
            assert ("2",) == (await other.import_(tmp_path / "x")).conflicts
            await one.update("1", text="green tea")
            await one.export(tmp_path / "x")
            assert 1 == (await other.import_(tmp_path / "x")).continued
            await other.update("1", text="black tea")
            assert 1 == (await other.import_(tmp_path / "x")).same
            await other.forget("1")
            assert 1 == (await other.import_(tmp_path / "x")).same
            assert "tombstone" == (await other.get("1")).state
            assert (await other.verify()).ok
            return (await other.get("2")).text

    assert "gin" == asyncio.run(main())


@pytest.fixture
def lines(tmp_path):
    async def main():
        async with Memory.open(tmp_path / "a") as one:
            await fill(one)
            await one.export(tmp_path / "x")
            return (tmp_path / "x").read_text("utf-8").splitlines()

    return asyncio.run(main())


async def refuse(folder, lines):
    async with Memory.open(folder / "b") as other:
        with pytest.raises((InvalidArgument, LedgerCorrupt)) as caught:
            await other.import_(lines)
        assert [] == await other.recall("one", scope=Scope(), k=9)
        assert 0 == (await other.verify()).entries
        return caught.value.message


def test_a_torn_archive_is_refused_whole(lines, tmp_path):
    assert "without its checksum" in asyncio.run(refuse(tmp_path, lines[:-1]))
    assert "line 3" in asyncio.run(refuse(tmp_path, [*lines[:2], lines[2][:20]]))
    assert "no memory archive" in asyncio.run(refuse(tmp_path, ['{"format": "other"}']))
    assert "version 9" in asyncio.run(
        refuse(tmp_path, ['{"format": "massgen-memory", "version": 9}'])
    )


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_an_altered_archive_is_refused_whole(lines, tmp_path, data):
    number = data.draw(st.integers(0, len(lines) - 1))
    line = lines[number]
    place = data.draw(st.integers(0, len(line) - 1))
    letter = data.draw(st.characters(codec="ascii", exclude_characters=line[place] + "\r\n"))
    altered = [*lines]
    altered[number] = line[:place] + letter + line[place + 1 :]
    try:
        same = json.loads(altered[number]) == json.loads(line)
    except ValueError:
        same = False
    if same and number == len(lines) - 1:
        return  # another way to write the same checksum
    asyncio.run(refuse(tmp_path, altered))
