import hashlib
import os

import pytest

from massgen_core.testing import (
    MemoryStoreFaultSuite,
    MemoryStoreSuite,
    PackagingSuite,
    installed_memory_store,
)

CAPABILITIES = frozenset({"durable", "files", "threads", "vectors"})


class TestChroma(MemoryStoreSuite):
    capabilities = CAPABILITIES

    def store(self, folder):
        return installed_memory_store("chroma", data_dir=folder)


class TestChromaFaults(MemoryStoreFaultSuite):
    capabilities = CAPABILITIES

    def store(self, folder):
        return installed_memory_store("chroma", data_dir=folder)


def on_server(folder):
    """A collection for each folder."""
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:32]
    port = int(os.environ["MASSGEN_TEST_CHROMA_PORT"])
    return installed_memory_store("chroma", {"host": "127.0.0.1", "port": port, "collection": name})


@pytest.mark.usefixtures("server")
class TestChromaServer(MemoryStoreSuite):
    capabilities = CAPABILITIES - {"files"}
    examples = 10

    def store(self, folder):
        return on_server(folder)


@pytest.mark.usefixtures("server")
class TestChromaServerFaults(MemoryStoreFaultSuite):
    capabilities = CAPABILITIES - {"files"}

    def store(self, folder):
        return on_server(folder)


class TestPackaging(PackagingSuite):
    dist = "massgen-chroma"
