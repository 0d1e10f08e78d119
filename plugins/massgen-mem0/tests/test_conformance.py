from massgen_core.testing import (
    MemoryStoreFaultSuite,
    MemoryStoreSuite,
    PackagingSuite,
    installed_memory_store,
)

CAPABILITIES = frozenset({"durable", "files", "threads", "vectors"})


class TestMem0(MemoryStoreSuite):
    capabilities = CAPABILITIES

    def store(self, folder):
        return installed_memory_store("mem0", {"path": str(folder)})


class TestMem0Faults(MemoryStoreFaultSuite):
    capabilities = CAPABILITIES

    def store(self, folder):
        return installed_memory_store("mem0", {"path": str(folder)})


class TestPackaging(PackagingSuite):
    dist = "massgen-mem0"
