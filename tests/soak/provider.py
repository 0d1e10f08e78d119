"""llmock in a process of its own: a provider with a hard window.

Usage: provider.py WINDOW    prints its base URL, serves until its standard input ends

So it ends with the process that started it, however that ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def serving(window: int) -> Iterator[str]:
    """The base URL of a provider that refuses prompts of more tokens than `window`.

    It counts four characters a token, calls a tool if it is offered any, and answers in text once
    the result is there.
    """
    command = [sys.executable, __file__, str(window)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()


def main(window: str) -> None:
    os.environ["LLMOCK_CONTEXT_WINDOW"] = window
    from llmock.testing import LLMockServer

    with LLMockServer() as server:
        print(server.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
