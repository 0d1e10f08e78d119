import hashlib

from massgen_core.testing import PackagingSuite, ScriptedBackend, StrategySuite
from massgen_core.tokens import ModelCatalogue
from massgen_summarizer.settings import Settings
from massgen_summarizer.strategy import Summarizer
from massgen_summarizer.writer import Model


def answer(request):
    """Sections that depend on the whole request and on nothing else."""
    digest = hashlib.sha256(request.messages[-1].text.encode("utf-8", "replace")).hexdigest()[:8]
    return f"## Goal\n- task {digest}\n## State\n- seen\n## Next step\n- go on"


class TestStrategy(StrategySuite):
    capabilities = frozenset({"replaces", "summarises"})

    def strategy(self):
        return self.summariser(answer)

    def summariser(self, said):
        backend = ScriptedBackend(iter(lambda: said, None), window=6000)
        model = Model(backend, "scripted", ModelCatalogue.shipped(), None)
        return Summarizer(Settings(max_price=None), model)


class TestPackaging(PackagingSuite):
    dist = "massgen-summarizer"
