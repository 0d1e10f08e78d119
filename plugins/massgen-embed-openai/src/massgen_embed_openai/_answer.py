"""Reading an answer: as many vectors as texts, of the right length, of numbers, in order."""

from __future__ import annotations

import json
from typing import Any

from massgen_core.errors import Fatal
from massgen_embed_openai._errors import NAME

_LARGEST = 3.4e38  # of the 32-bit floats that vectors are kept as; NaN is not below it either


def vectors_of(body: bytes, *, count: int, dimensions: int) -> list[list[float]]:
    """The vectors, in the order of the texts.

    Raises:
        Fatal: The answer is not what was asked for; nothing of it can be used.
    """
    rows = _in_order(_rows(body))
    if len(rows) != count:
        raise _unusable(f"{count} texts were sent and {len(rows)} vectors came back")
    return [_vector(row, dimensions) for row in rows]


def _rows(body: bytes) -> list[dict[str, Any]]:
    try:
        data = json.loads(body)["data"]
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise _unusable("the answer is no list of embeddings", hint=_WRONG_SERVER) from exc
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise _unusable("the answer is no list of embeddings", hint=_WRONG_SERVER)
    return data


def _in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By ``index``, where the server numbers them."""
    numbers = [row.get("index") for row in rows]
    if all(number is None for number in numbers):
        return rows
    if sorted(n for n in numbers if isinstance(n, int)) != list(range(len(rows))):
        raise _unusable(f"the vectors are numbered {_short(numbers)}")
    return sorted(rows, key=lambda row: int(row["index"]))


def _vector(row: dict[str, Any], dimensions: int) -> list[float]:
    vector = row.get("embedding")
    if not isinstance(vector, list):
        raise _unusable(f"a vector is {_short(vector)}, expected a list of numbers")
    if len(vector) != dimensions:
        raise _unusable(
            f"a vector has {len(vector)} numbers, expected {dimensions}",
            hint=f"If the model is the right one, set embedder.dimensions to {len(vector)}; "
            "vectors that were stored before stay apart from new ones.",
        )
    if not all(type(number) in {int, float} and abs(number) <= _LARGEST for number in vector):
        raise _unusable("a vector holds something else than finite numbers")
    return [float(number) for number in vector]


_WRONG_SERVER = "Check embedder.base_url: is it the server's address, with /v1 at the end?"


def _unusable(what: str, *, hint: str = "") -> Fatal:
    return Fatal(f"{what}; nothing of the answer is used", backend=NAME, hint=hint)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"  # noqa: PLR2004 - for people
