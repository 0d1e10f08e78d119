"""The files settings come from: which they are, and what they say."""

from __future__ import annotations

import io
import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dotenv.parser import parse_stream

from massgen_core.errors import SettingsFileError
from massgen_core.settings._tree import Layer, Tree
from massgen_core.settings._yaml import YamlProblem, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROJECT_FILE: Final = "massgen.yaml"
PYPROJECT: Final = "pyproject.toml"
DOTENV: Final = ".env"
_MISNAMED: Final = ("massgen.yml", ".massgen.yaml", ".massgen.yml", "massgen.json", "massgen.toml")
_OURS: Final = re.compile(r"\s*(export\s+)?MASSGEN_")


def project_layer(cwd: Path) -> tuple[Path, Layer] | None:
    """The nearest project file from a folder upward, and what it says; None if there is none.

    Raises:
        SettingsFileError: It cannot be read, or one folder has settings in two files.
    """
    for folder in (cwd, *cwd.parents):
        found = [
            (file, layer)
            for file, layer in (
                (folder / PROJECT_FILE, _if_there(folder / PROJECT_FILE, cwd)),
                (folder / PYPROJECT, _pyproject(folder / PYPROJECT, cwd)),
            )
            if layer is not None
        ]
        if len(found) > 1:
            raise SettingsFileError(
                f"{folder} has settings in two files: {PROJECT_FILE} and {PYPROJECT}",
                file=str(folder / PROJECT_FILE),
                hint=f"Move what [tool.massgen] of {PYPROJECT} says into {PROJECT_FILE}.",
            )
        if found:
            return found[0]
        _refuse_misnamed(folder, cwd)
    return None


def _refuse_misnamed(folder: Path, cwd: Path) -> None:
    for name in _MISNAMED:
        if (folder / name).is_file():
            shown = _shown(folder / name, cwd)
            raise SettingsFileError(
                f"{shown} is not read: the settings file is called {PROJECT_FILE}",
                file=str(folder / name),
                hint=f"Rename it to {PROJECT_FILE}.",
            )


def user_layer(env: Mapping[str, str], cwd: Path) -> tuple[Path, Layer] | None:
    """The user's own file, ``$XDG_CONFIG_HOME/massgen/massgen.yaml``; None if there is none.

    The variable is read as the XDG Base Directory Specification says: a relative path is ignored,
    and ``$HOME/.config`` stands in for it.

    Raises:
        SettingsFileError: It cannot be read.
    """
    base = Path(env.get("XDG_CONFIG_HOME", ""))
    if not base.is_absolute():
        if not env.get("HOME"):
            return None
        base = Path(env["HOME"], ".config")
    file = base / "massgen" / PROJECT_FILE
    layer = _if_there(file, cwd, label=f"user file {file}")
    return None if layer is None else (file, layer)


def yaml_layer(file: Path, cwd: Path, *, label: str = "") -> Layer:
    """What a YAML file says.

    Raises:
        SettingsFileError: It cannot be read or parsed.
    """
    label = label or _shown(file, cwd)
    text = read_text(file, label)
    problem: YamlProblem
    try:
        tree, lines = parse_yaml(text)
    except YamlProblem as exc:
        problem = exc
    else:
        return Layer(
            label,
            _table(tree, file, label),
            {path: f"{label}:{line}" for path, line in lines.items()},
        )
    raise _malformed(file, label, problem.line, str(problem))


def _if_there(file: Path, cwd: Path, *, label: str = "") -> Layer | None:
    return yaml_layer(file, cwd, label=label) if _exists(file) else None


def _exists(file: Path) -> bool:
    try:
        return file.exists()
    except OSError as exc:
        raise SettingsFileError(f"{file} cannot be read: {exc.strerror}", file=str(file)) from exc


def _pyproject(file: Path, cwd: Path) -> Layer | None:
    if not file.is_file():
        return None
    label = _shown(file, cwd)
    text = read_text(file, label)
    if "massgen" not in text:
        return None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        line = re.search(r"line (\d+)", str(exc))
        what = re.sub(r" ?\(at .*\)$", "", str(exc))
        raise _malformed(file, label, int(line[1]) if line else 0, what) from None
    tool = data.get("tool")
    table = tool.get("massgen") if isinstance(tool, dict) else None
    if table is None:
        return None
    return Layer(f"{label} [tool.massgen]", _table(table, file, label))


def _table(value: object, file: Path, label: str) -> Tree:
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise _malformed(file, label, 1, "the settings are no mapping of keys to values")


def dotenv_values(file: Path, cwd: Path) -> Iterator[tuple[str, str, str]]:
    """``(variable, value, origin)`` of each line of a ``.env`` file that is ours.

    Values are taken literally: ``$NAME`` in them is not expanded.

    Raises:
        SettingsFileError: The file cannot be read, or one of our lines is malformed.
    """
    if not file.is_file():
        return
    label = _shown(file, cwd)
    for binding in parse_stream(io.StringIO(read_text(file, label))):
        text = binding.original.string
        line = binding.original.line + len(text) - len(text.lstrip("\r\n"))
        if not (binding.key or "").startswith("MASSGEN_") and not _OURS.match(text):
            continue
        if binding.error or binding.key is None or binding.value is None:
            raise _malformed(file, label, line, "a line that is not NAME=value")
        yield binding.key, binding.value, f"{label}:{line} {binding.key}"


def read_text(file: Path, label: str) -> str:
    """The file's text.

    Raises:
        SettingsFileError: It cannot be opened, or is no UTF-8.
    """
    try:
        data = file.read_bytes()
    except OSError as exc:
        raise SettingsFileError(
            f"{label} cannot be read: {exc.strerror or exc}",
            file=str(file),
            hint="Check that it is a file and that you may read it.",
        ) from exc
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
    raise _malformed(file, label, line, "bytes that are no UTF-8 text")


def _malformed(file: Path, label: str, line: int, what: str) -> SettingsFileError:
    where = f"{label}:{line}" if line else label
    return SettingsFileError(f"{where}: {what}", file=str(file), line=line or None)


def _shown(file: Path, cwd: Path) -> str:
    """The file as seen from the current folder, if that is shorter."""
    try:
        relative = os.path.relpath(file, cwd)
    except ValueError:  # another drive
        return str(file)
    return min(relative, str(file), key=len)
