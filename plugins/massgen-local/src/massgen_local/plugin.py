"""The entry point: what this distribution provides."""

from massgen_core.plugin import Provides, hookimpl

MASSGEN_PLUGIN_API = 1


@hookimpl
def massgen_backend() -> Provides:
    """The backend ``local``."""
    return Provides(
        name="local",
        factory="massgen_local.backend:LocalBackend",
        settings="massgen_local.settings:LocalSettings",
        summary="A llama.cpp model inside the process; SmolLM2-135M if its weights are installed.",
        capabilities=frozenset({"count_tokens"}),
    )
