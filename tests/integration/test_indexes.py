"""The ledger is the truth: indexes come, go and are damaged, and no memory is lost."""

import asyncio
import json
import os
import shutil
import subprocess
import sys

import pytest

from massgen_core import open_memory
from massgen_core.memory import NewMemory, scope_of

for module in ("massgen_chroma", "massgen_mem0", "massgen_embed_minilm"):
    pytest.importorskip(module)

ADA = {"user": "ada"}
TEXTS = [
    "Ada's home is in Oslo.",
    "The build takes nine minutes.",
    "She is allergic to nuts.",
    "The train to Bergen leaves at eight.",
]
ASKED = {
    "Where does Ada live?": TEXTS[0],
    "How long does it take to compile?": TEXTS[1],
    "Which food must she avoid?": TEXTS[2],
    "When do I have to be at the station?": TEXTS[3],
}


def with_memory(folder, indexes, work):
    """What `work` returns, and what was told of plugins."""
    told = []

    async def main():
        async with open_memory(
            folder, indexes=indexes, embedder="minilm", told=lambda *what: told.append(what)
        ) as memory:
            return await work(memory)

    return asyncio.run(main()), told


async def fill(memory):
    await memory.remember_many([NewMemory(text=text, scope=scope_of(ADA)) for text in TEXTS])


async def look(memory):
    """What each question finds first, and which indexes had a part in it."""
    found, parts = {}, set()
    for question in ASKED:
        hits = await memory.recall(question, scope=ADA)
        found[question] = hits[0].record.text
        assert sorted(hit.record.text for hit in hits) == sorted(TEXTS)
        parts |= {name for hit in hits for name in hit.reasons if name.startswith("store:")}
    assert (await memory.verify()).ok
    return found, parts


@pytest.mark.parametrize(
    "order",
    [
        (["chroma"], ["mem0"], []),
        ([], ["mem0", "chroma"], ["chroma"]),
        (["mem0"], [], ["mem0"]),
    ],
    ids=str,
)
def test_which_indexes_there_are_may_change_at_any_time(tmp_path, order):
    with_memory(tmp_path, order[0], fill)
    for indexes in order:
        (found, parts), told = with_memory(tmp_path, indexes, look)
        assert ASKED == found
        assert {f"store:{name}" for name in indexes} == parts
        assert [] == told


def test_an_index_that_was_away_catches_up(tmp_path):
    async def change(memory):
        hits = await memory.recall("Where does Ada live?", scope=ADA)
        await memory.update(hits[0].record.id, text="Ada's home is in Bergen now.")
        await memory.forget([hits[-1].record.id], scope=ADA)
        return hits[-1].record.text

    async def see(memory):
        hits = await memory.recall("Where does Ada live?", scope=ADA)
        stores = [name for name in hits[0].reasons if name.startswith("store:")]
        return [hit.record.text for hit in hits], stores

    with_memory(tmp_path, ["chroma", "mem0"], fill)
    gone, _ = with_memory(tmp_path, [], change)
    (texts, stores), told = with_memory(tmp_path, ["chroma", "mem0"], see)

    assert "Ada's home is in Bergen now." == texts[0]
    assert gone not in texts
    assert ["store:chroma", "store:mem0"] == sorted(stores)
    assert [] == told


@pytest.mark.parametrize("name", ["chroma", "mem0"])
def test_a_deleted_index_is_built_anew(tmp_path, name):
    with_memory(tmp_path, [name], fill)
    before, _ = with_memory(tmp_path, [name], look)
    shutil.rmtree(tmp_path / "massgen.indexes" / name)
    after, _ = with_memory(tmp_path, [name], look)
    assert before == after


@pytest.fixture
def mgc(tmp_path):
    """What the command line answers, with these indexes in the settings of the folder."""

    def mgc(indexes, *words):
        settings = {"embedder": {"name": "minilm"}, "memory": {"indexes": indexes}}
        (tmp_path / "massgen.yaml").write_text(json.dumps(settings))
        done = subprocess.run(
            [sys.executable, "-m", "massgen_core", "memory", *words, "--json"],
            cwd=tmp_path,
            env=os.environ | {"XDG_CONFIG_HOME": str(tmp_path / "config")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert 0 == done.returncode, done.stderr
        assert "" == done.stderr  # nothing was told of an index
        return json.loads(done.stdout)["data"]

    return mgc


@pytest.mark.timeout(180)
def test_which_indexes_the_settings_name_may_change_at_any_time(mgc):
    """Each line is a process of its own, and memories come in between."""
    scope = ("--scope", "user=ada")
    questions = {text: question for question, text in ASKED.items()}
    kept = []
    for indexes, text in ((["chroma"], TEXTS[0]), (["mem0"], TEXTS[1]), ([], TEXTS[2])):
        mgc(indexes, "add", text, *scope)
        kept.append(text)
        hits = mgc(indexes, "search", questions[text], *scope)
        assert text == hits[0]["text"]
        assert sorted(kept) == sorted(hit["text"] for hit in hits)
        stores = {name for hit in hits for name in hit["reasons"] if name.startswith("store:")}
        assert {f"store:{name}" for name in indexes} == stores
    assert [] == mgc(["chroma", "mem0"], "verify")["problems"]
