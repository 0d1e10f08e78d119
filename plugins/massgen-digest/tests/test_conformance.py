from massgen_core.testing import PackagingSuite, StrategySuite
from massgen_digest.settings import Settings
from massgen_digest.strategy import Digest


class TestStrategy(StrategySuite):
    capabilities = frozenset({"replaces"})

    def strategy(self):
        return Digest(Settings())


class TestPackaging(PackagingSuite):
    dist = "massgen-digest"
