"""Settings, keys and identities; a key is nowhere to be seen."""

from __future__ import annotations

import asyncio
import logging
import pickle
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from pydantic import ValidationError

from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.errors import AuthFailed, InvalidRequest, InvalidSetting, MassgenError, Transient
from massgen_core.plugin import PluginContext, PluginHost
from massgen_core.tokens import ModelCatalogue
from massgen_embed_openai import OpenAIEmbeddings, OpenAIEmbeddingsSettings

sys.path.insert(0, str(Path(__file__).parent))

from loopback_embeddings import SIZE, body, stall, status

KEY = "sk-very-secret-0123456789"


def made(environ=None, **settings):
    chosen = {"model": "bge-m3", "dimensions": 1024, "base_url": "http://h:1/v1", **settings}
    return OpenAIEmbeddings(OpenAIEmbeddingsSettings(**chosen), environ=environ or {})


def openai(environ=None, **settings):
    return OpenAIEmbeddings(OpenAIEmbeddingsSettings(**settings), environ=environ or {})


def authorization(server, embedder):
    async def main():
        await embedder.embed(["a"], purpose="query")
        await embedder.close()

    asyncio.run(main())
    return dict(server.requests[-1][1]).get("authorization")


def test_the_host_makes_it_from_settings():
    ctx = PluginContext(SYSTEM_CLOCK, None, ModelCatalogue.shipped())
    settings = {"base_url": "http://127.0.0.1:1/v1", "model": "m", "dimensions": 3}
    embedder = PluginHost().create("embedder", "openai_embeddings", settings, ctx)
    assert (3, "127.0.0.1/m/default/3/server") == (embedder.dimensions, embedder.identity)


def test_without_a_key_openai_is_not_asked():
    with pytest.raises(InvalidSetting, match="'OPENAI_API_KEY' is not set") as caught:
        openai()
    assert "embedder.api_key" == caught.value.path


def test_the_key_comes_from_settings_or_the_named_variable(server):
    here = {"base_url": server.url, "dimensions": SIZE}
    keys = {"OPENAI_API_KEY": "of-openai", "MINE": "of-mine"}
    assert f"Bearer {KEY}" == authorization(server, made(keys, api_key=f" {KEY}\n", **here))
    assert "Bearer of-mine" == authorization(server, made(keys, api_key_env="MINE", **here))


def test_the_key_of_openai_goes_to_no_other_server(server):
    keys = {"OPENAI_API_KEY": KEY}
    here = {"base_url": server.url, "dimensions": SIZE}
    assert authorization(server, made(keys, **here)) is None
    assert openai(keys)._connection._key._sign() == f"Bearer {KEY}"


def test_a_named_variable_that_is_not_set_is_an_error():
    with pytest.raises(InvalidSetting, match="'MINE' is not set"):
        made(api_key_env="MINE")


@pytest.mark.parametrize("key", ["sk-\u2026", "sk-a\nX-Evil: 1"])
def test_a_key_that_no_header_can_hold_is_refused_without_being_shown(key):
    with pytest.raises(InvalidSetting, match="characters that no header can hold") as caught:
        made(api_key=key)
    assert "sk-" not in str(caught.value)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (status(401, f"Incorrect API key provided: {KEY}."), AuthFailed),
        (status(400, f"echo {KEY}"), InvalidRequest),
        (status(500, f"echo {KEY}"), Transient),
        (stall, Transient),
        (body(b"{", length=99), Transient),
        (lambda handler: setattr(handler, "close_connection", True), Transient),
    ],
    ids=["401", "400", "500", "stall", "truncated", "hung up"],
)
def test_the_key_is_in_no_error_no_traceback_and_no_log(server, step, expected, caplog):
    server.steps = [step]
    embedder = made(api_key=KEY, base_url=server.url, dimensions=SIZE, retries=0, timeout=0.5)

    async def main():
        try:
            await embedder.embed(["a"], purpose="query")
        finally:
            await embedder.close()

    with caplog.at_level(logging.DEBUG), pytest.raises(MassgenError) as caught:
        asyncio.run(main())
    error = caught.value
    assert expected is type(error)
    seen = traceback.TracebackException.from_exception(error, capture_locals=True)
    shown = ["".join(seen.format()), repr(error), str(error), caplog.text, repr(vars(embedder))]
    shown += [repr(vars(embedder._connection)), repr(embedder._settings)]
    assert f"Bearer {KEY}" == dict(server.requests[0][1])["authorization"]
    assert [] == [text for text in shown if KEY in text]
    assert KEY.encode() not in pickle.dumps(error)


def test_the_identity_tells_host_model_revision_dimensions_and_prefix_apart():
    base = made().identity
    assert "h/bge-m3/default/1024/server" == base
    others = [
        made(base_url="http://other/v1").identity,
        made(model="BAAI/bge-m3").identity,
        made(revision="q8/2").identity,
        made(dimensions=512, shorten=True).identity,
        made(document_prefix="passage: ").identity,
    ]
    assert 6 == len({base, *others})
    assert {5} == {len(identity.split("/")) for identity in others}
    assert base == made(base_url="http://h:2/v1", query_prefix="query: ", batch_size=1).identity


def test_dimensions_are_known_of_openai_and_needed_of_others():
    key = {"OPENAI_API_KEY": KEY}
    assert 3072 == openai(key, model="text-embedding-3-large").dimensions
    assert 256 == openai(key, dimensions=256, shorten=True).dimensions
    with pytest.raises(ValidationError, match="set shorten: true"):
        OpenAIEmbeddingsSettings(dimensions=256)
    with pytest.raises(ValidationError, match="'bge-m3' is not known; set it"):
        OpenAIEmbeddingsSettings(model="bge-m3")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000/v1",
        "ftp://h/v1",
        "https://",
        "https://u:pass@h/v1",
        "https://h/v1?k=pass",
    ],
)
def test_a_base_url_that_cannot_be_used_is_refused_without_being_shown(url):
    with pytest.raises(ValidationError, match="expected a URL") as caught:
        OpenAIEmbeddingsSettings(base_url=url)
    assert "pass" not in str(caught.value)


def test_discovery_imports_nothing_heavy():
    code = (
        "import sys, massgen_embed_openai.plugin as p; p.massgen_embedder();"
        "print({'httpx2', 'pydantic', 'massgen_embed_openai.embedder'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "set()" == done.stdout.strip()
