"""Real mem0 with its own store: texts as they are, and facts that a model takes out of them."""

import asyncio
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from words_embedder import Words

from massgen_core import open_memory
from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.errors import InvalidArgument, InvalidSetting, StorageError, Transient
from massgen_core.memory import Change, Scope
from massgen_core.plugin import Candidate, PluginContext, PluginHost
from massgen_core.testing import Answer, ScriptedBackend
from massgen_core.tokens import ModelCatalogue
from massgen_mem0.bridge import Bridge, Vectors, unit

ADA = Scope(user="ada")
HOST = PluginHost(
    entry_points=[
        Candidate("massgen-mem0", "mem0", "massgen_mem0.plugin"),
        Candidate("massgen-words", "words", "words_embedder"),
    ]
)


def facts(*texts):
    return json.dumps({"memory": [{"id": str(n), "text": text} for n, text in enumerate(texts)]})


def model(script):
    """Its window has room for mem0's prompt."""
    return ScriptedBackend(script, window=32_000)


def mem0(folder, script=None, *, embedder=None, **settings):
    """A store, which infers if there is a script of the model's answers."""
    ctx = PluginContext(
        SYSTEM_CLOCK, folder, ModelCatalogue.shipped(), embedder=lambda: embedder or Words()
    )
    if script is not None:
        backend = script if isinstance(script, ScriptedBackend) else model(script)
        ctx = replace(ctx, backend=lambda section: (backend, "model"))
        settings |= {"infer": True}
    return HOST.create("memory_store", "mem0", settings, ctx)


def put(seq, text, record=None, scope=ADA):
    return Change(seq, "put", record or f"r{seq}", scope, text)


def run(store, work):
    """What `work` does with a store that is closed afterwards."""

    async def main():
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(main())


async def found(store, query, scope=ADA, k=5):
    return [hit.record_id for hit in await store.search(query, None, scope, k)]


def test_making_a_store_loads_nothing_of_mem0_and_writes_nothing(tmp_path):
    program = (
        "import sys, asyncio, pathlib; from massgen_core.testing import installed_memory_store; "
        "store = installed_memory_store('mem0', data_dir=pathlib.Path(sys.argv[1])); "
        "asyncio.run(store.close()); print('mem0' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True
    )
    assert "False\n" == done.stdout
    assert [] == list(tmp_path.iterdir())


def test_texts_are_embedded_where_the_memory_has_no_vector(tmp_path):
    async def work(store):
        await store.apply([put(1, "Ada drinks tea."), put(2, "The train is red.")])
        return await found(store, "which train?", k=1)

    assert ["r2"] == run(mem0(tmp_path), work)


def test_a_question_outside_of_a_call_is_a_typed_error():
    with pytest.raises(StorageError, match="while nothing was asked"):
        Vectors(Bridge(1.0), Words()).embed("tea")


def test_a_vector_that_is_given_is_not_computed_again(tmp_path):
    embedder = Words()
    vector = [1.0, *[0.0] * 7]

    async def work(store):
        await store.apply([Change(1, "put", "r1", ADA, "tea", vector)])
        return [hit.record_id for hit in await store.search("a cup", vector, ADA, 1)]

    assert ["r1"] == run(mem0(tmp_path, embedder=embedder), work)
    assert [] == [text for text in embedder.texts if text in ("tea", "a cup")]


NONE = "no vectors: 1 changes had none and are not indexed"


def without_embedder(folder):
    """A store that can only index vectors that are given."""
    ctx = PluginContext(SYSTEM_CLOCK, folder, ModelCatalogue.shipped())
    return HOST.create("memory_store", "mem0", {}, ctx)


def test_a_change_without_a_vector_that_comes_again_is_counted_once(tmp_path):
    async def work(store):
        for _ in range(3):
            await store.apply([put(1, "tea")])
        return (await store.health()).detail

    assert NONE == run(without_embedder(tmp_path), work)


def test_a_vector_that_comes_later_is_indexed_and_no_longer_missed(tmp_path):
    async def work(store):
        await store.apply([put(1, "tea"), put(2, "train")])
        await store.apply([Change(1, "put", "r1", ADA, "tea", [1.0, 0.0]), put(2, "train")])
        hits = await store.search("a cup", [1.0, 0.0], ADA, 5)
        return [hit.record_id for hit in hits], (await store.health()).detail

    assert (["r1"], NONE) == run(without_embedder(tmp_path), work)


