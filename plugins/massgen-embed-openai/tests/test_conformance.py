import sys
from pathlib import Path

import pytest

from massgen_core.testing import EmbedderSuite, PackagingSuite
from massgen_embed_openai import OpenAIEmbeddings, OpenAIEmbeddingsSettings

sys.path.insert(0, str(Path(__file__).parent))

from loopback_embeddings import SIZE


class TestOpenAIEmbeddings(EmbedderSuite):
    capabilities = frozenset({"network"})

    @pytest.fixture(autouse=True)
    def _server(self, server):
        self.server = server

    def embedder(self):
        return OpenAIEmbeddings(
            OpenAIEmbeddingsSettings(
                base_url=self.server.url, model="letters", dimensions=SIZE, batch_size=16
            )
        )


class TestPackaging(PackagingSuite):
    dist = "massgen-embed-openai"
