"""What holds for every test: no deadline per example, and no connection beyond this machine."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "massgen", parent=settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("massgen")


def is_local(address):
    if not isinstance(address, tuple):
        return True  # the path of a Unix socket
    try:
        return ipaddress.ip_address(address[0]).is_loopback
    except ValueError:
        return address[0] == "localhost"


@pytest.fixture(autouse=True, scope="session")
def only_loopback():
    """Refuses to connect to other machines."""
    patch = pytest.MonkeyPatch()
    connect = socket.socket.connect

    def checked(self, address):
        if not is_local(address):
            raise OSError(f"a test connects to {address!r}; only loopback is allowed")
        return connect(self, address)

    patch.setattr(socket.socket, "connect", checked)
    yield
    patch.undo()
