"""The catalogue: every figure with its source, names as people write them, overrides."""

import json
import math
from dataclasses import fields
from datetime import date
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_core.errors import InvalidSetting, UnknownModel, UnknownSetting
from massgen_core.tokens import ModelCatalogue, ModelInfo, counter_for, image_formula
from massgen_core.tokens._overrides import _FIELDS

SHIPPED = ModelCatalogue.shipped()
DATA = resources.files("massgen_core.tokens").joinpath("models.jsonl").read_text("utf-8")
ROWS = [json.loads(line) for line in DATA.splitlines()][1:]


def test_it_knows_more_than_sixty_models_of_eight_makers():
    providers = {SHIPPED.get(name).provider for name in SHIPPED.names()}
    assert len(SHIPPED.names()) > 60
    expected = {"openai", "anthropic", "google", "xai", "mistral", "deepseek", "qwen", "meta"}
    assert {*expected, "local"} == providers


@pytest.mark.parametrize("name", SHIPPED.names())
def test_every_row_is_complete_and_names_its_source(name):
    info = SHIPPED.get(name)
    assert 1 <= info.max_output <= info.window
    assert 0 <= info.max_input <= info.window
    assert info.source
    assert date.fromisoformat(info.date) >= date(2026, 1, 1)
    assert 0.9 <= info.ratio <= 2
    assert info.images == (info.image != "none")
    image_formula(info.image)
    counter_for(info)


def test_names_and_patterns_are_unique_and_patterns_do_not_hide_names():
    names = [row["name"] for row in ROWS]
    patterns = [pattern for row in ROWS for pattern in row.get("also", ())]
    assert len(set(names)) == len(names)
    assert len(set(patterns)) == len(patterns)
    for row in ROWS:
        assert row["name"] == SHIPPED.get(row["name"]).name


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("gpt-4o", "gpt-4o"),
        ("gpt-4o-2024-11-20", "gpt-4o"),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("openai/gpt-4o", "gpt-4o"),
        ("openrouter/anthropic/claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("meta-llama/Llama-3.3-70B-Instruct", "llama-3.3-70b-instruct"),
        ("mistral-large-latest", "mistral-large-2512"),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "SmolLM2-135M-Instruct"),
        ("smollm2-135m-instruct-q4_1", "SmolLM2-135M-Instruct"),
        (" GPT-4o ", "gpt-4o"),
    ],
)
def test_names_are_found_as_people_write_them(asked, expected):
    assert expected == SHIPPED.get(asked).name


def test_the_most_specific_pattern_wins():
    rows = [ModelInfo("a", "me", 100, 10), ModelInfo("a-mini", "me", 50, 5)]
    catalogue = ModelCatalogue(rows, {"a-*": "a", "a-mini-*": "a-mini"})
    assert ("a", "a-mini") == (catalogue.get("a-2026").name, catalogue.get("a-mini-2026").name)


def test_the_local_model_has_its_real_window():
    assert 8192 == SHIPPED.get("SmolLM2-135M-Instruct").window


@pytest.mark.parametrize(
    ("asked", "near"), [("gpt-4oo", "gpt-4o"), ("claude-sonet-4-5", "claude-sonnet-4-5")]
)
def test_an_unknown_model_names_near_misses_and_the_setting(asked, near):
    with pytest.raises(UnknownModel) as caught:
        SHIPPED.get(asked)
    assert near in caught.value.suggestions
    assert f"models.{asked}.window" in caught.value.hint
    assert asked == caught.value.model


@pytest.mark.parametrize("asked", ["acme/gpt-4o", "", "/", "gpt-4o-", "my-gpt-4o-2024-1", "*"])
def test_a_name_that_only_resembles_is_unknown(asked):
    with pytest.raises(UnknownModel):
        SHIPPED.get(asked)


@given(st.text(max_size=30) | st.sampled_from(SHIPPED.names()))
def test_any_name_is_known_or_unknown(name):
    known = True
    try:
        found = SHIPPED.get(name).name
    except UnknownModel as error:
        known, found = False, error.model
    assert known == (found in SHIPPED.names())
    assert found == name or (known and name not in SHIPPED.names())


