"""The entry point: what this distribution provides."""

from massgen_core.plugin import Provides, hookimpl

MASSGEN_PLUGIN_API = 1


@hookimpl
def massgen_backend() -> Provides:
    """The backend ``anthropic``."""
    return Provides(
        name="anthropic",
        factory="massgen_anthropic.backend:AnthropicBackend",
        settings="massgen_anthropic.settings:AnthropicSettings",
        summary="Claude over Anthropic's Messages API: thinking, prompt cache, context editing.",
        capabilities=frozenset({"context_editing", "count_tokens", "images", "tools"}),
    )
