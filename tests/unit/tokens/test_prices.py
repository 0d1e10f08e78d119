"""Prices of the catalogue: known with their source, overridable, never a guess."""

from __future__ import annotations

from decimal import Decimal

import pytest

from massgen_core.errors import InvalidSetting
from massgen_core.events import Usage
from massgen_core.tokens import ModelCatalogue, ModelInfo, Prices

CATALOGUE = ModelCatalogue.shipped()
MODELS = [CATALOGUE.get(name) for name in CATALOGUE.names()]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_price_has_a_source_a_date_and_is_plausible(model):
    if model.prices is None:
        assert (None, None, "") == (model.input_price, model.output_price, model.price_source)
        return
    assert model.price_source
    assert "2026-11" in model.price_date
    prices = model.prices
    assert 0 <= prices.cached <= prices.input <= prices.output < 1000
    assert prices.input <= prices.cache_write
    assert (model.long_prompt > 0) == (model.long_input is not None)
    assert model.long_prompt < model.window


def test_most_models_that_are_served_by_their_maker_have_prices():
    served = [m for m in MODELS if m.provider in {"openai", "anthropic", "google", "xai"}]
    known = [m for m in served if m.prices is not None]
    assert len(known) >= 0.95 * len(served)


def test_what_is_not_known_of_a_cache_costs_as_the_prompt():
    model = ModelInfo("m", "x", 9, 9, input_price=Decimal(2), output_price=Decimal(4))
    assert Prices(Decimal(2), Decimal(4), Decimal(2), Decimal(2)) == model.prices


def test_a_model_with_half_a_price_has_none():
    assert ModelInfo("m", "x", 9, 9, input_price=Decimal(2)).prices is None


def test_all_of_a_long_prompt_costs_more():
    prices = Prices(
        *map(Decimal, (1, 10, 1, 1)), long_prompt=100, long_input=Decimal(2), long_output=Decimal(3)
    )
    assert 100 + 10 == prices.of(Usage(100, 1))
    assert 202 + 30 == prices.of(Usage(101, 1))


@pytest.mark.parametrize("price", ["0.075", 0.075, "75e-3"])
def test_settings_correct_a_price_exactly(price):
    models = CATALOGUE.with_overrides({"gpt-4o": {"input_price": price, "price_source": "mine"}})
    assert Decimal("0.075") == models.get("gpt-4o").input_price
    assert CATALOGUE.get("gpt-4o").output_price == models.get("gpt-4o").output_price


@pytest.mark.parametrize("price", ["free", -1, float("nan"), True, None])
def test_what_is_no_price_is_refused(price):
    with pytest.raises(InvalidSetting, match="US dollars"):
        CATALOGUE.with_overrides({"gpt-4o": {"input_price": price}})
