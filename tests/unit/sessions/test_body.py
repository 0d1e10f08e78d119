import base64
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from massgen_core.errors import InvalidArgument
from massgen_core.messages import Image, Message, Text, message_to_json, with_pairs_joined
from massgen_core.sessions._body import decode_body, encode_body, reference_path, references
from massgen_core.storage import blob_hash

keys = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["$blob", "$bytes", "$$blob", "$$$bytes", "$", "kind", "data", "text"]),
)
texts = st.one_of(
    st.text(max_size=10),
    st.text(alphabet=st.characters(exclude_categories=()), min_size=20, max_size=60).map(
        lambda text: with_pairs_joined(text * 9)
    ),
    st.binary(min_size=90, max_size=150).map(lambda raw: base64.b64encode(raw).decode()),
    st.sampled_from(["image", "audio", "$blob", "A" * 43, '{"$blob":"' + "A" * 43 + '"}']),
)
values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        texts,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=12,
)
bodies = st.dictionaries(keys, values, max_size=5)


def round_trip(body):
    text, raws = encode_body(body)
    return decode_body(text, {blob_hash(raw): raw for raw in raws})


@given(bodies)
@example({"$blob": "A" * 43})
@example({"$blob": "long " * 40})
@example({"$$blob": {"$blob": {"$bytes": "x"}}})
@example({"x": {"$blob": ["long " * 40]}})
@example({"x": ["\ud800" * 200, "\ud800"]})
@example({"kind": "image", "data": base64.b64encode(bytes(200)).decode()})
@example({"kind": "image", "data": "A" * 200})
@example({"kind": "image", "data": "not base64 " * 20})
@example({"x": '{"$blob":"' + "A" * 43 + '"}'})
def test_a_body_comes_back_as_it_was(body):
    assert round_trip(body) == body


@pytest.mark.parametrize("times", [1, 200])
def test_a_pair_of_surrogates_is_written_as_what_another_program_reads_of_it(times):
    body = {"\ud83d\ude00": ["\ud83d\ude00" * times, "lone \ud800"]}
    back = round_trip(body)
    assert back == json.loads(json.dumps(body))
    assert encode_body(back) == encode_body(body)


@settings(max_examples=50)
@given(bodies)
def test_the_text_is_a_function_of_the_body(body):
    """An import must find the hash that the export had."""
    text, raws = encode_body(body)
    again = json.loads(json.dumps(decode_body(text, {blob_hash(raw): raw for raw in raws})))
    assert encode_body(again) == (text, raws)


@settings(max_examples=50)
@given(bodies)
def test_the_references_in_the_text_are_those_of_the_payloads(body):
    text, raws = encode_body(body)
    assert sorted(references(text)) == sorted(map(blob_hash, raws))


@pytest.mark.parametrize(("size", "is_blob"), [(127, False), (128, True)])
def test_a_string_leaves_the_body_from_128_bytes_on(size, is_blob):
    assert len(encode_body({"text": "x" * size})[1]) == is_blob
    assert len(encode_body({"text": "é" * (size // 2) + "x" * (size % 2)})[1]) == is_blob


def test_the_bytes_of_a_picture_are_kept_as_bytes():
    data = bytes(range(256)) * 4
    body = message_to_json(Message("user", (Text("look"), Image("image/png", data))))
    text, raws = encode_body(body)
    assert raws == [data]
    assert len(text) < 300


def test_order_and_number_types_are_kept():
    body = {"z": 1, "a": 1.0, "m": [True, 10**30]}
    assert json.dumps(round_trip(body)) == json.dumps(body)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ({"x": float("nan")}, "not JSON compliant"),
        ({"x": float("inf")}, "not JSON compliant"),
        ({"x": b"bytes"}, "bytes"),
        ({"x": {1: 2}}, "key 1 is int"),
        ({"x": object()}, "object"),
        ({"x": {1, 2}}, "set"),
    ],
)
def test_what_is_no_json_is_refused(body, what):
    with pytest.raises(InvalidArgument, match=what):
        encode_body(body)


def test_nesting_without_end_is_refused():
    body = {}
    body["x"] = body
    with pytest.raises(InvalidArgument):
        encode_body(body)


def test_the_place_of_a_payload_is_named():
    body = {"parts": [{"text": "short"}, {"text": "long " * 40}]}
    text, raws = encode_body(body)
    assert reference_path(text, blob_hash(raws[0])) == "body.parts[1].text"
    assert reference_path(text, bytes(32)) == "body"
    assert reference_path(b"{", bytes(32)) == "body"


@pytest.mark.parametrize("text", [b'{"a":1} {}', b'{"a":', b""])
def test_what_is_no_body_is_refused(text):
    with pytest.raises(ValueError, match=r"char|after the end"):
        decode_body(text, {})
