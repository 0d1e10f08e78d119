"""Writes new plugin distributions: they install, register and pass their suite as they are."""

from __future__ import annotations

import importlib.metadata
import re
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Final

from massgen_core.errors import InvalidArgument
from massgen_core.plugin._known import KNOWN

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable
    from pathlib import Path

KINDS: Final = ("strategy", "embedder", "memory-store", "backend")
"""Kinds of plugins there is a template of."""

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST: Final = 30
"""Characters of a name with which no line of a template is longer than 100."""

_SUFFIX: Final = ".in"


def write_plugin(kind: str, name: str, into: Path) -> tuple[Path, ...]:
    """The files of a new distribution in a folder of its own, in order.

    Args:
        kind: What it provides, one of `KINDS`.
        name: Its registered name: lower-case words with underscores between them.
        into: The folder that gets the distribution's folder; made if it is not there.

    Raises:
        InvalidArgument: There is no template of this kind, the name cannot be used or is taken, the
            folder is there already, or it cannot be written.
    """
    _check_kind(kind)
    _check_name(name)
    dist = dist_of(name)
    _check_free(name, dist)
    target = into / dist
    if target.exists():
        raise InvalidArgument(
            f"{str(target)!r} is there already; nothing was written",
            hint="Remove it, take another name, or write elsewhere with --into DIR.",
        )
    words = _words(kind, name, dist)
    try:
        return tuple(_write(files("massgen_core") / "_templates" / kind, target, words))
    except OSError as exc:
        raise InvalidArgument(
            f"{exc.filename or str(target)!r} cannot be written: {exc.strerror}",
            hint="Name a folder you may write to with --into DIR.",
        ) from exc


def dist_of(name: str) -> str:
    """The distribution's name for a registered name."""
    return f"massgen-{name.replace('_', '-')}"


def _words(kind: str, name: str, dist: str) -> dict[str, str]:
    major, minor = importlib.metadata.version("massgen-core").split(".")[:2]
    return {
        "name": name,
        "dist": dist,
        "package": dist.replace("-", "_"),
        "cls": "".join(word.capitalize() for word in [*name.split("_"), kind.rpartition("-")[2]]),
        "bounds": f">={major}.{minor},<{major}.{int(minor) + 1}",
    }


def _write(source: Traversable, target: Path, words: dict[str, str]) -> list[Path]:
    target.mkdir(parents=True)
    written = []
    for entry in sorted(source.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            folder = entry.name.replace("PACKAGE", words["package"])
            written += _write(entry, target / folder, words)
        elif entry.name.endswith(_SUFFIX):
            path = target / entry.name.removesuffix(_SUFFIX)
            path.write_text(Template(entry.read_text("utf-8")).substitute(words), "utf-8")
            written.append(path)
    return written


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise InvalidArgument(
            f"there is no template of a {kind!r} plugin",
            hint=f'There is one of: {", ".join(KINDS)}. See the how-to "Add a plugin".',
        )


def _check_name(name: str) -> None:
    if _NAME.fullmatch(name) and len(name) <= _LONGEST:
        return
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    near = re.sub(r"[^a-z0-9]+", "_", words.removeprefix("massgen-")).strip("_0123456789")[
        :_LONGEST
    ]
    near = near.strip("_")
    raise InvalidArgument(
        f"{name!r} cannot be the name of a plugin: expected lower-case words with underscores "
        f"between them, at most {_LONGEST} characters",
        hint=f"For example {_near(name) or 'keep_questions'!r}.",
    )


def _near(name: str) -> str:
    """What the name would be by the rules; may be empty."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().removeprefix("massgen-")
    return re.sub(r"[^a-z0-9]+", "_", words).lstrip("_0123456789")[:_LONGEST].strip("_")


def _check_free(name: str, dist: str) -> None:
    taken = {"massgen-core", *KNOWN.values()}
    if dist in taken or _installed(dist):
        raise InvalidArgument(
            f"the name {name!r} is taken: there is a distribution {dist} already",
            hint="`mgc plugins list` shows what is installed; take another name.",
        )


def _installed(dist: str) -> bool:
    try:
        importlib.metadata.distribution(dist)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
