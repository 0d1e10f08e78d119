"""Whether code under test opens connections."""

from __future__ import annotations

import socket
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_INTERNET: Final = frozenset({socket.AF_INET, socket.AF_INET6})
_METHODS: Final = ("connect", "connect_ex", "sendto")


@contextmanager
def watched_network(*, allowed: bool) -> Iterator[list[str]]:
    """A list that grows by a line for each attempt to use the network while the block runs.

    Python's sockets are watched, and on Linux how many sockets native code has left open.

    Args:
        allowed: Whether an attempt goes on; else it is an ``OSError``.
    """
    seen: list[str] = []
    before = open_sockets()
    with pytest.MonkeyPatch.context() as patch:
        for name in _METHODS:
            patch.setattr(socket.socket, name, _watched_method(name, seen, allowed))
        patch.setattr(socket, "getaddrinfo", _watched_lookup(seen, allowed))
        yield seen
    left = open_sockets() - before
    if left > 0:
        seen.append(f"{left} sockets left open")


def _watched_method(name: str, seen: list[str], allowed: bool) -> Callable[..., Any]:  # noqa: FBT001
    original = getattr(socket.socket, name)

    def watched(self: socket.socket, *arguments: Any) -> Any:
        if self.family in _INTERNET:
            seen.append(f"{name} {arguments[-1]!r}")
            _refuse_unless(allowed)
        return original(self, *arguments)

    return watched


def _watched_lookup(seen: list[str], allowed: bool) -> Callable[..., Any]:  # noqa: FBT001
    original = socket.getaddrinfo

    def watched(host: Any, *arguments: Any, **named: Any) -> Any:
        seen.append(f"getaddrinfo {host!r}")
        _refuse_unless(allowed)
        return original(host, *arguments, **named)

    return watched


def _refuse_unless(allowed: bool) -> None:  # noqa: FBT001
    if not allowed:
        raise OSError("the conformance suite refuses connections that are not declared")


def open_sockets() -> int:
    """Sockets this process has open; 0 where that cannot be told."""
    if not sys.platform.startswith("linux"):
        return 0
    return sum(map(_is_socket, Path("/proc/self/fd").iterdir()))


def _is_socket(descriptor: Path) -> bool:
    try:
        return str(descriptor.readlink()).startswith("socket:")
    except OSError:
        return False  # the listing's own descriptor, closed by now
