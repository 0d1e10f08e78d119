"""A real Chroma server on loopback, started and stopped by the tests."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

PORT = "MASSGEN_TEST_CHROMA_PORT"


class ChromaServer:
    """``chroma run`` in a folder."""

    def __init__(self, folder, port=None):
        self.folder = folder
        self.port = port or free_port()
        self.process = None

    def start(self):
        program = Path(sys.executable).with_name("chroma")
        command = [program, "run", "--path", self.folder, "--host", "127.0.0.1"]
        self.process = subprocess.Popen(
            [*map(str, command), "--port", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "ANONYMIZED_TELEMETRY": "False"},
        )
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert self.process.poll() is None, "chroma run has ended"
                time.sleep(0.1)
            else:
                return self
        raise AssertionError("chroma run does not listen")

    def stop(self):
        self.process.kill()
        self.process.wait()


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One for all tests of a process; its port is in the environment, for child processes too."""
    running = ChromaServer(tmp_path_factory.mktemp("chroma-server")).start()
    os.environ[PORT] = str(running.port)
    yield running
    del os.environ[PORT]
    running.stop()


@pytest.fixture
def new_server(tmp_path):
    """A server that is not started yet."""
    made = ChromaServer(tmp_path / "server")
    yield made
    if made.process is not None:
        made.stop()
