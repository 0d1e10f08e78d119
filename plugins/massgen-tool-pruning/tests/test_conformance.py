from massgen_core.testing import PackagingSuite, StrategySuite
from massgen_tool_pruning.settings import Settings
from massgen_tool_pruning.strategy import ToolPruning


class TestStrategy(StrategySuite):
    def strategy(self):
        return ToolPruning(Settings())


class TestPackaging(PackagingSuite):
    dist = "massgen-tool-pruning"
