from massgen_core.testing import PackagingSuite, StrategySuite
from massgen_priority.settings import Settings
from massgen_priority.strategy import Priority


class TestStrategy(StrategySuite):
    def strategy(self):
        return Priority(Settings())


class TestPackaging(PackagingSuite):
    dist = "massgen-priority"
