import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_core.context._clip import clip_arguments, clip_text
from massgen_core.tokens import ModelCatalogue, counter_for

COUNTER = counter_for(ModelCatalogue.shipped().get("gpt-4o"))
BASE64 = base64.b64encode(bytes(range(256)) * 20).decode()


def count(text):
    return COUNTER.count_text(text).tokens


@given(st.text(max_size=400), st.integers(1, 200))
def test_a_clip_fits_or_is_impossible(text, limit):
    out = clip_text(text, limit, count, "h123")
    if count(text) <= limit:
        assert out is text
    elif out is not None:
        assert count(out) <= limit
        assert "h123" in out
    else:
        assert limit < 40


def test_head_and_tail_stay_around_the_marker():
    text = "\n".join(f"line {n}" for n in range(1000))
    out = clip_text(text, 200, count, "h123")
    assert out.startswith("line 0\nline 1\n")
    assert out.endswith("line 998\nline 999")
    head, tail = out.split("[…")[0], out.split("…]")[1]
    assert len(head) > len(tail)
    assert 150 < count(out) <= 200


@pytest.mark.parametrize("cluster", ["👩‍👩‍👧‍👦", "🇩🇪", "e\u0301\u0323", "각", "नि", "\r\n"])
def test_no_cluster_is_torn(cluster):
    text = cluster * 500
    out = clip_text(text, 120, count, "h123")
    head, tail = out.split("\n[…")[0], out.split("…]\n")[1]
    assert head == cluster * (len(head) // len(cluster))
    assert tail == cluster * (len(tail) // len(cluster))


def test_base64_is_whole_or_gone():
    text = f"before {BASE64} between {BASE64} after"
    for limit in (60, 200, 1000, 4000):
        out = clip_text(text, limit, count, "h123")
        assert out.count(BASE64) * len(BASE64) == sum(
            len(run) for run in out.split() if len(run) > 100
        )


@given(
    st.dictionaries(
        st.text(max_size=5), st.text(max_size=2000) | st.integers() | st.lists(st.text())
    ),
    st.integers(12, 300),
)
def test_arguments_stay_a_json_object(arguments, limit):
    out = clip_arguments(json.dumps(arguments), limit, count, "h123")
    assert isinstance(json.loads(out), dict)
    assert count(out) <= limit


def test_short_arguments_keep_their_keys_and_long_ones_are_cut_inside():
    out = clip_arguments(json.dumps({"path": "a.py", "text": "word " * 900}), 100, count, "h123")
    parsed = json.loads(out)
    assert parsed["path"] == "a.py"
    assert parsed["text"].startswith("word word")
    assert "h123" in parsed["text"]


def test_arguments_that_are_no_json_become_an_object_with_what_fits():
    parsed = json.loads(clip_arguments("{broken " * 500, 60, count, "h123"))
    assert list(parsed) == ["_clipped"]
    assert parsed["_clipped"].startswith("{broken")
