"""The entry point: what this distribution provides."""

from massgen_core.plugin import Provides, hookimpl

MASSGEN_PLUGIN_API = 1


@hookimpl
def massgen_backend() -> Provides:
    """The backend ``gemini``."""
    return Provides(
        name="gemini",
        factory="massgen_gemini.backend:GeminiBackend",
        settings="massgen_gemini.settings:GeminiSettings",
        summary="Gemini over the generateContent API, with thought signatures.",
        capabilities=frozenset({"count_tokens", "images", "tools"}),
    )
