"""Checks of what settings say of a model: ``models.<name>.<field>``."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, TypeAlias

from massgen_core.errors import InvalidArgument, InvalidSetting, UnknownSetting
from massgen_core.tokens._calibration import HIGHEST, LOWEST
from massgen_core.tokens._counters import TOKENIZERS
from massgen_core.tokens._images import image_formula

Value: TypeAlias = str | int | float | bool | Decimal


def checked_fields(name: str, values: object) -> dict[str, Value]:
    """The fields of one model, each of the type it has in `ModelInfo`.

    Values from the environment are text; numbers and flags are read from it.

    Raises:
        UnknownSetting: A field that does not exist.
        InvalidSetting: A value that cannot be, e.g. a window of 0 or NaN.
    """
    path = f"models.{name}"
    if not isinstance(values, Mapping):
        raise InvalidSetting(
            f"{path} is {values!r}, expected fields such as {{window: 8192}}", path=path
        )
    return {key: _checked(f"{path}.{key}", str(key), value) for key, value in values.items()}


def _checked(path: str, key: str, value: object) -> Value:
    if key not in _FIELDS:
        near = difflib.get_close_matches(key, _FIELDS, n=3)
        raise UnknownSetting(
            f"{path}: a model has no {key!r}",
            path=path,
            suggestions=near,
            hint=f"Did you mean {near[0]}?" if near else f"It has: {', '.join(_FIELDS)}.",
        )
    read, expected = _FIELDS[key]
    try:
        return read(value)
    except (ValueError, TypeError, ArithmeticError, InvalidArgument) as exc:
        raise InvalidSetting(f"{path} is {value!r}, expected {expected}", path=path) from exc


def _tokens(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(value)
    number = int(value)
    if number < 1 or (isinstance(value, float) and number != value):
        raise ValueError(value)
    return number


def _ratio(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(value)
    number = float(value)
    if not math.isfinite(number) or not LOWEST <= number <= HIGHEST:
        raise ValueError(value)
    return number


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() not in ("true", "false"):
        raise ValueError(value)
    return str(value).lower() == "true"


def _price(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise TypeError(value)
    price = Decimal(str(value))
    if not price.is_finite() or price < 0:
        raise ValueError(value)
    return price


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _tokenizer(value: object) -> str:
    if value not in TOKENIZERS:
        raise ValueError(value)
    return str(value)


def _image(value: object) -> str:
    image_formula(_text(value))
    return str(value)


_TOKENS: Final = (_tokens, "a whole number of tokens, at least 1")
_FLAG: Final = (_flag, "true or false")
_TEXT: Final = (_text, "text")
_PRICE: Final = (_price, "US dollars for a million tokens, at least 0")

_FIELDS: Final[dict[str, tuple[Callable[[object], Value], str]]] = {
    "provider": _TEXT,
    "window": _TOKENS,
    "max_output": _TOKENS,
    "max_input": _TOKENS,
    "tokenizer": (_tokenizer, f"one of {', '.join(TOKENIZERS)}"),
    "exact": _FLAG,
    "image": (_image, "an image formula such as openai-tiles:85:170, or none"),
    "ratio": (_ratio, f"a number from {LOWEST} to {HIGHEST}"),
    "tools": _FLAG,
    "images": _FLAG,
    "reasoning": _FLAG,
    "source": _TEXT,
    "date": _TEXT,
    "input_price": _PRICE,
    "cached_price": _PRICE,
    "cache_write_price": _PRICE,
    "output_price": _PRICE,
    "long_prompt": _TOKENS,
    "long_input": _PRICE,
    "long_output": _PRICE,
    "price_source": _TEXT,
    "price_date": _TEXT,
}
