"""The core's own plugins: the same hooks as everybody's, but found without metadata.

They work when every other plugin is broken and when the package was installed without metadata.
"""

from __future__ import annotations

from massgen_core.plugin import Provides, hookimpl

__all__ = ["MASSGEN_PLUGIN_API", "massgen_token_counter"]

MASSGEN_PLUGIN_API = 1


@hookimpl
def massgen_token_counter() -> tuple[Provides, ...]:
    """The tokenizers whose ranks are shipped, and the estimator for all other models."""
    return (
        Provides(
            name="cl100k_base",
            factory="massgen_core.builtin._counters:cl100k_base",
            summary="tiktoken, for GPT-4 and GPT-3.5.",
            capabilities=frozenset({"exact"}),
        ),
        Provides(
            name="estimate",
            factory="massgen_core.builtin._counters:estimate",
            summary="From character classes, for models without a public tokenizer.",
        ),
        Provides(
            name="o200k_base",
            factory="massgen_core.builtin._counters:o200k_base",
            summary="tiktoken, for GPT-4o and later.",
            capabilities=frozenset({"exact"}),
        ),
    )
