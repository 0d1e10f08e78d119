from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_core.backends import classify_http, sse_json
from massgen_core.errors import (
    AuthFailed,
    ContextOverflow,
    Fatal,
    InvalidRequest,
    QuotaExceeded,
    RateLimited,
    Transient,
)
from massgen_core.testing._virtual import virtual

OPENAI = '{"error": {"message": "Bad", "type": "invalid_request_error", "code": null}}'
KEY = "sk-proj-abcdefghijklmnop1234"


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, OPENAI, InvalidRequest),
        (401, OPENAI, AuthFailed),
        (403, "", AuthFailed),
        (404, '{"detail": "Not found"}', InvalidRequest),
        (408, "", Transient),
        (429, '[{"error": {"code": 429, "message": "slow", "status": "X"}}]', RateLimited),
        (429, '{"error": {"message": "pay", "code": "insufficient_quota"}}', QuotaExceeded),
        (413, "", ContextOverflow),
        (500, "<html>boom</html>", Transient),
        (529, '{"type": "error", "error": {"type": "overloaded_error"}}', Transient),
        (302, "", Fatal),
        (400, '{"error": "prompt is too long: 9 tokens > 5 maximum"}', ContextOverflow),
        (400, "5", InvalidRequest),
    ],
)
def test_code_words_and_status_say_what_it_is(status, body, expected):
    error = classify_http(status, body, backend="b")
    assert expected is type(error)
    assert (status, "b") == (error.status, error.backend)
    assert error.message


@pytest.mark.parametrize(
    ("body", "expected", "status"),
    [
        ('{"error": {"message": "Provider disconnected", "code": 502}}', Transient, 502),
        ('{"error": {"message": "no", "status": 401}}', AuthFailed, 401),
        ('{"error": {"message": "no", "code": true}}', Fatal, 200),
        ('{"error": {"message": "no", "code": 7}}', Fatal, 200),
    ],
)
def test_an_error_inside_a_stream_has_the_status_that_it_names(body, expected, status):
    error = classify_http(200, body)
    assert (expected, status) == (type(error), error.status)
    assert 400 == classify_http(400, body).status


def test_the_wait_is_read_as_seconds_or_as_a_date():
    assert 1.5 == classify_http(429, "", {"Retry-After": "1.5"}).retry_after
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 55 < classify_http(429, "", {"retry-after": then}).retry_after < 61
    assert classify_http(429, "", {"retry-after": "soon"}).retry_after is None
    assert 0 == classify_http(429, "", {"retry-after": "-3"}).retry_after
    for endless in ("inf", "1e400", "nan"):
        assert classify_http(429, "", {"retry-after": endless}).retry_after is None


def test_what_is_named_a_secret_is_not_repeated():
    error = classify_http(401, '{"error": {"message": "bad key hunter22"}}', secrets=["hunter22"])
    assert "bad key **********" == error.message


def test_a_key_in_the_words_is_not_repeated():
    body = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}."}})
    for status in (401, 400, 429, 500):
        assert KEY not in str(classify_http(status, body))


async def read(*chunks):
    async def pieces():
        for chunk in chunks:
            yield chunk

    return [one async for one in sse_json(pieces())]


@given(st.lists(st.dictionaries(st.text(), st.text())), st.integers(1, 7), st.booleans())
def test_events_come_whole_however_they_are_cut(events, size, returns):
    end = b"\r\n\r\n" if returns else b"\n\n"
    said = [json.dumps(e, ensure_ascii=False).encode("utf-8", "surrogatepass") for e in events]
    wire = b": hello" + end + b"".join(b"event: x\ndata: " + one + end for one in said)
    wire += b"data: [DONE]" + end
    chunks = [wire[at : at + size] for at in range(0, len(wire), size)]
    try:
        [one.decode() for one in said]
    except UnicodeDecodeError:
        return
    assert events == virtual(read(*chunks))


@pytest.mark.parametrize("data", [b"{", b"[1]", b"5", b"no"])
def test_what_is_no_object_is_an_error(data):
    with pytest.raises(json.JSONDecodeError):
        virtual(read(b"data: " + data + b"\n\n"))


def test_an_event_that_was_cut_off_is_none():
    assert [] == virtual(read(b'data: {"a": 1}\n'))
