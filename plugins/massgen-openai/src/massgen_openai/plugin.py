"""The entry point: what this distribution provides, a backend for each row of `providers`."""

from massgen_core.plugin import Provides, hookimpl
from massgen_openai import providers

MASSGEN_PLUGIN_API = 1


@hookimpl
def massgen_backend() -> list[Provides]:
    """The backends."""
    return [
        Provides(
            name=row.name,
            factory=f"massgen_openai.backends:{row.name}",
            settings="massgen_openai.settings:OpenAISettings",
            summary=f"Models of {row.title}, {row.base_url or 'at your own endpoint'}.",
        )
        for row in providers.ROWS
    ]
