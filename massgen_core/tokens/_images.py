"""What a picture costs: the formulas of the providers, by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from massgen_core.errors import InvalidArgument
from massgen_core.tokens._imagesize import picture_size

if TYPE_CHECKING:
    from massgen_core.messages import Image

ImageFormula: TypeAlias = Callable[[int, int, str], int]
"""Tokens from width and height in pixels (0, 0 if unknown: the largest cost) and the detail hint."""

UNKNOWN_IMAGE: Final = 1_600
"""Tokens of a picture for a provider without a published formula: what Claude's largest picture costs."""


def image_size(image: Image) -> tuple[int, int]:
    """``(width, height)`` as the part says, else as the file's header says, else ``(0, 0)``."""
    if image.width > 0 and image.height > 0:
        return image.width, image.height
    return picture_size(image.data) if image.data else (0, 0)


def openai_tiles(base: int, tile: int) -> ImageFormula:
    """OpenAI's tile models: fit into 2048 x 2048, shortest side to 768, then `tile` per 512 px square."""
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


def patches(size: int, most: int, factor: float = 1.0, extra: int = 0) -> ImageFormula:
    """One token per patch of `size` px, at most `most` patches, times `factor`, plus `extra`."""

    def tokens(width: int, height: int, _detail: str) -> int:
        count = _squares(width, size) * _squares(height, size) if width and height else most
        return math.ceil(min(count, most) * factor) + extra

    return tokens


def area(edge: int, most: int) -> ImageFormula:
    """Anthropic: shrink the long side to `edge`, then width x height / 750, at most `most`."""

    def tokens(width: int, height: int, _detail: str) -> int:
        if not width or not height:
            return most
        scale = min(1.0, edge / max(width, height))
        return min(most, math.ceil(width * height * scale * scale / 750))

    return tokens


def gemini_tiles(tile: int) -> ImageFormula:
    """Gemini 2: `tile` tokens up to 384 x 384, else per crop of about two thirds of the short side."""

    def tokens(width: int, height: int, _detail: str) -> int:
        if not width or not height:
            return 6 * tile  # a 16:9 picture
        if max(width, height) <= 384:  # noqa: PLR2004 - the documented bound
            return tile
        crop = min(768, max(256, math.floor(min(width, height) / 1.5)))
        return tile * _squares(width, crop) * _squares(height, crop)

    return tokens


def grid(size: int, tile: int, most: int) -> ImageFormula:
    """`tile` tokens per square of `size` px, at most `most` squares, and one for the whole picture."""

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
    "area": area,
    "fixed": fixed,
    "gemini-tiles": gemini_tiles,
    "grid": grid,
    "none": lambda: fixed(UNKNOWN_IMAGE),
    "openai-tiles": openai_tiles,
    "patches": patches,
}


def image_formula(name: str) -> ImageFormula:
    """The formula of a name with its numbers, e.g. ``openai-tiles:85:170`` or ``patches:32:1536:1.62``.

    Raises:
        InvalidArgument: There is no such formula, or it takes other numbers.
    """
    kind, *numbers = name.split(":")
    try:
        return _FORMULAS[kind](*(float(n) if "." in n else int(n) for n in numbers))
    except (KeyError, ValueError, TypeError) as exc:
        raise InvalidArgument(
            f"{name!r} is no image formula",
            hint=f"A name and its numbers, as in openai-tiles:85:170; names: {', '.join(_FORMULAS)}.",
        ) from exc
