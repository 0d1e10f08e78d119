"""The guard of the test suite itself works."""

from __future__ import annotations

import socket

import pytest


def test_a_test_cannot_connect_to_another_machine():
    with socket.socket() as plug, pytest.raises(OSError, match="only loopback is allowed"):
        plug.connect(("192.0.2.1", 80))


def test_a_test_can_connect_to_this_machine():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as plug:
        plug.connect(server.getsockname())

        assert plug.getpeername() == server.getsockname()
