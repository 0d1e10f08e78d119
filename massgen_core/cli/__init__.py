"""``mgc``, the command line. It prints, and never decides.

Standard output carries data only, standard error what is for people. With ``--json`` standard
output is one envelope:

    {"ok": true, "command": "plugins list", "data": ..., "error": null}

A failure has an ``error`` of ``code``, ``message``, ``hint`` and the error's own attributes, a
wrong command line too; ``code`` is one of the error reference, ``usage``, ``interrupted`` or
``unexpected``. What ran and found damage or other problems has both ``data`` and ``error``. ``run``
and ``chat`` add ``events``: all that happened, in order, but the pieces of streamed text.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    import typer

    app: typer.Typer

__all__ = ["app", "main"]

_NEEDED: Final = ("typer", "rich")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; see `massgen_core.cli._codes`.

    Args:
        argv: The words after ``mgc``; those of the process if omitted.
    """
    if not all(map(find_spec, _NEEDED)):
        print('mgc needs more packages: pip install "massgen-core[cli]"', file=sys.stderr)  # noqa: T201
        return 1
    from massgen_core.cli._main import run  # noqa: PLC0415 - needs the extra

    return run(list(sys.argv[1:] if argv is None else argv))


def __getattr__(name: str) -> object:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from massgen_core.cli._app import app  # noqa: PLC0415 - needs the extra

    return app
