"""What providers say is understood: a corpus of their texts."""

from __future__ import annotations

import json
import pickle
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_core.backends import _refusals as known
from massgen_core.backends import classify_text
from massgen_core.backends._overflow import _QUOTES
from massgen_core.errors import ContextOverflow, MalformedHistory, QuotaExceeded, RateLimited

CORPUS = json.loads(Path(__file__).with_name("refusals.json").read_text("utf-8"))
KINDS = {
    "overflow": ContextOverflow,
    "malformed": MalformedHistory,
    "rate": RateLimited,
    "quota": QuotaExceeded,
    "other": type(None),
}
SIZES = ("limit", "used", "answer")


def classified(case):
    return classify_text(case["text"], code=case.get("code"), status=case.get("status"))


def label(case):
    return f"{case['provider']}-{case.get('code', case['text'])[:40]}"


@pytest.mark.parametrize("case", CORPUS, ids=label)
def test_a_text_is_told_by_its_kind_with_its_numbers(case):
    error = classified(case)
    assert KINDS[case["kind"]] is type(error)
    if case["kind"] == "overflow":
        told = {name: getattr(error, name) for name in SIZES}
        assert {name: case.get(name) for name in SIZES} == told
    if case["kind"] == "rate":
        assert case.get("retry_after") == error.retry_after


@pytest.mark.parametrize("case", [case for case in CORPUS if case["kind"] != "other"], ids=label)
def test_what_a_proxy_wraps_it_in_changes_nothing(case):
    if case.get("text", "")[:1].isdigit() or not case["text"] or case["text"].islower():
        return  # these are only meant where they begin the text
    body = f"litellm.BadRequestError: {json.dumps({'error': {'message': case['text']}})}"
    assert KINDS[case["kind"]] is type(classified({**case, "text": body}))


@pytest.mark.parametrize("kind", ["overflow", "malformed", "quota", "rate"])
def test_every_sign_is_in_the_corpus(kind):
    texts = [case["text"].translate(_QUOTES) for case in CORPUS if case["kind"] == kind]
    signs = getattr(known, kind.upper())
    unused = [sign for sign in signs if not any(map(known.any_of([sign]).search, texts))]
    assert [] == unused


def test_every_code_is_in_the_corpus():
    tables = (known.OVERFLOW_CODES, known.QUOTA_CODES, known.RATE_CODES)
    codes = {case["code"].lower() for case in CORPUS if "code" in case}
    assert set(chain(*tables)) <= codes


def test_a_code_may_be_a_number():
    assert isinstance(classify_text("", code=3051), ContextOverflow)


@pytest.mark.parametrize(
    "written", ["213462", "213,462", "213_462", "213.462", "213 462", "213'462"]
)
def test_numbers_are_read_as_people_write_them(written):
    error = classify_text(f"prompt is too long: {written} tokens > 200000 maximum.")
    assert (213462, 200000) == (error.used, error.limit)


def test_the_header_is_believed_before_the_text():
    error = classify_text("Too many requests, retry after 30 seconds", retry_after=7.0)
    assert 7.0 == error.retry_after


def test_the_error_carries_backend_status_and_text():
    error = classify_text("prompt is too long", status=400, backend="remote")
    assert ("remote", 400, "prompt is too long") == (error.backend, error.status, error.message)
    assert "HTTP status 413" == classify_text("", status=413).message
    assert error.answer is None
    assert 5 == pickle.loads(pickle.dumps(ContextOverflow("x", answer=5))).answer


@given(st.text(), st.integers(100, 599) | st.none())
def test_any_text_is_told_without_an_error(text, status):
    classify_text(text, status=status)
