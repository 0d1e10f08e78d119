"""What a picture costs: the formulas of the providers, by name.

The shipped catalogue names the source of each formula and the day it was read.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from massgen_core.errors import InvalidArgument
from massgen_core.tokens._imagesize import picture_size

if TYPE_CHECKING:
    from massgen_core.messages import Image

ImageFormula: TypeAlias = Callable[[int, int, str], int]
"""Tokens from width and height in pixels and the detail hint; of size 0, 0 (unknown), the most."""

UNKNOWN_IMAGE: Final = 1_600
"""Tokens of a picture for a model without a known formula; few providers charge more by default."""


def image_size(image: Image) -> tuple[int, int]:
    """``(width, height)`` as the part says, else as the file's header says, else ``(0, 0)``."""
    if image.width > 0 and image.height > 0:
        return image.width, image.height
    return picture_size(image.data) if image.data else (0, 0)


def openai_tiles(base: int, tile: int) -> ImageFormula:
    """OpenAI up to GPT-5.1: fit into 2048 x 2048, short side to 768, `tile` per 512 px square."""
    most = base + 8 * tile  # 2048 x 768

    def tokens(width: int, height: int, detail: str) -> int:
        if detail == "low":
            return base
        if not width or not height:
            return most
        scale = min(1.0, 2048 / max(width, height))
        scale *= min(1.0, 768 / (min(width, height) * scale))
        return base + tile * _squares(width * scale, 512) * _squares(height * scale, 512)

    return tokens


def openai_patches(factor: float, most: int, original: int = 0) -> ImageFormula:
    """OpenAI's small models, all from GPT-5.2 on: 32 px patches, at most `most`, times `factor`.

    `original` is the greater budget of the detail of that name; the detail ``low`` changes nothing.
    """

    def tokens(width: int, height: int, detail: str) -> int:
        budget = max(most, original) if detail == "original" else most
        count = _squares(width, 32) * _squares(height, 32) if width and height else budget
        return math.ceil(min(count, budget) * factor)

    return tokens


def patches(size: int, most: int, edge: int = 0, extra: int = 0) -> ImageFormula:
    """Claude, Qwen: the long side shrinks to `edge`; one per `size` px patch, at most `most`."""

    def tokens(width: int, height: int, _detail: str) -> int:
        if not width or not height:
            return most + extra
        scale = min(1.0, edge / max(width, height)) if edge else 1.0
        return min(most, _squares(width * scale, size) * _squares(height * scale, size)) + extra

    return tokens


def mistral_rows(size: int, edge: int) -> ImageFormula:
    """Mistral: the long side shrinks to `edge`; patches of `size` px and one break per row."""

    def tokens(width: int, height: int, _detail: str) -> int:
        width, height = (width, height) if width and height else (edge, edge)
        scale = min(1.0, edge / max(width, height))
        return (_squares(width * scale, size) + 1) * _squares(height * scale, size)

    return tokens


def gemini_tiles(tile: int) -> ImageFormula:
    """Gemini 2: `tile` up to 384 x 384, else per crop of about two thirds of the short side."""

    def tokens(width: int, height: int, _detail: str) -> int:
        if not width or not height:
            return 6 * tile  # a 16:9 picture
        if max(width, height) <= 384:  # noqa: PLR2004 - the documented bound
            return tile
        crop = min(768, max(256, math.floor(min(width, height) / 1.5)))
        return tile * _squares(width, crop) * _squares(height, crop)

    return tokens


def grid(size: int, tile: int, most: int) -> ImageFormula:
    """`tile` per square of `size` px, at most `most` squares, and one for the whole picture."""

    def tokens(width: int, height: int, _detail: str) -> int:
        count = _squares(width, size) * _squares(height, size) if width and height else most
        return tile * (min(count, most) + 1)

    return tokens


def fixed(tokens: int) -> ImageFormula:
    """The same for every picture."""
    return lambda _width, _height, _detail: tokens


def _squares(length: float, size: int) -> int:
    return max(1, math.ceil(round(length, 6) / size))


_FORMULAS: Final[dict[str, Callable[..., ImageFormula]]] = {
    "fixed": fixed,
    "gemini-tiles": gemini_tiles,
    "grid": grid,
    "mistral": mistral_rows,
    "none": lambda: fixed(UNKNOWN_IMAGE),
    "openai-patches": openai_patches,
    "openai-tiles": openai_tiles,
    "patches": patches,
}


def image_formula(name: str) -> ImageFormula:
    """The formula of a name and its numbers, e.g. ``openai-tiles:85:170`` or ``fixed:1120``.

    Raises:
        InvalidArgument: There is no such formula, or it takes other numbers.
    """
    try:
        formula = _parse(name)
        formula(640, 480, "")  # a size of 0 would divide by zero
    except (KeyError, ValueError, TypeError, ArithmeticError) as exc:
        raise InvalidArgument(
            f"{name!r} is no image formula",
            hint=f"Expected one of {', '.join(_FORMULAS)} and its numbers: openai-tiles:85:170.",
        ) from exc
    return formula


def _parse(name: str) -> ImageFormula:
    kind, *numbers = name.split(":")
    arguments = [float(text) if "." in text else int(text) for text in numbers]
    if min(arguments, default=0) < 0:
        raise ValueError(name)
    return _FORMULAS[kind](*arguments)
