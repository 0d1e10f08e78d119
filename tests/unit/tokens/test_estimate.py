"""The estimator: never below a real tokenizer on the kinds of text agents see."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from massgen_core.tokens import encoding, estimating_counter

COUNT = estimating_counter().count_text

# Written for these tests, except where a source is named.
REAL = {
    "english": "The council met on Tuesday to discuss the budget. Members disagreed about the"
    " library, whose roof has leaked since 2019, and postponed the vote until he reports.",
    "code": "def merge(left: list[int], right: list[int]) -> list[int]:\n    out = []\n"
    "    while left and right:\n        out.append((left if left[0] <= right[0] else right)"
    ".pop(0))\n    return out + left + right\n",
    "log": "2026-11-22T13:37:57.123Z ERROR [worker-3] db.pool: timeout after 30000 ms"
    " (host=10.0.3.17 port=5432 attempt=4/5) trace=7f3a9c0e-1b2d-4e5f-8a6b-0c1d2e3f4a5b\n",
    "diff": "@@ -12,7 +12,9 @@ class Pool:\n-        return self._free.pop()\n"
    "+        if not self._free:\n+            raise Empty(self.name)\n",
    "markdown": "| Model | Window |\n|---|---|\n| `gpt-4o` | 128,000 |\n\n- **bold** and"
    " [a link](https://example.org/a/b?c=d#e)\n",
    "paths": "/usr/lib/python3.11/site-packages/numpy/core/_multiarray_umath.cpython-311.so\n",
    "capitals": "WARNING: THE DATABASE IS READ ONLY. CONTACT THE ADMINISTRATOR BEFORE RETRYING.\n",
    "rule": "=" * 80 + "\n" + "-" * 80 + "\n",
    "chinese": "近年来人工智能发展迅速，企业在模型训练和应用方面投入了大量资金。"  # noqa: RUF001
    "用户可以查询天气、预订酒店。",
    "japanese": "私たちは昨日、駅の近くにあるレストランで夕食を食べました。美味しかったです。",
    "korean": "어제 우리는 서울역 근처에 있는 작은 식당에서 저녁을 먹었습니다.",
    "russian": "Вчера мы ужинали в небольшом ресторане рядом с вокзалом.",  # noqa: RUF001
    "arabic": "تناولنا العشاء أمس في مطعم صغير بالقرب من محطة القطار. كان الطعام لذيذا جدا.",
    "hindi": "कल हमने स्टेशन के पास एक छोटे से रेस्तरां में रात का खाना खाया।",
    "thai": "เมื่อวานเราไปทานอาหารเย็นที่ร้านเล็กๆ ใกล้สถานีรถไฟ",
    "german": "Die Geschwindigkeitsbegrenzung auf der Donaudampfschifffahrtsstrecke gilt.",
    "emoji": "Done 🎉🚀 thanks 👩‍👩‍👧‍👦 👍🏽 ❤️‍🔥 🇩🇪",
    "amharic": "ትናንት ከጣቢያው አጠገብ ባለ ትንሽ ምግብ ቤት ራት በላን።",
    "spinner": "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ building\n",
    "hex": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n",
}  # fmt: skip


def real_length(text):
    return len(encoding("o200k_base").encode_ordinary(text))


@pytest.mark.parametrize("kind", REAL)
def test_real_text_is_not_under_counted(kind):
    assert COUNT(REAL[kind]).tokens >= real_length(REAL[kind])


@pytest.mark.parametrize("kind", ["english", "code", "log", "markdown", "chinese", "russian"])
def test_real_text_is_not_counted_more_than_twice(kind):
    assert COUNT(REAL[kind]).tokens <= 2 * real_length(REAL[kind])


words = st.sampled_from(REAL["english"].split())
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.lists(words, max_size=8).map(" ".join)
)
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None, max_examples=30)
@given(st.lists(trees, min_size=8, max_size=12), st.sampled_from([None, 2]))
def test_json_is_not_under_counted(value, indent):
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    assert COUNT(text).tokens >= real_length(text)


@pytest.mark.parametrize("leaf", [None, True, 0, 12, -5, 1.5, "", "a", [], {}])
@pytest.mark.parametrize("indent", [None, 2])
def test_long_lists_of_one_value_are_not_under_counted(leaf, indent):
    text = json.dumps([leaf] * 200, indent=indent)
    assert COUNT(text).tokens >= real_length(text)


@settings(deadline=None, max_examples=50)
@given(st.binary(min_size=600, max_size=3_000))
def test_base64_is_not_under_counted(data):
    text = base64.b64encode(data).decode()
    assert COUNT(text).tokens >= real_length(text)


@settings(deadline=None)
@given(st.lists(st.sampled_from([REAL[k] for k in ("chinese", "japanese", "korean")]), min_size=1))
def test_cjk_is_not_under_counted(texts):
    text = "".join(texts)
    assert COUNT(text).tokens >= real_length(text)


@given(st.text(st.characters(exclude_categories=()), max_size=300))
def test_any_text_has_an_estimate(text):
    assert COUNT(text).tokens >= 0
    assert not COUNT(text).exact


def test_no_text_is_no_token():
    assert 0 == COUNT("").tokens


def test_long_runs_are_not_free():
    for unit in (" ", "\n", "=", "a"):
        text = unit * 100_000
        assert COUNT(text).tokens >= real_length(text)
