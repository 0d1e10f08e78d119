from massgen_core.testing import PackagingSuite, StrategySuite
from massgen_relevance.settings import Settings
from massgen_relevance.strategy import Relevance


class TestStrategy(StrategySuite):
    def strategy(self):
        return Relevance(Settings())


class TestPackaging(PackagingSuite):
    dist = "massgen-relevance"
