from contextlib import ExitStack
from functools import cache

import pytest

from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.plugin import PluginContext
from massgen_core.testing import BackendSuite, PackagingSuite, mock_provider
from massgen_core.tokens import ModelCatalogue
from massgen_gemini import GeminiBackend, GeminiSettings

WINDOW = 512


@pytest.fixture(scope="module", autouse=True)
def _servers():
    with ExitStack() as stack:
        mock.stack = stack
        yield
        mock.cache_clear()


@cache
def mock():
    return mock.stack.enter_context(mock_provider(window=WINDOW))


class TestMock(BackendSuite):
    """llmock behind the rules of the generateContent API."""

    model = "gemini-mock"
    wire = "gemini"
    capabilities = frozenset({"count_tokens", "images", "parallel_tools", "tools"})

    def mock(self):
        return mock()

    def make(self):
        sizes = {"window": WINDOW, "max_output": 256, "images": True}
        models = ModelCatalogue.shipped().with_overrides({self.model: sizes})
        settings = GeminiSettings(base_url=mock().gemini, api_key="mock")
        return GeminiBackend(settings, PluginContext(SYSTEM_CLOCK, None, models))


class TestPackaging(PackagingSuite):
    dist = "massgen-gemini"
