from massgen_core.testing import EmbedderSuite, PackagingSuite
from massgen_embed_minilm import MiniLM


class TestMiniLM(EmbedderSuite):
    capabilities = frozenset({"semantic"})

    def embedder(self):
        return MiniLM()


class TestPackaging(PackagingSuite):
    dist = "massgen-embed-minilm"
