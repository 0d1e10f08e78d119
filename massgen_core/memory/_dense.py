"""Cosines of a query's vector with those of texts and of what surrounds them; needs numpy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from heapq import nsmallest
from typing import TYPE_CHECKING, Final

from massgen_core.errors import InvalidArgument, PackageMissing
from massgen_core.memory._weights import ANSWER, DENSE, DENSE_WINDOW, NEAR

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from massgen_core.memory._threads import Threads

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
    Flags = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    Slots = np.ndarray[tuple[int, ...], np.dtype[np.int32]]

_AT_ONCE: Final = 4096
"""Windows that are summed together: 6 MB of vectors of 384 numbers."""
_DIGITS: Final = 6
"""Cosines are rounded, so that sums do not depend on the order of what is summed."""
_FLAT: Final = 1e-3
"""Scores this near are one score: vectors are kept in half precision, and noise must not rank."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the vectors say of every slot.

    Attributes:
        near: The part of the text with its neighbours.
        around: The part of its window.
        live: Whether there is a text.
    """

    near: Floats
    around: Floats
    live: Flags

    def best(self, numbers: Sequence[int], count: int) -> list[int]:
        """The slots with the highest sums; of the same sum, those with low numbers."""
        total = self.near + self.around
        if count >= len(total):
            return self.live.nonzero()[0].tolist()
        limit = float(total[(-total).argpartition(count)[count]])
        above = (total > limit).nonzero()[0].tolist()
        level = [slot for slot in (total == limit).nonzero()[0].tolist() if self.live[slot]]
        return above + nsmallest(count - len(above), level, key=numbers.__getitem__)

    def parts(self, slots: Sequence[int]) -> dict[str, list[float]]:
        """Of some slots, in their order, by name."""
        return {"dense": self.near[slots].tolist(), "dense window": self.around[slots].tolist()}


class Vectors:
    """Unit vectors by slot, and the lengths of the sums of those that are neighbours.

    The cosine of a window's mean vector with a query is the sum of its texts' cosines over the
    length of the sum of its texts' vectors: a window needs one number, and no embedding.

    Args:
        dimensions: Length of every vector.

    Raises:
        PackageMissing: If numpy is not installed.
    """

    def __init__(self, dimensions: int) -> None:
        try:
            import numpy as np  # noqa: PLC0415 - slow to load, and only embedders need it
        except ImportError as exc:
            raise PackageMissing(
                "vectors were given, and ranking by them needs numpy",
                package="numpy",
                hint="Install it: pip install numpy",
            ) from exc
        self._np = np
        self.dimensions = dimensions
        self._count = 0
        self._rows: Floats = np.zeros((16, dimensions), np.float32)
        self._sums: Floats = np.zeros(16, np.float32)
        self._has = np.zeros(16, np.bool_)
        self._stale = np.ones(16, np.bool_)

    def __len__(self) -> int:
        return self._count

    def put(self, slot: int, row: Floats) -> None:
        """Sets the vector of a slot, as `unit` made it; one of zeros counts as none."""
        self._reserve(slot + 1)
        self._count += bool(row.any()) - bool(self._has[slot])
        self._rows[slot] = row
        self._has[slot] = row.any()

    def drop(self, slot: int) -> None:
        """Forgets the vector of a slot, if there is one."""
        if slot < len(self._rows):
            self._count -= bool(self._has[slot])
            self._rows[slot] = 0
            self._has[slot] = False

    def moved(self, slots: Sequence[int]) -> None:
        """Says that the windows of some slots are no longer what they were."""
        self._stale[[slot for slot in slots if slot < len(self._stale)]] = True

    def unit(self, vector: Sequence[float]) -> Floats:
        """A vector of length 1, or 0.

        Raises:
            InvalidArgument: If its length differs or a number is not finite.
        """
        np = self._np
        row = np.asarray(vector, np.float64)
        if not row.size or row.shape != (self.dimensions,) or not np.isfinite(row).all():
            raise InvalidArgument(
                f"a vector has {self.dimensions} finite numbers here, not shape {row.shape}"
                f" and {row[:3]}…"
            )
        largest = float(np.abs(row).max(initial=0.0))
        if largest:
            row = row / largest  # so that no square is too large or too small
            row = row / math.sqrt(float(row @ row))
        unit: Floats = row.astype(np.float32)
        return unit

    def meaning(self, query: Sequence[float], threads: Threads, asks: bytes) -> Meaning:
        """How near each slot's text with its neighbours, and its window, are to a query: 0 to 1.

        Args:
            query: Its vector.
            threads: Who is whose neighbour; a slot of sitting 0 is free and gets 0.
            asks: By slot, 1 for a text that asks something.

        A text without a vector is taken for an average one.
        """
        np = self._np
        self._reserve(len(asks))
        live = np.array(threads.sitting) != 0
        sides = self._sides(threads)
        self._measure(sides)
        own = np.einsum("ij,j->i", self._rows[: len(asks)], self.unit(query)).round(_DIGITS)
        around = sum((own[side] for side in sides), start=own)
        has, sums = self._has[: len(asks)], self._sums[: len(asks)]
        own[has] -= _mean(own[has])
        known = sums > 0
        around[known] = np.round(around[known] / sums[known], _DIGITS)
        around[~known] = _mean(around[known])
        before, after = sides[1], sides[2]
        weight = NEAR * (1 + ANSWER * np.frombuffer(asks, np.uint8)[before])
        near = own + weight * own[before] + NEAR * own[after]
        return Meaning(DENSE * _normal(near, live), DENSE_WINDOW * _normal(around, live), live)

    def _sides(self, threads: Threads) -> tuple[Slots, Slots, Slots, Slots]:
        np = self._np
        before, after = np.array(threads.before), np.array(threads.after)
        return before[before], before, after, after[after]

    def _measure(self, sides: tuple[Slots, ...]) -> None:
        """Brings the lengths of the windows' sums up to date."""
        np = self._np
        stale = np.flatnonzero(self._stale[: len(sides[0])])
        for start in range(0, len(stale), _AT_ONCE):
            part = stale[start : start + _AT_ONCE]
            total = self._rows[part].astype(np.float64)
            for side in sides:
                total += self._rows[side[part]]
            self._sums[part] = np.round(np.sqrt((total * total).sum(1)), _DIGITS)
        self._stale[stale] = False

    def _reserve(self, slots: int) -> None:
        np = self._np
        size = len(self._rows)
        if slots <= size:
            return
        size = max(size, slots - size)
        self._rows = np.concatenate([self._rows, np.zeros((size, self.dimensions), np.float32)])
        self._sums = np.concatenate([self._sums, np.zeros(size, np.float32)])
        self._has = np.concatenate([self._has, np.zeros(size, np.bool_)])
        self._stale = np.concatenate([self._stale, np.ones(size, np.bool_)])


def _mean(values: Floats) -> float:
    return round(float(values.mean(dtype="float64")), _DIGITS) if len(values) else 0.0


def _normal(values: Floats, live: Flags) -> Floats:
    """From 0 for the least of the living to 1 for the greatest; 1 for all if they are one."""
    least, greatest = float(values[live].min(initial=1e9)), float(values[live].max(initial=-1e9))
    span = greatest - least
    out: Floats = (values - least) / span if span > _FLAT else values * 0 + 1
    out[~live] = 0
    return out
