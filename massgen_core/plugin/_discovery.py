"""Which plugins are installed, from distribution metadata alone; nothing of them is imported."""

from __future__ import annotations

import importlib.metadata
import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from massgen_core.plugin._fence import Fence
from massgen_core.plugin._provides import ENTRY_POINT_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from importlib.metadata import Distribution


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry point of one distribution, not loaded yet.

    Attributes:
        dist: Name of the distribution.
        name: Name of the entry point.
        value: ``package.module`` or ``package.module:attribute`` that holds the hooks.
        version: Version of the distribution; empty if unknown.
        builtin: Whether it is part of the core.
        error: Why the metadata could not be read; None if it could.
    """

    dist: str
    name: str
    value: str
    version: str = ""
    builtin: bool = False
    error: BaseException | None = None


def normalise(dist: str) -> str:
    """The distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", dist).lower()


def in_order(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The candidates in an order that does not depend on the file system or on ``sys.path``."""
    return sorted(candidates, key=lambda each: (normalise(each.dist), each.name, each.value))


def installed() -> list[Candidate]:
    """Every plugin entry point on ``sys.path``.

    Of two distributions of one name the first on the path counts, as for `importlib.metadata`.
    Unreadable metadata becomes a candidate with an error.
    """
    with Fence() as fence:
        dists = list(importlib.metadata.distributions())
    if fence.error is not None:  # a finder some package installed
        return [Candidate("unknown", "", "", error=fence.error)]
    found: dict[str, list[Candidate]] = {}
    for dist in _claimants(dists):
        key = normalise(_name(dist))
        if key not in found:
            found[key] = list(_candidates(_first(dist)))
    return in_order(candidate for group in found.values() for candidate in group)


def _claimants(dists: Iterable[Distribution]) -> Iterator[Distribution]:
    for dist in dists:
        with Fence() as fence:
            text = dist.read_text("entry_points.txt") or ""
        if fence.error is not None or ENTRY_POINT_GROUP in text:
            yield dist


def _first(dist: Distribution) -> Distribution:
    """The distribution of this name that comes first on ``sys.path``; it may be an older one."""
    with Fence():
        return importlib.metadata.distribution(dist.metadata["Name"])
    return dist


def _candidates(dist: Distribution) -> Iterator[Candidate]:
    with Fence() as fence:
        points = list(dist.entry_points.select(group=ENTRY_POINT_GROUP))
        version = dist.version
        named = dist.metadata["Name"]
        if named is None:
            raise ValueError("its metadata has no name")
    if fence.error is not None:
        yield Candidate(_name(dist), "", "", error=fence.error)
        return
    for point in points:
        yield Candidate(named, point.name, point.value, version)


def _name(dist: Distribution) -> str:
    with Fence():
        name: str | None = dist.metadata["Name"]
        if name is not None:
            return name
    folder = PurePath(str(getattr(dist, "_path", "unknown"))).name  # public API has no place
    return folder.removesuffix(".dist-info").removesuffix(".egg-info").rsplit("-", 1)[0]
