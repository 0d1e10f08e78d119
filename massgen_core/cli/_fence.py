"""The fence: whatever a command raises becomes one message and an exit code."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from typing import TYPE_CHECKING

from massgen_core.cli._codes import Code, code_of
from massgen_core.cli._reply import error_to_json
from massgen_core.errors import MassgenError

if TYPE_CHECKING:
    from collections.abc import Callable

    from massgen_core.cli._state import Cli


def guarded(cli: Cli, work: Callable[[], int]) -> int:
    """What `work` returns; if it raises, the error is told and its exit code returned."""
    try:
        return _told(cli, work)
    except BrokenPipeError:
        _mute_stdout()
        return Code.PIPE


def _told(cli: Cli, work: Callable[[], int]) -> int:
    try:
        code = work()
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except MassgenError as exc:
        if cli.options.verbosity > 0:
            traceback.print_exc()
        hint = "\n".join([exc.hint, *getattr(exc, "__notes__", ())]).strip()
        cli.fail(exc.message, hint, error=error_to_json(exc))
        return code_of(exc)
    except KeyboardInterrupt:
        cli.fail("interrupted", cli.advice, error={"code": "interrupted"})
        return Code.INTERRUPTED
    except Exception as exc:  # noqa: BLE001 - the fence of the command line
        _unexpected(cli, exc)
        return Code.FAILURE
    return code


def _unexpected(cli: Cli, error: Exception) -> None:
    words = " ".join(str(error).split())
    hint = "Run it again with -v for the traceback."
    if cli.options.verbosity > 0:
        traceback.print_exc()
        hint = ""
    cli.fail(f"unexpected {type(error).__name__}" + (f": {words}" if words else ""), hint)


def _mute_stdout() -> None:
    """Nobody reads any more: the interpreter's last flush must not complain about it."""
    with contextlib.suppress(OSError, ValueError):
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)