def test_an_override_changes_one_field_and_leaves_the_shipped_row():
    catalogue = SHIPPED.with_overrides({"gpt-4o": {"window": 64_000}})
    assert 64_000 == catalogue.get("gpt-4o").window
    assert 16_384 == catalogue.get("gpt-4o").max_output
    assert 128_000 == SHIPPED.get("gpt-4o").window


def test_an_override_of_a_dated_name_is_a_row_of_its_own():
    catalogue = SHIPPED.with_overrides({"gpt-4o-2024-05-13": {"max_output": 4096}})
    assert 4096 == catalogue.get("gpt-4o-2024-05-13").max_output
    assert 16_384 == catalogue.get("gpt-4o").max_output
    assert 16_384 == catalogue.get("gpt-4o-2024-11-20").max_output


def test_a_smaller_window_bounds_the_answer():
    info = SHIPPED.with_overrides({"SmolLM2-135M-Instruct": {"window": 2048}}).get(
        "SmolLM2-135M-Instruct"
    )
    assert (2048, 2048) == (info.window, info.max_output)


def test_a_new_model_needs_only_its_window():
    info = SHIPPED.with_overrides({"mine": {"window": 4096}}).get("mine")
    assert ModelInfo("mine", "", 4096, 1024, source="settings") == info


def test_a_new_model_can_say_everything():
    values = {
        "provider": "me", "window": 9_000, "max_output": 900, "max_input": 8_000,
        "tokenizer": "cl100k_base", "exact": True, "image": "fixed:100", "ratio": 1.5,
        "tools": False, "images": True,
        "source": "mine", "date": "2026-01-01",
    }  # fmt: skip
    info = SHIPPED.with_overrides({"mine": values}).get("mine")
    assert ModelInfo(name="mine", **values) == info


def test_every_field_can_be_set():
    assert {spec.name for spec in fields(ModelInfo)} - {"name"} == set(_FIELDS)


def test_text_of_the_environment_is_read_as_numbers_and_flags():
    info = SHIPPED.with_overrides(
        {"mine": {"window": "4096", "tools": "false", "ratio": "1.5"}}
    ).get("mine")
    assert (4096, False, 1.5) == (info.window, info.tools, info.ratio)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("window", 0),
        ("window", -1),
        ("window", math.nan),
        ("window", math.inf),
        ("window", 1.5),
        ("window", True),
        ("window", "many"),
        ("window", None),
        ("max_output", 0),
        ("max_output", 10**9),
        ("max_input", 10**9),
        ("ratio", math.nan),
        ("ratio", 0),
        ("ratio", 100),
        ("tools", "perhaps"),
        ("tokenizer", "llama"),
        ("image", "tiles"),
        ("image", 5),
        ("provider", 5),
    ],
)
def test_nonsense_is_refused_with_its_path(field, value):
    with pytest.raises(InvalidSetting) as caught:
        SHIPPED.with_overrides({"gpt-4o": {field: value}})
    assert f"models.gpt-4o.{field}" == caught.value.path
    assert f"models.gpt-4o.{field}" in str(caught.value)


def test_an_unknown_field_is_refused_with_the_near_one():
    with pytest.raises(UnknownSetting) as caught:
        SHIPPED.with_overrides({"gpt-4o": {"windw": 1}})
    assert ("models.gpt-4o.windw", ("window",)) == (caught.value.path, caught.value.suggestions)


def test_a_new_model_without_a_window_is_refused():
    with pytest.raises(InvalidSetting, match=r"models\.mine") as caught:
        SHIPPED.with_overrides({"mine": {"max_output": 100}})
    assert "models.mine.window" == caught.value.path


def test_a_model_that_is_no_section_is_refused():
    with pytest.raises(InvalidSetting, match=r"models\.mine is 8192"):
        SHIPPED.with_overrides({"mine": 8192})
