"""Bytes of a real file flipped, zeroed or cut off at random: found, or without effect."""

import asyncio
import random
import shutil

import pytest

from massgen_core.errors import MassgenError
from massgen_core.messages import Image, Message, Text, user
from massgen_core.sessions import NewEntry, SessionStore

WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "and", "runs", "away"]


def texts(seed):
    rnd = random.Random(seed)
    return [" ".join(rnd.choices(WORDS, k=rnd.choice([3, 15, 60, 400]))) for _ in range(25)]


async def fill(path):
    async with SessionStore.open(path, synchronous="normal") as store:
        for number in range(3):
            async with store.create(f"s{number}", title=f"Session {number}") as session:
                for text in texts(number):
                    picture = Image("image/png", random.Random(text).randbytes(300))
                    await session.append(
                        NewEntry.message(Message("user", (Text(text), picture)), len(text), "t"),
                        NewEntry("note", {"text": text}),
                    )
        await store.fork("s0", at=20, new_id="s3")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("original") / "x.db"
    asyncio.run(fill(path))
    return path


async def contents(path):
    """All that a reader sees of every session."""
    async with SessionStore.open(path, synchronous="normal") as store:
        return {
            info: [(entry.seq, entry.id, entry.body) for entry in await store.read(info.id)]
            for info in await store.list()
        }


async def problems(path):
    async with SessionStore.open(path, read_only=True) as store:
        return (await store.verify()).problems


async def append_everywhere(path):
    """What opening for writing says and does; never an error that is not ours."""
    async with SessionStore.open(path, synchronous="normal") as store:
        for number in range(4):
            try:
                async with store.open_session(f"s{number}") as session:
                    await session.append(NewEntry.message(user("more")))
            except MassgenError:
                continue


async def salvage(path):
    async with SessionStore.open(path, read_only=True) as store:
        for number in range(4):
            try:
                async for _ in store.export(f"s{number}", salvage=True):
                    pass
            except MassgenError:
                continue


def attempt(coroutine):
    """The result, or the error if it is one of ours; any other fails the test."""
    try:
        return asyncio.run(coroutine)
    except MassgenError as exc:
        return exc


def flip(content, rnd):
    content[rnd.randrange(len(content))] ^= 1 << rnd.randrange(8)


def zero(content, rnd):
    start = rnd.randrange(len(content))
    end = min(len(content), start + rnd.choice([4, 64, 4096]))
    content[start:end] = bytes(end - start)


def cut(content, rnd):
    del content[rnd.randrange(len(content)) :]


def scramble(content, rnd):
    size = 4096
    first, second = (rnd.randrange(len(content) // size) * size for _ in range(2))
    content[first : first + size], content[second : second + size] = (
        content[second : second + size],
        content[first : first + size],
    )


DAMAGES = {"flip": (flip, 40), "zero": (zero, 20), "cut": (cut, 5), "scramble": (scramble, 10)}


@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_anywhere_is_found_or_has_no_effect(original, tmp_path, kind):
    damage, rounds = DAMAGES[kind]
    expected = asyncio.run(contents(original))
    silent = []
    for seed in range(rounds):
        path = tmp_path / f"{seed}.db"
        content = bytearray(original.read_bytes())
        damage(content, random.Random(f"{kind} {seed}"))
        path.write_bytes(content)
        reported = attempt(problems(path))
        seen = attempt(contents(path))
        if not reported and seen != expected:
            silent.append((seed, seen if isinstance(seen, MassgenError) else "content differs"))
        attempt(salvage(path))
        attempt(append_everywhere(path))
        shutil.rmtree(f"{path}.locks", ignore_errors=True)
        path.unlink()
    assert silent == []


def test_damage_that_is_read_is_never_read_as_something_else(original, tmp_path):
    """What a reader gets without an error is what was written, entry by entry."""
    expected = {info.id: entries for info, entries in asyncio.run(contents(original)).items()}
    wrong = []

    async def lying(path):
        async with SessionStore.open(path, synchronous="normal") as store:
            return [
                session_id
                for session_id, entries in expected.items()
                if not await tells_the_truth(store, session_id, entries)
            ]

    async def tells_the_truth(store, session_id, entries):
        try:
            found = await store.read(session_id)
        except MassgenError:
            return True
        return [(entry.seq, entry.id, entry.body) for entry in found] == entries[: len(found)]

    for seed in range(20):
        path = tmp_path / f"{seed}.db"
        content = bytearray(original.read_bytes())
        for _ in range(5):
            flip(content, random.Random(seed * 1000 + _))
        path.write_bytes(content)
        result = attempt(lying(path))
        wrong += [] if isinstance(result, MassgenError) else [(seed, name) for name in result]
    assert wrong == []
