"""Errors about what is known of models: their windows and their tokenizers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_core.errors._base import MassgenError

if TYPE_CHECKING:
    from collections.abc import Sequence


class UnknownModel(MassgenError):
    """The model is in no catalogue; its window is never guessed.

    Attributes:
        model: The name asked for.
        suggestions: Known models that look like it, best first.
    """

    code = "unknown-model"

    def __init__(
        self, message: str, *, model: str, suggestions: Sequence[str] = (), hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.model = model
        self.suggestions = tuple(suggestions)


class TokenizerError(MassgenError):
    """A tokenizer cannot be loaded: its files are damaged or missing."""

    code = "tokenizer"