def test_a_batch_that_failed_is_counted_when_it_is_applied(tmp_path):
    async def work(store):
        await store.apply([Change(1, "put", "r1", ADA, "tea", [1.0, 0.0])])
        with pytest.raises(InvalidArgument):
            await store.apply([put(2, "train"), Change(3, "put", "r3", ADA, "a", [1.0, 0.0, 0.0])])
        await store.apply([put(2, "train"), Change(3, "put", "r3", ADA, "a", [0.0, 1.0])])
        return await store.watermark()

    assert 3 == run(without_embedder(tmp_path), work)

    async def look(store):
        return (await store.health()).detail

    assert NONE == run(without_embedder(tmp_path), look)


@pytest.mark.parametrize("vector", [None, [], [0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0]])
def test_what_has_no_direction_is_no_vector(vector):
    assert unit(vector) is None


def test_huge_and_tiny_vectors_have_a_direction():
    assert [1.0, 0.0] == unit([1e200, 0.0]) == unit([1e-200, 0.0])


def test_without_a_folder_the_setting_is_named():
    with pytest.raises(StorageError, match="no folder") as caught:
        mem0(None)
    assert "`path`" in caught.value.hint


def test_inference_without_a_backend_is_refused(tmp_path):
    with pytest.raises(InvalidSetting, match="infer needs a backend"):
        mem0(tmp_path, infer=True)


def test_the_backends_own_settings_are_in_no_repr():
    from massgen_mem0.settings import Settings

    settings = Settings(backend={"name": "local", "api_key": "abc"})
    assert "abc" not in repr(settings)
    assert "local" in repr(settings)


# Facts


def test_facts_lead_to_the_record_they_are_of(tmp_path):
    backend = model(
        [facts("Ada drinks tea", "Ada lives in Oslo"), facts("Bo rides a bike", "Bo likes tea")]
    )
    texts = ["I drink what Bo drinks, up here.", "He rides, and he likes it."]

    async def work(store):
        await store.apply([put(n, text) for n, text in enumerate(texts, 1)])
        return [await found(store, query) for query in ("Oslo", "bike", "tea")]

    oslo, bike, tea = run(mem0(tmp_path, backend), work)
    assert ("r1", "r2") == (oslo[0], bike[0])
    assert ["r1", "r2"] == sorted(tea)  # each once, though three facts say it
    assert texts[0] in backend.requests[0].messages[-1].text


def test_facts_are_there_when_it_is_opened_again(tmp_path):
    async def fill(store):
        await store.apply([put(1, "Up here it rains.", "a")])

    async def look(store):
        before = await found(store, "Oslo")
        await store.apply([Change(2, "remove", "a", ADA)])
        return before, await found(store, "Oslo"), await store.health()

    run(mem0(tmp_path, [facts("It rains in Oslo", "It rains")]), fill)
    before, after, health = run(mem0(tmp_path, []), look)
    assert (["a"], [], True) == (before, after, health.ok)


def test_an_update_replaces_all_facts(tmp_path):
    script = [facts("Ada lives in Oslo", "Ada has a red bike"), facts("Ada lives in Paris")]

    async def work(store):
        await store.apply([put(1, "first", "a")])
        await store.apply([put(2, "second", "a")])
        hits = await store.search("Oslo", None, ADA, 5)
        return hits[0].score, (await store.search("Paris", None, ADA, 5))[0].score

    oslo, paris = run(mem0(tmp_path, script), work)
    assert oslo < 0.5 < paris


def test_an_answer_in_a_code_block_is_read(tmp_path):
    async def work(store):
        await store.apply([put(1, "Up here.")])
        return await found(store, "Oslo"), (await store.search("Oslo", None, ADA, 1))[0].score

    hits, score = run(mem0(tmp_path, [f"```json\n{facts('Ada lives in Oslo')}\n```"]), work)
    assert ["r1"] == hits
    assert score > 0.5


BAD = {
    "nothing": "",
    "no JSON": "I am sorry, I cannot do that.",
    "cut off": facts("Ada lives in Oslo")[:-8],
    "a list": "[]",
    "null": "null",
    "no facts": facts(),
    "a text for facts": '{"memory": "Ada lives in Oslo"}',
    "texts for facts": '{"memory": ["Ada lives in Oslo"]}',
    "numbers for facts": '{"memory": [{"text": 5}]}',
    "facts without text": '{"memory": [{"id": "0"}, {"text": ""}]}',
    "an error": Answer(error=Transient("the server is busy", hint="later")),
}


@pytest.mark.parametrize("name", BAD)
def test_a_text_whose_facts_cannot_be_had_is_kept_as_it_is(tmp_path, name):
    backend = model([BAD[name], BAD[name]])

    async def work(store):
        await store.apply([put(1, "A train to Paris."), put(2, " ")])
        return await found(store, "Paris"), await store.watermark(), await store.health()

    hits, mark, health = run(mem0(tmp_path, backend), work)
    assert (["r1"], 2, True) == (hits, mark, health.ok)
    assert 2 == len(backend.requests)


