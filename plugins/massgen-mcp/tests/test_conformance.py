from massgen_core.testing import PackagingSuite


class TestPackaging(PackagingSuite):
    dist = "massgen-mcp"
