from massgen_core.testing import BackendSuite, PackagingSuite
from massgen_local import LocalBackend, LocalSettings


class TestLocal(BackendSuite):
    model = "SmolLM2-135M-Instruct"
    capabilities = frozenset({"count_tokens"})

    def make(self):
        return LocalBackend(LocalSettings(window=512))


class TestPackaging(PackagingSuite):
    dist = "massgen-local"
