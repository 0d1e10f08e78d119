"""Factories of the token counters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_core.tokens import estimating_counter, tiktoken_counter

if TYPE_CHECKING:
    from massgen_core.plugin import PluginContext
    from massgen_core.tokens import TokenCounter


def cl100k_base(_settings: None, _ctx: PluginContext) -> TokenCounter:
    """Counts as GPT-4 and GPT-3.5 do."""
    return tiktoken_counter("cl100k_base")


def estimate(_settings: None, _ctx: PluginContext) -> TokenCounter:
    """Estimates from character classes."""
    return estimating_counter()


def o200k_base(_settings: None, _ctx: PluginContext) -> TokenCounter:
    """Counts as GPT-4o and later models do."""
    return tiktoken_counter("o200k_base")
