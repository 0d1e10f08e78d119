from massgen_core.testing import PackagingSuite, StrategySuite
from massgen_sliding_window.settings import Settings
from massgen_sliding_window.strategy import SlidingWindow


class TestStrategy(StrategySuite):
    def strategy(self):
        return SlidingWindow(Settings())


class TestPackaging(PackagingSuite):
    dist = "massgen-sliding-window"