def test_facts_are_asked_for_once_more(tmp_path):
    async def work(store):
        await store.apply([put(1, "Up here.")])
        return (await store.search("Oslo", None, ADA, 1))[0].score

    assert run(mem0(tmp_path, ["what?", facts("Ada lives in Oslo")]), work) > 0.5


def test_facts_of_what_comes_again_are_not_asked_for_again(tmp_path):
    backend = model([facts("Ada lives in Oslo"), facts("Bo lives in Paris")])
    batch = [put(1, "one"), put(2, "two")]

    async def work(store):
        await store.apply(batch)
        await store.apply(batch)
        return await found(store, "Oslo", k=1), await store.watermark()

    assert (["r1"], 2) == run(mem0(tmp_path, backend), work)
    assert 2 == len(backend.requests)


def test_an_answer_that_does_not_come_is_not_waited_for(tmp_path):
    backend = model([Answer("late", delay=60.0), Answer("late", delay=60.0)])

    async def work(store):
        await store.apply([put(1, "A train to Paris.")])
        return await found(store, "Paris")

    assert ["r1"] == run(mem0(tmp_path, backend, timeout=0.1), work)
    assert 0 == backend.running


def test_a_call_that_is_cancelled_leaves_what_was_paid_for(tmp_path):
    asked = asyncio.Event()

    def late(request):
        asked.set()
        return Answer("late", delay=60.0)

    backend = model([facts("Ada lives in Oslo"), late, facts("Bo lives in Paris")])

    async def work(store):
        applying = asyncio.create_task(store.apply([put(1, "one"), put(2, "two")]))
        await asked.wait()
        applying.cancel()
        await asyncio.wait([applying])
        mark = await store.watermark()
        await store.apply([put(2, "two")])
        return mark, await found(store, "Oslo", k=1), await found(store, "Paris", k=1)

    assert (1, ["r1"], ["r2"]) == run(mem0(tmp_path, backend), work)
    assert 3 == len(backend.requests)


def test_nothing_of_a_removed_record_stays_in_the_files(tmp_path):
    async def work(store):
        await store.apply([put(1, "Ada has a secret called xyzzy."), put(2, "tea")])
        await store.apply([Change(3, "remove", "r1", ADA)])

    run(mem0(tmp_path, [facts("The secret of Ada is plugh"), facts("tea")]), work)
    held = [path for path in tmp_path.rglob("*") if path.is_file()]
    secret = [p for p in held if b"plugh" in p.read_bytes() or b"xyzzy" in p.read_bytes()]
    assert [] == secret


# With the ledger


TEXTS = ("Ada drinks tea.", "The train is red.", "She flew to Oslo.")


def recalled(folder, query, *, texts=(), indexes=("mem0",), **settings):
    """What a memory with the index finds, and whether the index had a part in it."""

    async def main():
        told = []
        async with open_memory(
            folder,
            indexes=indexes,
            embedder="words",
            settings={"mem0": settings},
            host=HOST,
            backend=lambda section: (model(facts(*TEXTS) for _ in range(9)), "model"),
            told=lambda *what: told.append(what),
        ) as memory:
            for text in texts:
                await memory.remember(text, scope=ADA)
            hits = await memory.recall(query, scope=ADA)
            await memory.settle()
            assert (await memory.verify()).ok
            return [(hit.record.text, "store:mem0" in hit.reasons) for hit in hits], told

    return asyncio.run(main())


def cut(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize("loss", ["none", "folder", "file", "state"])
@pytest.mark.parametrize("infer", [False, True])
def test_a_memory_finds_the_same_whatever_happens_to_its_index(tmp_path, loss, infer):
    before, _ = recalled(tmp_path, "tea", texts=TEXTS, infer=infer)
    assert ("Ada drinks tea.", True) == before[0]
    home = tmp_path / "massgen.indexes" / "mem0"
    if loss == "folder":
        shutil.rmtree(home)
    if loss == "file":
        cut(next(home.rglob("massgen/storage.sqlite")))
    if loss == "state":
        (home / "state.json").unlink()
    after, _ = recalled(tmp_path, "tea", infer=infer)
    assert before == after


def test_a_change_of_inference_builds_the_index_anew(tmp_path):
    recalled(tmp_path, "tea", texts=TEXTS)
    hits, told = recalled(tmp_path, "tea", infer=True)
    assert ("Ada drinks tea.", True) == hits[0]
    assert ["mem0"] == [name for name, reason in told if "rebuilt" in reason]
